// raw_pairs: keys and values as one body: length, key, length, value, and so on.
// Owner:  -
// Units:  lengths are 4 bytes, little-endian.
// Errors: split_pairs: false for anything that does not end where a value ends.
// Source: ours; benchmarks only.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::bench {

void append_pair(std::string& body, std::string_view key, std::string_view value);
bool split_pairs(std::string_view body, std::vector<std::pair<std::string_view, std::string_view>>& out);

} // namespace troupe::bench

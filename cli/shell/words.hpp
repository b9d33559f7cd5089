// words: splits what a person typed into statements and words.
// Owner:  pure.
// Units:  -
// Errors: an open quote is reported, nothing is run.
// Source: POSIX shell quoting, reduced: '…', "…" with \" and \\, backslash outside quotes, ; between statements, #.
#pragma once

#include "api/status.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::cli {

using word_list = std::vector<std::string>;

/// Statements in order, each a list of words; empty statements are left out.
result<std::vector<word_list>> split_statements(std::string_view text);

} // namespace troupe::cli

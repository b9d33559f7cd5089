// golden: files that say what comes out for what goes in; TROUPE_UPDATE_GOLDEN=1 rewrites what comes out.
// Owner:  unit tests.
// Units:  -
// Errors: a difference fails the running doctest case and names the file.
// Source: ours.
#pragma once

#include "api/json.hpp"

#include <filesystem>
#include <string>
#include <vector>

namespace troupe::test {

/// Every `*.in.<ext>` of tests/golden/<area>, sorted.
std::vector<std::filesystem::path> golden_inputs(const std::string& area);
std::string read_file(const std::filesystem::path& p);
/// Compares with `<name>.out.json` beside the input.
void expect_golden(const std::filesystem::path& input, const json::value& got);
/// Two-space indentation, one member a line, in the order of the document.
std::string pretty(const json::value& v);

} // namespace troupe::test

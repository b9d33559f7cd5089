// rescue_notes: puts on record what was done to a stopped node's state.
// Owner:  main thread of a verb.
// Units:  -
// Errors: sentences.
// Source: ours; DIR/NAME/history.log has one line per deed: UTC time, verb, what changed.
#pragma once

#include "api/status.hpp"

#include <string>

namespace troupe::cli {

/// Appends and syncs one line.
result<void> note(const std::string& node_dir, const std::string& line);

} // namespace troupe::cli

// rescue_notes: what backup, restore and recover share: which node is meant, and what was done, on record.
// Owner:  main thread of a verb.
// Units:  -
// Errors: sentences.
// Source: ours; DIR/NAME/history.log has one line per deed: UTC time, verb, what changed.
#pragma once

#include "api/status.hpp"

#include <string>

namespace troupe::cli {

std::string absolute_dir(const std::string& dir);
/// What `up` calls the only node of a new data dir: the host's name.
std::string host_node_name();
/// The node named, or the only one of the data dir; the error says how to name one.
result<std::string> choose_node(const std::string& data_dir, const std::string& wanted);
/// Appends and syncs one line.
result<void> note(const std::string& node_dir, const std::string& line);

} // namespace troupe::cli

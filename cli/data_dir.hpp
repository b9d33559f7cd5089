// data_dir: what can be said of a data dir from outside: which nodes have state in it, and which of them is meant.
// Owner:  main thread of a verb.
// Units:  -
// Errors: sentences.
// Source: design section 6: a node's state lies in DIR/NAME.
#pragma once

#include "api/status.hpp"

#include <string>
#include <vector>

namespace troupe::cli {

/// Absolute, without . and .. and without a slash at the end.
std::string absolute_dir(const std::string& dir);
/// What `up` calls the only node of a new data dir: the host's name.
std::string host_node_name();
/// Names of the nodes that have state in the data dir.
std::vector<std::string> nodes_in(const std::string& data_dir);
/// Those of them that run containers.
std::vector<std::string> workers_in(const std::string& data_dir);
/// The node named, or the only one of the data dir; the error says how to name one.
result<std::string> choose_node(const std::string& data_dir, const std::string& wanted);

} // namespace troupe::cli

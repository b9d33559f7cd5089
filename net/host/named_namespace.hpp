// named_namespace: network namespaces that live as bind mounts below /run/netns, as ip-netns(8) keeps them.
// Owner:  node_network.
// Units:  -
// Errors: status naming the path and the system's reason.
// Source: ip-netns(8), namespaces(7).
#pragma once

#include "api/status.hpp"

#include <string>
#include <vector>

namespace troupe::net {

inline constexpr const char* namespaces_dir = "/run/netns";

/// Makes the namespace when there is none of that name; idempotent.
result<void> make_named_namespace(const std::string& name);
/// Unmounts and removes the file; processes inside keep their network until they end. Absence is success.
result<void> remove_named_namespace(const std::string& name);
std::vector<std::string> named_namespaces(const std::string& prefix);

} // namespace troupe::net

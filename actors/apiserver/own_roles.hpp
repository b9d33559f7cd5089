// own_roles: RBAC of Troupe's own components where it differs from the Kubernetes defaults.
// Owner:  pure; reconciled at start together with the default roles.
// Units:  -
// Errors: -
// Source: ours, decision 0002: the controllers are one component with one identity, and it patches where
//         kube-controller-manager's many service accounts update.
#pragma once

#include "api/json.hpp"

#include <vector>

namespace troupe::apiserver {

/// ClusterRoles and ClusterRoleBindings, ready to be stored.
std::vector<json::value> own_roles();

} // namespace troupe::apiserver

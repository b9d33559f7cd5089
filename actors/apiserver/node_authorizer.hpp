// node_authorizer: what the agent of one node may do: its own Node, its own pods, and what those pods refer to.
// Owner:  -; pure over the rules and a view.
// Units:  -
// Errors: denied with a reason.
// Source: Kubernetes node authorizer and NodeRestriction.
#pragma once

#include "api/rbac/authorizer.hpp"
#include "api/request.hpp"
#include "store/view.hpp"

namespace troupe::apiserver {

/// `whole` gives selectors of lists; null for access reviews.
rbac::decision node_authorizer(const rbac::rbac_rules& rules, const rbac::attributes& a, const identity& who,
                               const store::view& state, const request* whole);

/// The node name of a user `system:node:NAME`, or empty.
std::string_view node_of(const identity& who) noexcept;

} // namespace troupe::apiserver

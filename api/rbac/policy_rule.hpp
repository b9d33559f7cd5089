// policy_rule: one RBAC rule in the form decisions are made on.
// Owner:  inside api/rbac only.
// Units:  -
// Errors: none.
// Source: k8s API section 22; rbac.authorization.k8s.io/v1 PolicyRule.
#pragma once

#include "api/rbac/authorizer.hpp"

#include <cstdint>

namespace troupe::rbac {

/// Known verbs as bits, so that most rules are passed over with one AND. Unknown verbs have the bit `other`.
std::uint32_t verb_bit(std::string_view verb) noexcept;

struct compiled_rule {
  policy_rule rule;
  std::uint32_t verbs = 0;
  bool all_groups = false, all_resources = false;

  explicit compiled_rule(policy_rule r);
  /// `resource` is `plural` or `plural/sub`; `verb` is verb_bit(a.verb).
  bool allows(const attributes& a, std::uint32_t verb, std::string_view combined) const noexcept;
};

} // namespace troupe::rbac

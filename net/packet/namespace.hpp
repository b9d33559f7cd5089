// namespace: does something inside another network namespace.
// Owner:  -; a short-lived thread enters the namespace, so that no thread ever has to find its way back.
// Units:  -
// Errors: status naming the path; `what` is not called then.
// Source: setns(2).
#pragma once

#include "api/status.hpp"

#include <functional>
#include <string>

namespace troupe::net {

/// Returns after `what` has run. `what` must not throw.
result<void> in_namespace(const std::string& netns_path, const std::function<void()>& what);

} // namespace troupe::net

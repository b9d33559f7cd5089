// defaulting: fills in what a client left out, as kube-apiserver does when it reads an object.
// Owner:  nobody; pure functions, safe on any thread.
// Units:  -
// Errors: none; values of a wrong type are left for check.hpp.
// Source: k8s API level 1.32, section 10, and `default`, `defaultIf` in data/types.json.
#pragma once

#include "api/json.hpp"
#include "api/schema/registry.hpp"

namespace troupe::schema {

/// Static and conditional defaults, recursively, only inside structs that exist. `doc` went through conform().
/// Idempotent. What needs the cluster's state (allocated addresses, priority, default class) is admission's.
void apply_defaults(json::value& doc, const type& t);

} // namespace troupe::schema

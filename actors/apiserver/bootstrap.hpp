// bootstrap: the objects every cluster begins with; missing ones are made, default RBAC is completed.
// Owner:  an actor that lives until they are there.
// Units:  -
// Errors: kept trying while the group has no leader; refused objects are reported through /readyz.
// Source: k8s API section 24; api/schema/data/rbac.json.
#pragma once

#include "actors/apiserver/services.hpp"
#include "api/meta/names.hpp"
#include "api/meta/time.hpp"

#include <caf/fwd.hpp>

namespace troupe::apiserver {

/// Every object that should exist, as documents. Pure.
std::vector<json::value> bootstrap_objects(const services& s, sys_micros now);

/// The transactions that bring the view there: creates what is missing, completes default RBAC. Pure.
result<std::vector<store::txn>> plan_bootstrap(const services& s, const store::view& state, sys_micros now,
                                               random_source& random);

/// Spawns the actor; services.ready becomes true when it is done.
caf::actor spawn_bootstrap(caf::actor_system& sys, services_ptr s);

} // namespace troupe::apiserver

// bootstrap: the objects every cluster begins with, and what this api server does as a member of its group: the leader
//            writes what is missing and keeps the addresses of default/kubernetes right; everybody else waits for it.
// Owner:  an actor that lives as long as the api server.
// Units:  limits::leaderless_max, limits::master_contact_max.
// Errors: kept trying while the group has no leader; /readyz says why this master is not ready.
// Source: k8s API section 24; api/schema/data/rbac.json.
#pragma once

#include "actors/apiserver/own_endpoints.hpp"
#include "actors/apiserver/services.hpp"
#include "api/meta/names.hpp"
#include "api/meta/time.hpp"

#include <caf/fwd.hpp>

namespace troupe::apiserver {

/// Every object that should exist, as documents. Pure.
std::vector<json::value> bootstrap_objects(const services& s, sys_micros now, const std::vector<api_address>& up);

/// The transactions that bring the view there: creates what is missing, completes default RBAC, writes the directory of
/// masters when there is none. Empty when all is well. Pure.
result<std::vector<store::txn>> plan_bootstrap(const services& s, const store::view& state, sys_micros now,
                                               random_source& random);

/// The transaction that makes default/kubernetes lead to all masters but those in `down`; without puts and erases when
/// it does. Pure.
result<store::txn> plan_own_endpoints(const services& s, const store::view& state, sys_micros now,
                                      random_source& random, const std::set<store::member_id>& down);

/// The mark that the first objects are all there; followers wait for it.
bool bootstrapped(const store::view& state);
store::txn plan_mark();

/// Corrects this master's row of the directory when it says something else than this master was started with.
store::txn plan_own_row(const services& s, const store::view& state);

/// The members that the leader (whose raft status `doc` is) has not heard of for limits::master_contact_max. Pure.
std::set<store::member_id> members_down(const json::value& doc);

/// Spawns the actor; services.ready becomes true when this member may be asked.
caf::actor spawn_bootstrap(caf::actor_system& sys, services_ptr s);

} // namespace troupe::apiserver

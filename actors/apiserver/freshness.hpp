// freshness: what a read must have seen before this member may answer it, and the wait until it has.
// Owner:  free functions over services; any thread.
// Units:  at most limits::waiting_reads_max reads wait at a time; more: 429.
// Errors: 503 with the reason while nobody leads or this member is out of service; 504 for a revision that is ahead.
// Source: Kubernetes resourceVersion semantics; Raft thesis 6.4 (ReadIndex), batched by group_board.
//
// Without resourceVersion a read sees everything that was acknowledged before it began. resourceVersion=0 takes what is
// here. resourceVersion=N, a continue token and a watch from N need this member's state to have reached N: one barrier
// settles it, because a revision that anybody was told is committed, and a barrier waits for what is committed.
#pragma once

#include "actors/apiserver/services.hpp"
#include "api/request.hpp"

#include <functional>

namespace troupe::apiserver {

struct freshness {
  enum class kind : unsigned char { any, newest, at_least } what = kind::newest;
  store::revision rev = 0;
};

/// Of a get, list or watch. What cannot be read counts as `any`: the read itself refuses it with the reason.
freshness freshness_of(const request& r);

/// True when the view of now will do; costs one atomic load in a group of one.
bool fresh_now(const services& s, const request& r);

/// Calls `then` once, with code 0 when the view taken from now on is fresh enough. `then` may run on any thread, also
/// on this one before this returns, and must only post or send.
void wait_until_fresh(const services_ptr& s, freshness f, std::function<void(const status&)> then);

/// Why this master is of no use as a member of its group, as /readyz tells it; empty: it is.
std::string group_fault(const services& s);

/// 503: this member must not be asked. code 0 when it may.
status out_of_service(const services& s);

} // namespace troupe::apiserver

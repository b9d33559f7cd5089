// api_actor: runs the write pipeline: plans a change on the newest view, proposes it, answers when it is applied.
// Owner:  the api server; several run side by side and share nothing but services.
// Units:  limits::pending_writes_max, limits::write_timeout_max.
// Errors: every request is answered exactly once: 429 when too many wait, 504 when the log does not answer.
// Source: design section 3; ours.
#pragma once

#include "actors/apiserver/services.hpp"
#include "api/meta/time.hpp"

#include <caf/fwd.hpp>

namespace troupe::apiserver {

api_actor spawn_api_actor(caf::actor_system& sys, services_ptr s, unsigned index);

/// Answers a request that only reads; any thread. Authorization included.
response_ptr answer_read(services& s, const request& r, store::view_ptr state, sys_micros now);
/// A response that carries a status.
response_ptr refuse(status s);
void add_warnings(response& r, const std::vector<std::string>& warnings);

} // namespace troupe::apiserver

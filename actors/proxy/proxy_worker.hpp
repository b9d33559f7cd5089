// proxy_worker: the actor that loads rules into the kernel, on a thread of its own since that blocks.
// Owner:  proxy_actor spawns it, detached and linked.
// Units:  one request at a time.
// Errors: rules_loaded.error.
// Source: ours.
#pragma once

#include "actors/proxy/proxy_actor.hpp"
#include "net/service/service_rules.hpp"

#include <caf/actor.hpp>
#include <caf/allowed_unsafe_message_type.hpp>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe {

struct load_rules {
  std::vector<net::service_port> wanted;
};
using load_rules_ptr = std::shared_ptr<const load_rules>;

struct rules_loaded {
  std::optional<status> error;
  std::chrono::milliseconds cost{0};
  std::string mode;
};
using rules_loaded_ptr = std::shared_ptr<const rules_loaded>;

/// Answers each load_rules_ptr with a rules_loaded_ptr.
caf::actor spawn_proxy_worker(caf::event_based_actor* parent, const proxy_options& options);

} // namespace troupe

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::load_rules_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::rules_loaded_ptr)

// node_session_hello: whether a worker or client may have a session, and what it is told when not.
// Owner:  node_sessions; pure.
// Units:  -
// Errors: one sentence that names both sides and says what to do.
// Source: issue 3, "Bad input and bad luck"; ours.
#pragma once

#include "actors/link/link_codec.hpp"
#include "api/identity.hpp"

#include <optional>
#include <string>
#include <string_view>

namespace troupe::link {

/// What this master knows that decides.
struct door_facts {
  std::string_view master, cluster_id, version;
  bool name_is_ours = false;      // a node of that name lives in this very process
  std::uint64_t life_of_name = 0; // of the session that holds the name now; 0: none does
  std::string address_of_name;    // where that session comes from
};

/// The node's name when the certificate is a node's, else empty.
std::string_view node_of_certificate(const identity& who) noexcept;

/// Empty: welcome.
std::optional<std::string> refuse_hello(const hello& h, const identity& who, const std::string& from,
                                        const door_facts& facts);

/// The worker's side of the same: empty: this is the cluster we belong to.
std::optional<std::string> refuse_welcome(const welcome& w, std::string_view node, std::string_view cluster_id,
                                          const std::string& at);

} // namespace troupe::link

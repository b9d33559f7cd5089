// services: what the api server's functions share: state, rules, keys and settings.
// Owner:  one per api server; every member is immutable or thread-safe.
// Units:  -
// Errors: -
// Source: ours.
#pragma once

#include "actors/apiserver/apiserver.hpp"
#include "actors/apiserver/ip_range.hpp"
#include "actors/apiserver/rbac_index.hpp"
#include "actors/apiserver/view_pins.hpp"
#include "actors/raft/group_board.hpp"
#include "net/tls/jwt.hpp"

#include <array>
#include <atomic>

namespace troupe::apiserver {

struct request_counters {
  std::array<std::atomic<std::uint64_t>, 9> by_verb{};
  std::array<std::atomic<std::uint64_t>, 6> by_class{}; // 1xx … 5xx by first digit
  std::atomic<std::uint64_t> watches{0}, conflicts_retried{0}, writes_waiting{0}, reads_waiting{0}, leader_changes{0};
};

struct services {
  api_options options;
  ip_range service_ips;
  std::shared_ptr<tls::token_signer> tokens;
  std::shared_ptr<rbac_index> rbac;
  std::shared_ptr<view_pins> pins;
  std::string server_address; // host:port as clients reach this server
  std::atomic<bool> ready{false};
  /// No leader has been known for longer than limits::leaderless_max.
  std::atomic<bool> leaderless{false};
  std::uint64_t seed = 0; // of uids and generated names, so that a simulation replays; 0: drawn from the system
  request_counters counted;

  store::view_ptr view() const { return options.state->current(); }
  /// Nobody else writes: the newest view holds everything that was acknowledged.
  bool alone() const noexcept { return !options.group || options.group->alone_and_serving(); }
};
using services_ptr = std::shared_ptr<services>;

} // namespace troupe::apiserver

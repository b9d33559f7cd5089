#include "actors/node/route_keeper.hpp"

#include "actors/support/feed.hpp"
#include "api/json.hpp"
#include "net/packet/address.hpp"
#include "net/pod/peer_routes.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

namespace troupe::node {

namespace {

using set_routes = caf::atom_constant<caf::atom("setroutes")>;

constexpr std::chrono::milliseconds gather{50}; // several Nodes change at once when a cluster starts
constexpr std::chrono::seconds try_again{2};
/// Somebody else may remove routes (a device that was down and up again loses its own); they are looked at anyway.
constexpr std::chrono::seconds look_again{30};

struct keeper_state {
  static inline const char* name = "troupe.node.routes";

  caf::event_based_actor* self = nullptr;
  component_env env;
  std::string cluster_cidr, neighbours, last_error;
  std::optional<feed> nodes;
  counters_ptr counters;
  std::shared_ptr<spdlog::logger> log = component_log("routes");
  std::uint64_t generation = 0;

  explicit keeper_state(caf::event_based_actor* s) : self(s) {}

  void soon(std::chrono::milliseconds in) { self->delayed_send(self, in, set_routes::value, ++generation); }

  void apply() {
    const auto want = wanted_routes(*env.state->current(), env.node_name, neighbours);
    const auto done = net::keep_peer_routes(want, cluster_cidr);
    const auto error = done ? std::string{} : done.error().message;
    if (!error.empty() && error != last_error) log->warn("{}", error);
    last_error = error;
    soon(error.empty() ? std::chrono::milliseconds{look_again} : std::chrono::milliseconds{try_again});
  }

  void pull() {
    bool changed = false;
    const bool more =
        nodes->drain([&](const store::view&) { changed = true; }, [&](const store::event&) { changed = true; });
    if (changed) soon(gather);
    if (more) nodes->again();
  }
};

caf::behavior keeper(caf::stateful_actor<keeper_state>* self, component_env env, std::string cluster_cidr,
                     std::string neighbours) {
  auto& s = self->state;
  s.env = std::move(env);
  s.cluster_cidr = std::move(cluster_cidr);
  s.neighbours = std::move(neighbours);
  s.counters = s.env.board->enter("node/routes");
  s.nodes.emplace(s.env.state, s.env.hub, "nodes", feed::waker(self, 0));
  s.nodes->start();
  return {
      [self](feed_wake, int) {
        self->state.counters->touch(self);
        self->state.pull();
      },
      [self](set_routes, std::uint64_t generation) {
        self->state.counters->touch(self);
        if (generation == self->state.generation) self->state.apply();
      },
  };
}

std::string internal_address(const json::value& node) {
  for (const auto& a : jq::arr(node, {"status", "addresses"}))
    if (jq::str(a, {"type"}) == "InternalIP") return std::string{jq::str(a, {"address"})};
  return {};
}

} // namespace

std::vector<net::peer_route> wanted_routes(const store::view& now, const std::string& self,
                                           const std::string& neighbours) {
  std::vector<net::peer_route> out;
  const auto near = net::parse_prefix(neighbours);
  now.scan("nodes", {}, [&](const store::object_ptr& o) {
    if (o->name == self) return true;
    const auto node = o->parse();
    const auto range = net::parse_prefix(jq::str(node, {"spec", "podCIDR"}));
    const auto gateway = net::parse_ipv4(internal_address(node));
    if (range && gateway && (!near || near->contains(*gateway))) out.push_back({range->base, range->length, *gateway});
    return true;
  });
  std::sort(out.begin(), out.end());
  return out;
}

caf::actor spawn_route_keeper(caf::actor_system& sys, component_env env, std::string cluster_cidr,
                              std::string neighbours) {
  return sys.spawn(keeper, std::move(env), std::move(cluster_cidr), std::move(neighbours));
}

} // namespace troupe::node

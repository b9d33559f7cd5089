#include "actors/node/masters_watch.hpp"

#include "actors/support/feed.hpp"

#include <caf/all.hpp>

#include <algorithm>
#include <optional>

namespace troupe::node {

namespace {

struct watch_state {
  static inline const char* name = "troupe.node.masters";

  component_env env;
  std::vector<master_row> fallback, told;
  std::function<void(const std::vector<master_row>&)> tell;
  std::optional<feed> rows;
  counters_ptr counters;

  void look() {
    auto now = list_masters(*env.state->current());
    if (now.empty()) now = fallback;
    if (now == told) return;
    told = now;
    tell(told);
  }
};

caf::behavior watch(caf::stateful_actor<watch_state>* self, component_env env, std::vector<master_row> fallback,
                    std::function<void(const std::vector<master_row>&)> tell) {
  auto& s = self->state;
  s.env = std::move(env);
  s.fallback = std::move(fallback);
  s.tell = std::move(tell);
  s.counters = s.env.board->enter("node/masters");
  s.rows.emplace(s.env.state, s.env.hub, std::string{masters_table}, feed::waker(self, 0));
  s.rows->start();
  return {[self](feed_wake, int) {
    auto& st = self->state;
    st.counters->touch(self);
    const bool more = st.rows->drain([](const store::view&) {}, [](const store::event&) {});
    st.look();
    if (more) st.rows->again();
  }};
}

} // namespace

master_row row_of(const node_config& n, const std::string& address, std::uint64_t member) {
  master_row row;
  row.id = store::member_id{member};
  row.name = n.name;
  row.address = address;
  row.api_port = n.ports.api;
  row.actors_port = n.ports.actors;
  row.priority = n.priority;
  return row;
}

std::vector<master_row> founding_rows(const cluster_config& config, const cluster_identity& cluster) {
  std::vector<master_row> out;
  for (const auto& [name, id] : cluster.founders)
    if (const auto* n = config.node(name)) out.push_back(row_of(*n, address_of(cluster, *n), id));
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id < b.id; });
  return out;
}

std::vector<mesh_peer> peers_of(const std::vector<master_row>& rows, const std::string& own_name) {
  std::vector<mesh_peer> out;
  for (const auto& r : rows)
    if (r.name != own_name) out.push_back({r.id, r.name, r.address, r.actors_port});
  return out;
}

std::vector<link::master_address> link_addresses_of(const std::vector<master_row>& rows) {
  std::vector<link::master_address> out;
  for (const auto& r : rows)
    out.push_back({r.name, r.address, r.actors_port});
  return out;
}

caf::actor spawn_masters_watch_actor(caf::actor_system& sys, component_env env, std::vector<master_row> fallback,
                                     std::function<void(const std::vector<master_row>&)> tell) {
  return sys.spawn(watch, std::move(env), std::move(fallback), std::move(tell));
}

} // namespace troupe::node

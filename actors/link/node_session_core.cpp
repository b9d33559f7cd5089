#include "actors/link/node_session_core.hpp"

#include "actors/link/link_limits.hpp"
#include "store/rescue_mark.hpp"

#include <algorithm>

namespace troupe::link {

namespace {

constexpr std::string_view config_maps = "configmaps", secrets = "secrets";

struct collector {
  std::string ns;
  std::set<reference>& out;

  void add(std::string_view table, std::string_view name) {
    if (!name.empty()) out.insert({table, ns, std::string(name)});
  }

  void volume(const json::value& v) {
    add(secrets, jq::str(v, {"secret", "secretName"}));
    add(config_maps, jq::str(v, {"configMap", "name"}));
    for (const auto& src : jq::arr(v, {"projected", "sources"})) {
      add(secrets, jq::str(src, {"secret", "name"}));
      add(config_maps, jq::str(src, {"configMap", "name"}));
    }
  }

  void container(const json::value& c) {
    for (const auto& e : jq::arr(c, {"env"})) {
      add(secrets, jq::str(e, {"valueFrom", "secretKeyRef", "name"}));
      add(config_maps, jq::str(e, {"valueFrom", "configMapKeyRef", "name"}));
    }
    for (const auto& e : jq::arr(c, {"envFrom"})) {
      add(secrets, jq::str(e, {"secretRef", "name"}));
      add(config_maps, jq::str(e, {"configMapRef", "name"}));
    }
  }
};

std::string key_of(const store::object& o) { return o.ns + "/" + o.name; }

} // namespace

std::set<reference> references_of(const json::value& pod) {
  std::set<reference> out;
  collector c{std::string(jq::str(pod, {"metadata", "namespace"})), out};
  for (const auto& v : jq::arr(pod, {"spec", "volumes"}))
    c.volume(v);
  for (const auto& r : jq::arr(pod, {"spec", "imagePullSecrets"}))
    c.add(secrets, jq::str(r, {"name"}));
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"})
    for (const auto& x : jq::arr(pod, {"spec", list}))
      c.container(x);
  return out;
}

void node_scope::rebuild(const store::view& now) {
  by_pod_.clear();
  counts_.clear();
  now.scan("pods", {}, [&](const store::object_ptr& o) {
    if (o->meta().node_name == node_) take_refs(key_of(*o), references_of(o->parse()), 0, now, nullptr);
    return true;
  });
}

bool node_scope::sees(const fed_table& t, const store::object& o) const {
  switch (t.what) {
  case scope::everything: return true;
  case scope::own_pods: return o.meta().node_name == node_;
  case scope::referenced: return counts_.contains({t.table, o.ns, o.name});
  }
  return false;
}

void node_scope::on(const fed_table& t, const store::event& e, const store::view& now, std::vector<feed_event>& out) {
  if (!sees(t, *e.current)) return;
  if (t.what != scope::own_pods) {
    out.push_back({e.type, std::string(t.table), e.rev, e.current});
    return;
  }
  const auto pod = key_of(*e.current);
  const bool known = by_pod_.contains(pod);
  if (e.type == store::event_type::deleted) {
    out.push_back({e.type, std::string(t.table), e.rev, e.current});
    take_refs(pod, {}, e.rev, now, &out);
    by_pod_.erase(pod);
    return;
  }
  take_refs(pod, references_of(e.current->parse()), e.rev, now, &out);
  out.push_back(
      {known ? store::event_type::modified : store::event_type::added, std::string(t.table), e.rev, e.current});
}

/// Counts references up before it counts the old ones down, so that what stays referred to is not told about.
void node_scope::take_refs(const std::string& pod, std::set<reference> refs, store::revision rev,
                           const store::view& now, std::vector<feed_event>* out) {
  auto& held = by_pod_[pod];
  for (const auto& r : refs) {
    if (held.contains(r) || ++counts_[r] > 1 || !out) continue;
    if (auto o = now.get(r.table, r.ns, r.name))
      out->push_back({store::event_type::added, std::string(r.table), rev, std::move(o)});
  }
  for (const auto& r : held) {
    if (refs.contains(r)) continue;
    auto it = counts_.find(r);
    if (--it->second > 0) continue;
    counts_.erase(it);
    auto gone = std::make_shared<store::object>(); // the worker knows the rest
    gone->ns = r.ns;
    gone->name = r.name;
    if (out) out->push_back({store::event_type::deleted, std::string(r.table), rev, std::move(gone)});
  }
  held = std::move(refs);
}

bool same_history(store::revision cursor, const store::view& newest) {
  return cursor <= newest.rev() && cursor >= store::rescued_at(newest);
}

std::vector<std::pair<const fed_table*, store::event_ptr>> in_order(const std::vector<table_events>& all,
                                                                    store::revision upto) {
  std::vector<std::pair<const fed_table*, store::event_ptr>> out;
  for (const auto& t : all)
    for (const auto& e : t.events)
      if (e->rev <= upto) out.emplace_back(t.table, e);
  std::stable_sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.second->rev < b.second->rev; });
  return out;
}

std::vector<message> in_batches(std::vector<feed_event> events) {
  std::vector<message> out;
  feed_events batch;
  std::size_t bytes = 0;
  for (auto& e : events) {
    const auto cost = encoded_size(*e.object) + e.table.size();
    if (!batch.events.empty() && bytes + cost > limits::link::batch_bytes) {
      out.emplace_back(std::exchange(batch, {}));
      bytes = 0;
    }
    bytes += cost;
    batch.events.push_back(std::move(e));
  }
  if (!batch.events.empty()) out.emplace_back(std::move(batch));
  return out;
}

} // namespace troupe::link

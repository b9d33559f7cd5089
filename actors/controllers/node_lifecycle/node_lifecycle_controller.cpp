#include "actors/controllers/node_lifecycle/node_lifecycle_controller.hpp"

#include "actors/controllers/node_lifecycle/node_lifecycle_core.hpp"
#include "api/meta/object_meta.hpp"

namespace troupe::ctl {

namespace {
std::string last_beat(const json::value& node) {
  for (const auto& c : jq::arr(node, {"status", "conditions"}))
    if (jq::str(c, {"type"}) == "Ready")
      return std::string{jq::str(c, {"status"})} + "@" + std::string{jq::str(c, {"lastHeartbeatTime"})};
  return {};
}

bool has_execute_taint(const json::value& node) {
  for (const auto& t : jq::arr(node, {"spec", "taints"}))
    if (jq::str(t, {"effect"}) == "NoExecute") return true;
  return false;
}
} // namespace

void node_lifecycle_controller::observe(const change& c, const cluster_cache& cache, sys_micros now) {
  const auto& i = c.after ? c.after : c.before;
  if (!i) return;
  if (c.table == "leases.coordination.k8s.io") {
    if (!c.after || i->ns() != "kube-node-lease") return;
    auto& l = lives_[i->name()];
    auto renewed = jq::str(i->doc, {"spec", "renewTime"});
    if (renewed == l.renewed) return;
    l.renewed = renewed;
    l.heard = now; // the wake-up set before looks again and finds this
  } else if (c.table == "nodes") {
    queue.add(i->name());
    if (!c.after) return;
    auto& l = lives_[i->name()];
    auto beat = last_beat(i->doc);
    if (!c.before || c.before->uid != i->uid) {
      l.heard = now + (beat.empty() ? options_.startup_grace - options_.grace : std::chrono::seconds{0});
      l.announced = c.before != nullptr;
    } else if (beat != l.beat && !beat.starts_with("Unknown")) {
      l.heard = now;
    }
    l.beat = std::move(beat);
  } else if (c.table == "pods" && c.after && !i->pod.node.empty()) {
    auto node = cache.get("nodes", {}, i->pod.node);
    if (!node || has_execute_taint(node->doc)) queue.add(i->pod.node);
  }
}

outcome node_lifecycle_controller::without_node(const std::string& key, const world& w) {
  outcome out;
  auto pods = w.cache.pods_on(key);
  if (pods.empty() || w.live.get("nodes", {}, key)) {
    if (pods.empty()) lives_.erase(key);
    return out;
  }
  auto& l = lives_[key];
  if (!l.missing_since) l.missing_since = w.now;
  auto end = *l.missing_since + options_.orphan_quarantine;
  if (end > w.now) {
    out.wake(end);
    return out;
  }
  for (const auto& p : pods) {
    auto a = act::remove(refs::pods, p->ns(), p->name(), p->uid);
    jq::at(a.doc, {"gracePeriodSeconds"}) = 0; // nobody is left to confirm an orderly end
    a.untracked = true;
    out.actions.push_back(std::move(a));
  }
  return out;
}

outcome node_lifecycle_controller::reconcile(const std::string& key, const world& w) {
  auto node = w.cache.get("nodes", {}, key);
  if (!node) return without_node(key, w);
  auto& l = lives_[key];
  l.missing_since.reset();
  auto out = node_look({*node, w.cache.pods_on(key), l.heard, options_.grace, w.now});
  if (!l.announced) {
    l.announced = true;
    out.notes.push_back(
        {node->doc, "Normal", "RegisteredNode", "Node " + key + " event: Registered Node " + key + " in Controller"});
  }
  return out;
}

} // namespace troupe::ctl

#include "actors/controllers/node_lifecycle/node_lifecycle_core.hpp"

#include "api/meta/object_meta.hpp"

#include <algorithm>
#include <array>

namespace troupe::ctl {

namespace {

constexpr std::string_view prefix = "node.kubernetes.io/";

/// Taints this controller decides; all others are left alone.
struct rule {
  std::string_view condition, status, taint;
};
constexpr std::array rules{rule{"Ready", "False", "not-ready"},
                           rule{"Ready", "Unknown", "unreachable"},
                           rule{"MemoryPressure", "True", "memory-pressure"},
                           rule{"DiskPressure", "True", "disk-pressure"},
                           rule{"PIDPressure", "True", "pid-pressure"},
                           rule{"NetworkUnavailable", "True", "network-unavailable"}};

class look {
public:
  explicit look(const node_input& in) : in_(in), d_(in.node.doc) {
    for (const auto& c : jq::arr(d_, {"status", "conditions"}))
      status_[std::string{jq::str(c, {"type"})}] = jq::str(c, {"status"});
  }

  outcome run() {
    if (in_.node.deleting) return std::move(out_);
    silence();
    taints();
    if (auto it = status_.find("Ready"); it != status_.end() && it->second != "True") pods_not_ready();
    evict();
    return std::move(out_);
  }

private:
  /// A node not heard of within the grace: its conditions become Unknown.
  void silence() {
    auto end = in_.heard + in_.grace;
    if (end > in_.now) return out_.wake(end);
    json::array conditions;
    for (const char* type : {"Ready", "MemoryPressure", "DiskPressure", "PIDPressure"}) {
      auto it = status_.find(type);
      auto never = it == status_.end();
      if (!never && it->second == "Unknown") continue;
      json::object c{{"type", type}, {"status", "Unknown"}, {"lastTransitionTime", format_time(in_.now)}};
      c["reason"] = never ? "NodeStatusNeverUpdated" : "NodeStatusUnknown";
      c["message"] = never ? "Kubelet never posted node status." : "Kubelet stopped posting node status.";
      if (never) c["lastHeartbeatTime"] = format_time(in_.node.created);
      conditions.emplace_back(std::move(c));
      status_[type] = "Unknown";
    }
    if (conditions.empty()) return;
    json::object status;
    status["conditions"] = std::move(conditions);
    json::object patch{{"metadata", {{"uid", in_.node.uid}}}};
    patch["status"] = std::move(status);
    auto a = act::strategic(refs::nodes, {}, in_.node.name(), std::move(patch), "status");
    a.when_done = note{d_, "Normal", "NodeNotReady", "Node " + in_.node.name() + " status is now: NodeNotReady"};
    out_.actions.push_back(std::move(a));
  }

  bool decided_here(std::string_view key, std::string_view effect) const {
    if (!key.starts_with(prefix)) return false;
    key.remove_prefix(prefix.size());
    if (key == "unschedulable") return effect == "NoSchedule";
    auto it = std::find_if(rules.begin(), rules.end(), [&](const auto& r) { return r.taint == key; });
    if (it == rules.end()) return false;
    return effect == "NoSchedule" || (effect == "NoExecute" && it->condition == "Ready");
  }

  std::vector<node_taint> wanted() const {
    std::vector<node_taint> w;
    auto add = [&](std::string_view name, std::string_view effect) {
      w.push_back({std::string{prefix}.append(name), {}, std::string{effect}, in_.now});
    };
    for (const auto& r : rules) {
      auto it = status_.find(std::string{r.condition});
      if (it == status_.end() || it->second != r.status) continue;
      add(r.taint, "NoSchedule");
      if (r.condition == "Ready") add(r.taint, "NoExecute");
    }
    if (!status_.contains("Ready")) add("not-ready", "NoSchedule"); // a new node, before its first report
    if (jq::flag(d_, {"spec", "unschedulable"})) add("unschedulable", "NoSchedule");
    return w;
  }

  void taints() {
    auto w = wanted();
    json::array list;
    bool changed = false;
    for (const auto& t : jq::arr(d_, {"spec", "taints"})) {
      auto key = jq::str(t, {"key"}), effect = jq::str(t, {"effect"});
      node_taint mine{std::string{key}, std::string{jq::str(t, {"value"})}, std::string{effect},
                      parse_time(jq::str(t, {"timeAdded"}))};
      auto it = std::find_if(w.begin(), w.end(), [&](const auto& x) { return x.key == key && x.effect == effect; });
      if (it != w.end())
        w.erase(it);
      else if (decided_here(key, effect)) {
        changed = true;
        continue;
      }
      list.push_back(t);
      taints_.push_back(std::move(mine));
    }
    for (auto& t : w) {
      json::object o{{"key", t.key}, {"effect", t.effect}};
      if (t.effect == "NoExecute" || t.key.ends_with("unschedulable")) o["timeAdded"] = format_time(in_.now);
      list.emplace_back(std::move(o));
      taints_.push_back(std::move(t));
      changed = true;
    }
    if (!changed) return;
    json::object spec;
    spec["taints"] = list.empty() ? json::value(nullptr) : json::value(std::move(list));
    json::object patch{{"metadata", {{"uid", in_.node.uid}, {"resourceVersion", meta::resource_version(d_)}}}};
    patch["spec"] = std::move(spec);
    out_.actions.push_back(act::merge(refs::nodes, {}, in_.node.name(), std::move(patch)));
    // Both writes of one look carry one resourceVersion: the status goes first, the taints with the next look.
    if (out_.actions.size() > 1) out_.actions.pop_back(), out_.wake(in_.now);
  }

  void pods_not_ready() {
    for (const auto& p : in_.pods) {
      if (!p->pod.ready || p->pod.finished()) continue;
      json::array conditions;
      conditions.emplace_back(
          json::object{{"type", "Ready"}, {"status", "False"}, {"lastTransitionTime", format_time(in_.now)}});
      json::object status;
      status["conditions"] = std::move(conditions);
      json::object patch{{"metadata", {{"uid", p->uid}}}};
      patch["status"] = std::move(status);
      auto a = act::strategic(refs::pods, p->ns(), p->name(), std::move(patch), "status");
      a.when_done = note{p->doc, "Warning", "NodeNotReady", "Node is not ready"};
      out_.actions.push_back(std::move(a));
    }
  }

  void evict() {
    if (std::none_of(taints_.begin(), taints_.end(), [](const auto& t) { return t.effect == "NoExecute"; })) return;
    for (const auto& p : in_.pods) {
      if (p->deleting) continue;
      auto at = eviction_time(p->pod, taints_, in_.now);
      if (!at) continue;
      if (*at > in_.now) {
        out_.wake(*at);
        continue;
      }
      json::array conditions;
      conditions.emplace_back(json::object{{"type", "DisruptionTarget"},
                                           {"status", "True"},
                                           {"reason", "DeletionByTaintManager"},
                                           {"message", "Taint manager: deleting due to NoExecute taint"},
                                           {"lastTransitionTime", format_time(in_.now)}});
      json::object status;
      status["conditions"] = std::move(conditions);
      json::object patch{{"metadata", {{"uid", p->uid}}}};
      patch["status"] = std::move(status);
      out_.actions.push_back(act::strategic(refs::pods, p->ns(), p->name(), std::move(patch), "status"));
      auto a = act::remove(refs::pods, p->ns(), p->name(), p->uid);
      a.when_done =
          note{p->doc, "Normal", "TaintManagerEviction", "Marking for deletion Pod " + p->ns() + "/" + p->name()};
      out_.actions.push_back(std::move(a));
    }
  }

  const node_input& in_;
  const json::value& d_;
  outcome out_;
  std::map<std::string, std::string> status_; // condition -> status, as it will be after this look
  std::vector<node_taint> taints_;            // likewise
};

} // namespace

std::optional<sys_micros> eviction_time(const pod_facts& p, const std::vector<node_taint>& taints, sys_micros now) {
  std::optional<sys_micros> first;
  for (const auto& t : taints) {
    if (t.effect != "NoExecute") continue;
    bool tolerated = false;
    std::optional<std::int64_t> seconds; // the shortest of the matching tolerations
    for (const auto& x : p.tolerations) {
      if ((!x.effect.empty() && x.effect != t.effect) || (!x.key.empty() && x.key != t.key)) continue;
      if (!x.exists && (x.key.empty() || x.value != t.value)) continue;
      tolerated = true;
      if (x.seconds) seconds = seconds ? std::min(*seconds, *x.seconds) : *x.seconds;
    }
    std::optional<sys_micros> at;
    if (!tolerated)
      at = now;
    else if (seconds)
      at = t.added.value_or(now) + std::chrono::seconds{std::max<std::int64_t>(0, *seconds)};
    if (at && (!first || *at < *first)) first = at;
  }
  return first;
}

outcome node_look(const node_input& in) { return look{in}.run(); }

} // namespace troupe::ctl

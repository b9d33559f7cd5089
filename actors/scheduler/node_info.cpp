#include "actors/scheduler/node_info.hpp"

#include "api/meta/object_meta.hpp"

#include <algorithm>

namespace troupe::sched {

const std::string* node_info::label(std::string_view key) const noexcept {
  auto it = std::lower_bound(labels.begin(), labels.end(), key, [](const auto& p, auto k) { return p.first < k; });
  return it != labels.end() && it->first == key ? &it->second : nullptr;
}

void node_info::add(const pod_ptr& p) {
  pods.push_back(p);
  used.add(p->needs);
  score_used.add(p->score_needs);
  ports.insert(ports.end(), p->ports.begin(), p->ports.end());
}

void node_info::remove(const pod_ptr& p) {
  auto it = std::find(pods.begin(), pods.end(), p);
  if (it == pods.end()) return;
  *it = std::move(pods.back());
  pods.pop_back();
  used.add(p->needs, -1);
  score_used.add(p->score_needs, -1);
  if (p->ports.empty()) return;
  ports.clear(); // ports may repeat between pods of one uid's old and new state: rebuild
  for (const auto& q : pods)
    ports.insert(ports.end(), q->ports.begin(), q->ports.end());
}

bool update_node(node_info& n, const json::value& doc) {
  label_list labels;
  for (const auto& [k, v] : meta::labels(doc))
    if (v.is_string()) labels.emplace_back(std::string{k}, std::string{v.get_string()});
  std::sort(labels.begin(), labels.end());
  std::vector<taint> taints;
  for (const auto& t : jq::arr(doc, {"spec", "taints"}))
    taints.push_back(
        {std::string{jq::str(t, {"key"})}, std::string{jq::str(t, {"value"})}, std::string{jq::str(t, {"effect"})}});
  auto unschedulable = jq::flag(doc, {"spec", "unschedulable"});
  const auto& list = jq::obj(doc, {"status", "allocatable"});
  auto have = amounts::from_list(list.empty() ? jq::obj(doc, {"status", "capacity"}) : list);
  auto same = n.listed && labels == n.labels && taints == n.taints && unschedulable == n.unschedulable &&
              have.cpu == n.allocatable.cpu && have.memory == n.allocatable.memory &&
              have.ephemeral == n.allocatable.ephemeral && have.pods == n.allocatable.pods &&
              have.extended == n.allocatable.extended;
  n.name = meta::name(doc);
  n.labels = std::move(labels);
  n.taints = std::move(taints);
  n.unschedulable = unschedulable;
  n.allocatable = std::move(have);
  n.listed = true;
  return !same;
}

} // namespace troupe::sched

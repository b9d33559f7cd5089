#include "actors/scheduler/cluster_state.hpp"

#include "api/meta/object_meta.hpp"

#include <algorithm>

namespace troupe::sched {

node_info& cluster_state::node(std::string_view name) {
  auto& slot = nodes_[std::string{name}];
  if (!slot) {
    slot = std::make_unique<node_info>();
    slot->name = name;
  }
  return *slot;
}

void cluster_state::relist() {
  listed_.clear();
  for (const auto& [name, n] : nodes_)
    if (n->listed) listed_.push_back(n.get());
  std::sort(listed_.begin(), listed_.end(), [](auto* a, auto* b) { return a->name < b->name; });
}

bool cluster_state::put_node(const json::value& doc) {
  auto& n = node(meta::name(doc));
  auto fresh = !n.listed;
  auto changed = update_node(n, doc);
  if (fresh) {
    auto at = std::lower_bound(listed_.begin(), listed_.end(), &n, [](auto* a, auto* b) { return a->name < b->name; });
    listed_.insert(at, &n);
  }
  return changed;
}

bool cluster_state::drop_node(std::string_view name) {
  auto it = nodes_.find(std::string{name});
  if (it == nodes_.end()) return false;
  std::erase(listed_, it->second.get());
  it->second->listed = false;
  if (it->second->pods.empty()) nodes_.erase(it);
  return true;
}

void cluster_state::clear_nodes() {
  std::erase_if(nodes_, [](const auto& e) { return e.second->pods.empty(); });
  for (auto& [name, n] : nodes_)
    n->listed = false;
  relist();
}

void cluster_state::clear_pods() {
  while (!placed_.empty())
    remove(std::string{placed_.begin()->first});
}

void cluster_state::put_namespace(std::string_view name, label_list labels) {
  namespaces_[std::string{name}] = std::move(labels);
}

void cluster_state::drop_namespace(std::string_view name) { namespaces_.erase(std::string{name}); }

void cluster_state::put(const pod_ptr& p, std::string_view where, bool assumed) {
  remove(p->uid);
  auto& n = node(where);
  n.add(p);
  placed_[p->uid] = {p, &n, assumed};
  ++priorities_[p->priority];
  if (!p->anti_affinity.empty()) repelling_[p->uid] = &n;
}

void cluster_state::place(const pod_ptr& p, std::string_view where) { put(p, where, false); }
void cluster_state::assume(const pod_ptr& p, std::string_view where) { put(p, where, true); }

bool cluster_state::forget(std::string_view uid) { return assumed(uid) && remove(uid); }

bool cluster_state::remove(std::string_view uid) {
  auto it = placed_.find(std::string{uid});
  if (it == placed_.end()) return false;
  auto [p, n, assumed] = it->second;
  n->remove(p);
  if (auto c = priorities_.find(p->priority); c != priorities_.end() && --c->second == 0) priorities_.erase(c);
  repelling_.erase(it->first);
  placed_.erase(it);
  if (!n->listed && n->pods.empty()) nodes_.erase(std::string{n->name});
  return true;
}

bool cluster_state::assumed(std::string_view uid) const noexcept {
  auto it = placed_.find(std::string{uid});
  return it != placed_.end() && it->second.assumed;
}

const node_info* cluster_state::find(std::string_view name) const noexcept {
  auto it = nodes_.find(std::string{name});
  return it == nodes_.end() ? nullptr : it->second.get();
}

pod_ptr cluster_state::pod(const std::string& uid) const noexcept {
  auto it = placed_.find(uid);
  return it == placed_.end() ? nullptr : it->second.pod;
}

const label_list& cluster_state::namespace_labels(std::string_view ns) const noexcept {
  static const label_list none;
  auto it = namespaces_.find(std::string{ns});
  return it == namespaces_.end() ? none : it->second;
}

} // namespace troupe::sched

// cluster_state: the scheduler's picture of nodes and placed pods, assumed placements included.
// Owner:  scheduler_actor; pure, called on its thread only.
// Units:  -
// Errors: -
// Source: kube-scheduler internal cache (assume on decide, confirm by watch, forget on failure).
#pragma once

#include "actors/scheduler/node_info.hpp"

#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace troupe::sched {

class cluster_state {
public:
  /// True when scheduling may now go differently.
  bool put_node(const json::value& doc);
  bool drop_node(std::string_view name);
  void put_namespace(std::string_view name, label_list labels);
  void drop_namespace(std::string_view name);
  void clear_nodes();
  void clear_pods();

  /// A pod known to sit on a node (confirms an assumed one), replacing what was known of its uid.
  void place(const pod_ptr& p, std::string_view node);
  /// Planned, not yet seen through the watch.
  void assume(const pod_ptr& p, std::string_view node);
  /// Takes back an assumption; a confirmed placement stays. True when it was there.
  bool forget(std::string_view uid);
  bool remove(std::string_view uid);
  bool assumed(std::string_view uid) const noexcept;
  bool placed(std::string_view uid) const noexcept { return placed_.contains(std::string{uid}); }

  std::span<node_info* const> nodes() const noexcept { return listed_; }
  const node_info* find(std::string_view name) const noexcept;
  const label_list& namespace_labels(std::string_view ns) const noexcept;
  /// Placed pods with required anti-affinity: they also restrict newcomers.
  const std::unordered_map<std::string, const node_info*>& repelling() const noexcept { return repelling_; }
  pod_ptr pod(const std::string& uid) const noexcept;
  std::size_t placed_count() const noexcept { return placed_.size(); }
  /// The lowest priority of any placed pod, when there is one below `than`.
  bool any_below(std::int64_t than) const noexcept { return !priorities_.empty() && priorities_.begin()->first < than; }

private:
  struct placement {
    pod_ptr pod;
    node_info* node = nullptr;
    bool assumed = false;
  };
  node_info& node(std::string_view name);
  void put(const pod_ptr& p, std::string_view node, bool assumed);
  void relist();

  std::unordered_map<std::string, std::unique_ptr<node_info>> nodes_;
  std::vector<node_info*> listed_; // sorted by name, so that one seed gives one run
  std::unordered_map<std::string, placement> placed_;
  std::unordered_map<std::string, const node_info*> repelling_;
  std::unordered_map<std::string, label_list> namespaces_;
  std::map<std::int64_t, std::size_t> priorities_;
};

} // namespace troupe::sched

#include "actors/scheduler/schedule_planner.hpp"

#include "actors/scheduler/filters/host_ports.hpp"
#include "actors/scheduler/filters/node_affinity.hpp"
#include "actors/scheduler/filters/node_name.hpp"
#include "actors/scheduler/filters/node_unschedulable.hpp"
#include "actors/scheduler/filters/pod_affinity.hpp"
#include "actors/scheduler/filters/resources.hpp"
#include "actors/scheduler/filters/taints.hpp"
#include "actors/scheduler/filters/topology_spread.hpp"
#include "actors/scheduler/limits.hpp"
#include "actors/scheduler/scores/balanced.hpp"
#include "actors/scheduler/scores/least_allocated.hpp"
#include "actors/scheduler/scores/pod_preferences.hpp"
#include "actors/scheduler/scores/preferences.hpp"

#include <algorithm>

namespace troupe::sched {

namespace {
// Weights of kube-scheduler's default profile.
constexpr std::int64_t affinity_weight = 2, taint_weight = 3, pod_weight = 2;

void score_all(const pod_request& p, const cluster_state& cluster, std::vector<scored_node>& fits) {
  for (auto& f : fits)
    f.score = scores::least_allocated(p, *f.node) + scores::balanced(p, *f.node);
  std::vector<std::int64_t> raw(fits.size());
  // Scales raw scores to 0..node_score_max over the candidates, as each plugin's NormalizeScore does.
  auto blend = [&](auto&& rule, std::int64_t weight, bool less_is_better) {
    std::int64_t low = 0, high = 0;
    for (std::size_t i = 0; i < fits.size(); ++i) {
      raw[i] = rule(*fits[i].node);
      low = std::min(low, raw[i]);
      high = std::max(high, raw[i]);
    }
    if (high == low) return;
    for (std::size_t i = 0; i < fits.size(); ++i) {
      auto s = (raw[i] - low) * limits::node_score_max / (high - low);
      fits[i].score += weight * (less_is_better ? limits::node_score_max - s : s);
    }
  };
  if (!p.preferred_terms.empty())
    blend([&](const node_info& n) { return scores::preferred_terms(p, n); }, affinity_weight, false);
  if (std::any_of(fits.begin(), fits.end(), [](const auto& f) { return !f.node->taints.empty(); }))
    blend([&](const node_info& n) { return scores::discouraging_taints(p, n); }, taint_weight, true);
  if (scores::pod_preferences wishes{p, cluster}; !wishes.empty()) blend(wishes, pod_weight, false);
}
} // namespace

std::size_t schedule_planner::nodes_to_find(std::size_t all) const noexcept {
  if (all < limits::feasible_nodes_min) return all;
  auto percent = static_cast<std::size_t>(options_.percentage_of_nodes_to_score);
  if (percent == 0) percent = std::max<std::size_t>(5, all >= 5625 ? 5 : 50 - all / 125);
  return percent >= 100 ? all : std::max(limits::feasible_nodes_min, all * percent / 100);
}

plan schedule_planner::choose(const pod_request& p, const cluster_state& cluster, random_source& ties) {
  plan out;
  auto nodes = cluster.nodes();
  out.all_nodes = nodes.size();
  if (nodes.empty()) return out;
  filters::pod_affinity affinity{p, cluster};
  filters::topology_spread spread{p, cluster};
  auto fits = [&](const node_info& n) {
    return filters::node_unschedulable(p, n, out.why) && filters::node_name(p, n, out.why) &&
           filters::taints(p, n, out.why) && filters::node_affinity(p, n, out.why) &&
           filters::host_ports(p, n, out.why) && filters::resources(p, n, out.why) && spread(n, out.why) &&
           affinity(n, out.why);
  };
  auto enough = nodes_to_find(nodes.size());
  out.fits.reserve(enough);
  auto at = next_start_ % nodes.size();
  while (out.looked_at < nodes.size() && out.fits.size() < enough) {
    const auto* n = nodes[at];
    if (fits(*n))
      out.fits.push_back({n, 0});
    else
      out.why.next_node();
    ++out.looked_at;
    if (++at == nodes.size()) at = 0;
  }
  next_start_ = at;
  if (out.fits.empty()) return out;
  score_all(p, cluster, out.fits);
  const scored_node* best = nullptr;
  std::uint64_t equals = 0;
  for (const auto& f : out.fits) {
    if (best && f.score < best->score) continue;
    if (!best || f.score > best->score) {
      best = &f;
      equals = 1;
    } else if (ties.below(++equals) == 0) {
      best = &f; // every one of the equals is equally likely
    }
  }
  out.node = best->node->name;
  return out;
}

std::string schedule_planner::explain(const plan& made, const pod_request& p, const cluster_state& cluster) {
  if (made.all_nodes == 0) return "no nodes available to schedule pods";
  std::string preemption = "preemption: ";
  if (p.preemption_policy == "Never") {
    preemption += "not eligible due to preemptionPolicy=Never.";
  } else if (cluster.any_below(p.priority) && made.why.finals() < made.all_nodes) {
    preemption += "lower-priority pods exist, but this scheduler does not preempt.";
  } else {
    refusals r;
    for (std::size_t i = 0; i < made.why.nodes(); ++i) {
      auto hopeless = i < made.why.finals();
      r.add(hopeless ? "Preemption is not helpful for scheduling" : "No preemption victims found for incoming pod",
            true);
      r.next_node();
    }
    preemption += r.text(made.all_nodes, {});
  }
  return made.why.text(made.all_nodes, preemption);
}

} // namespace troupe::sched

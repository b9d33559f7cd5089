// refusals: why nodes were refused, counted per reason, as kube-scheduler words it.
// Owner:  one planning run.
// Units:  counts of nodes.
// Errors: -
// Source: kube-scheduler framework.FitError.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::sched {

class refusals {
public:
  /// One node, one reason. `final`: evicting pods from that node would not help.
  void add(std::string_view reason, bool final) {
    for (auto& [r, n] : counts_)
      if (r == reason) {
        ++n;
        last_final_ = last_final_ || final;
        return;
      }
    counts_.emplace_back(reason, 1);
    last_final_ = last_final_ || final;
  }
  /// Closes the node whose reasons were just added.
  void next_node() {
    ++nodes_;
    if (last_final_) ++finals_;
    last_final_ = false;
  }
  std::size_t nodes() const noexcept { return nodes_; }
  std::size_t finals() const noexcept { return finals_; }
  const std::vector<std::pair<std::string, std::size_t>>& counts() const noexcept { return counts_; }
  /// `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) were unschedulable. preemption: …`
  std::string text(std::size_t all_nodes, std::string_view preemption) const;

private:
  std::vector<std::pair<std::string, std::size_t>> counts_;
  std::size_t nodes_ = 0, finals_ = 0;
  bool last_final_ = false;
};

} // namespace troupe::sched

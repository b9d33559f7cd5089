// node_info: one node with the running sums of what its pods use, updated as pods come and go.
// Owner:  cluster_state; read by filters and scores.
// Units:  see amounts.hpp.
// Errors: -
// Source: kube-scheduler framework.NodeInfo.
#pragma once

#include "actors/scheduler/pod_request.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::sched {

struct node_info {
  std::string name;
  label_list labels;
  std::vector<taint> taints;
  bool unschedulable = false;
  bool listed = false; // false: the node is gone but some of its pods are still known
  amounts allocatable;
  amounts used, score_used;
  std::vector<host_port> ports;
  std::vector<pod_ptr> pods;

  const std::string* label(std::string_view key) const noexcept;
  void add(const pod_ptr& p);
  void remove(const pod_ptr& p);
};

/// Replaces what the Node object says and keeps the sums. True when something that matters to scheduling changed.
bool update_node(node_info& n, const json::value& doc);

} // namespace troupe::sched

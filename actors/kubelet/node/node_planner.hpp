// node_planner: the Node object and its Lease, made from readings of the host.
// Owner:  nobody; pure.
// Units:  memory and disk in bytes, printed in Ki.
// Errors: -
// Source: Kubernetes core/v1 Node, kubelet nodestatus.
#pragma once

#include "actors/kubelet/kubelet.hpp"
#include "actors/kubelet/pod/pod_model.hpp"
#include "api/json.hpp"

#include <string>
#include <vector>

namespace troupe::kubelet {

struct host_reading {
  std::int64_t cpus = 1, memory_bytes = 0, memory_available_bytes = 0;
  std::int64_t disk_bytes = 0, disk_available_bytes = 0, inodes = 0, inodes_free = 0;
  std::int64_t pids_max = 0, pids_used = 0;
  std::string kernel, os_image, machine_id, system_uuid, boot_id, architecture;
  std::string runtime; // e.g. crun 1.8.1
  std::string fault;   // of engine.check_host: the node is NotReady with this sentence
};

struct node_image {
  std::vector<std::string> names;
  std::uint64_t bytes = 0;
};

/// The object to create; status included.
json::object plan_node(const kubelet_options& o, const host_reading& h, const std::vector<node_image>& images,
                       wall_time now);
/// The status as it should be now. `before`: the status in the API, for transition and heartbeat times.
json::object plan_node_status(const kubelet_options& o, const host_reading& h, const std::vector<node_image>& images,
                              const json::value& before, wall_time now);
/// True when something beside heartbeat times differs.
bool node_status_differs(const json::value& before, const json::object& after);
json::object plan_lease(const kubelet_options& o, const std::string& node_uid, wall_time now);
json::object standard_labels(const kubelet_options& o, const host_reading& h);

} // namespace troupe::kubelet

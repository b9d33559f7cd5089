// host_backend: reads what the host is and how full it is.
// Owner:  a worker thread; blocks for a few file reads.
// Units:  bytes.
// Errors: what cannot be read stays zero or empty.
// Source: proc(5), statvfs(3), os-release(5).
#pragma once

#include "actors/kubelet/node/node_planner.hpp"

namespace troupe::kubelet {

host_reading read_host(const std::string& data_dir);
/// A hollow node's made-up machine.
host_reading hollow_host(const kubelet_options& o);

} // namespace troupe::kubelet

// probe_backend: runs one HTTP or TCP probe over the network without holding a thread.
// Owner:  the io thread; `done` is called on it, exactly once.
// Units:  timeout covers connect, TLS, request and answer.
// Errors: a failed probe is an outcome with the kubelet's sentence.
// Source: Kubernetes kubelet probe/http and probe/tcp: 200..399 is success, certificates are not verified.
#pragma once

#include "actors/kubelet/probe/probe_core.hpp"

#include <functional>
#include <string>

namespace troupe::kubelet {

class io_thread;

using probe_done = std::function<void(probe_outcome)>;

void probe_http(io_thread& io, const probe_spec& spec, const std::string& pod_ip, probe_done done);
void probe_tcp(io_thread& io, const probe_spec& spec, const std::string& pod_ip, probe_done done);

} // namespace troupe::kubelet

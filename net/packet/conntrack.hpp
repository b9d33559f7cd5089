// conntrack: forgets UDP flows that still lead to endpoints which are gone.
// Owner:  -; blocks for milliseconds (one dump of the UDP entries).
// Units:  addresses in host byte order; port 0 matches any.
// Errors: status with the kernel's errno text.
// Source: kube-proxy conntrack cleanup; ctnetlink.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace troupe::net {

/// A flow to forget: sent to `address:port` (0: any address) and answered by `backend:backend_port` (backend 0: flows
/// that were not translated, that is, answered by the address they were sent to).
struct stale_flow {
  std::uint32_t address = 0;
  std::uint16_t port = 0;
  std::uint32_t backend = 0;
  std::uint16_t backend_port = 0;
  /// When not empty, `backend` is ignored: every flow that is answered by none of these is forgotten.
  std::vector<std::pair<std::uint32_t, std::uint16_t>> unless = {};
};

/// Returns how many entries were removed.
result<std::size_t> forget_udp_flows(const std::vector<stale_flow>& stale);

} // namespace troupe::net

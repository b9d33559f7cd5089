// amounts: what a pod asks for and a node has, in plain integers for fast comparison.
// Owner:  nobody; plain value.
// Units:  cpu in milli-cores, memory and ephemeral storage in bytes, extended resources in whole units.
// Errors: unparsable quantities count as zero (the API validated them).
// Source: kube-scheduler framework.Resource; pod effective requests of KEP-753 (sidecar containers).
#pragma once

#include "api/json.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::sched {

struct amounts {
  std::int64_t cpu = 0, memory = 0, ephemeral = 0, pods = 0;
  std::vector<std::pair<std::string, std::int64_t>> extended; // sorted by name

  static amounts from_list(const json::object& list);
  std::int64_t extended_of(std::string_view name) const noexcept;
  void add(const amounts& o, int sign = 1);
  /// Element-wise maximum.
  void raise_to(const amounts& o);
};

/// Sum of containers, against the peaks of init containers, restartable init containers counted as running, plus
/// overhead. `for_score` replaces absent cpu and memory requests of containers by the scoring defaults.
amounts effective_requests(const json::value& pod, bool for_score);

} // namespace troupe::sched

// node_affinity: nodeSelector and required node affinity.
// Owner:  -; pure.
// Units:  -
// Errors: adds its reason to `why`.
// Source: kube-scheduler NodeAffinity: the selector and any one of the terms must hold.
#pragma once

#include "actors/scheduler/node_info.hpp"
#include "actors/scheduler/refusals.hpp"

#include <algorithm>

namespace troupe::sched::filters {

inline bool selected(const pod_request& p, const node_info& n) {
  for (const auto& [k, v] : p.node_selector) {
    auto have = n.label(k);
    if (!have || *have != v) return false;
  }
  return !p.has_required_terms || std::any_of(p.required_terms.begin(), p.required_terms.end(),
                                              [&](const auto& t) { return t.matches(n.labels, n.name); });
}

inline bool node_affinity(const pod_request& p, const node_info& n, refusals& why) {
  if (selected(p, n)) return true;
  why.add("node(s) didn't match Pod's node affinity/selector", true);
  return false;
}

} // namespace troupe::sched::filters

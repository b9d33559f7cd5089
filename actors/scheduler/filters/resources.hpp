// resources: refuses nodes without room; names every resource that is short.
// Owner:  -; pure.
// Units:  see amounts.hpp.
// Errors: adds one reason per resource to `why`.
// Source: kube-scheduler NodeResourcesFit.
#pragma once

#include "actors/scheduler/node_info.hpp"
#include "actors/scheduler/refusals.hpp"

namespace troupe::sched::filters {

inline bool resources(const pod_request& p, const node_info& n, refusals& why) {
  const auto &want = p.needs, &have = n.allocatable, &used = n.used;
  bool ok = true;
  if (used.pods + 1 > have.pods) {
    why.add("Too many pods", false);
    ok = false;
  }
  auto check = [&](std::string_view reason, std::int64_t w, std::int64_t h, std::int64_t u) {
    if (w == 0 || w <= h - u) return;
    why.add(reason, w > h);
    ok = false;
  };
  check("Insufficient cpu", want.cpu, have.cpu, used.cpu);
  check("Insufficient memory", want.memory, have.memory, used.memory);
  check("Insufficient ephemeral-storage", want.ephemeral, have.ephemeral, used.ephemeral);
  for (const auto& [name, amount] : want.extended)
    check("Insufficient " + name, amount, have.extended_of(name), used.extended_of(name));
  return ok;
}

} // namespace troupe::sched::filters

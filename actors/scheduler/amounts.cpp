#include "actors/scheduler/amounts.hpp"

#include "actors/scheduler/limits.hpp"
#include "api/meta/quantity.hpp"

#include <algorithm>

namespace troupe::sched {

amounts amounts::from_list(const json::object& list) {
  amounts a;
  for (const auto& [k, v] : list) {
    auto q = quantity::parse_or_zero(&v);
    std::string_view name{k.data(), k.size()};
    if (name == "cpu")
      a.cpu = q.milli();
    else if (name == "memory")
      a.memory = q.units();
    else if (name == "ephemeral-storage")
      a.ephemeral = q.units();
    else if (name == "pods")
      a.pods = q.units();
    else
      a.extended.emplace_back(name, q.units());
  }
  std::sort(a.extended.begin(), a.extended.end());
  return a;
}

namespace {
auto slot(std::vector<std::pair<std::string, std::int64_t>>& list, const std::string& name) {
  auto it = std::lower_bound(list.begin(), list.end(), name, [](const auto& p, const auto& n) { return p.first < n; });
  if (it == list.end() || it->first != name) it = list.emplace(it, name, 0);
  return it;
}
} // namespace

std::int64_t amounts::extended_of(std::string_view name) const noexcept {
  auto it = std::lower_bound(extended.begin(), extended.end(), name, [](const auto& p, auto n) { return p.first < n; });
  return it != extended.end() && it->first == name ? it->second : 0;
}

void amounts::add(const amounts& o, int sign) {
  cpu += sign * o.cpu;
  memory += sign * o.memory;
  ephemeral += sign * o.ephemeral;
  pods += sign * o.pods;
  for (const auto& [k, v] : o.extended)
    slot(extended, k)->second += sign * v;
}

void amounts::raise_to(const amounts& o) {
  cpu = std::max(cpu, o.cpu);
  memory = std::max(memory, o.memory);
  ephemeral = std::max(ephemeral, o.ephemeral);
  pods = std::max(pods, o.pods);
  for (const auto& [k, v] : o.extended) {
    auto it = slot(extended, k);
    it->second = std::max(it->second, v);
  }
}

amounts effective_requests(const json::value& pod, bool for_score) {
  auto of = [&](const json::value& container) {
    const auto& list = jq::obj(container, {"resources", "requests"});
    auto a = amounts::from_list(list);
    if (for_score) {
      if (!list.contains("cpu")) a.cpu = limits::default_milli_cpu;
      if (!list.contains("memory")) a.memory = limits::default_memory_bytes;
    }
    return a;
  };
  amounts sum, sidecars, peak;
  for (const auto& c : jq::arr(pod, {"spec", "containers"}))
    sum.add(of(c));
  for (const auto& c : jq::arr(pod, {"spec", "initContainers"})) {
    auto a = of(c);
    if (jq::str(c, {"restartPolicy"}) == "Always") { // runs on beside everything after it
      sidecars.add(a);
      peak.raise_to(sidecars);
    } else {
      a.add(sidecars);
      peak.raise_to(a);
    }
  }
  sum.add(sidecars);
  sum.raise_to(peak);
  sum.add(amounts::from_list(jq::obj(pod, {"spec", "overhead"})));
  sum.pods = 1;
  return sum;
}

} // namespace troupe::sched

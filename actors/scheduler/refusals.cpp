#include "actors/scheduler/refusals.hpp"

#include <algorithm>

namespace troupe::sched {

std::string refusals::text(std::size_t all_nodes, std::string_view preemption) const {
  std::vector<std::string> lines;
  lines.reserve(counts_.size());
  for (const auto& [reason, n] : counts_)
    lines.push_back(std::to_string(n) + " " + reason);
  std::sort(lines.begin(), lines.end());
  std::string out = "0/" + std::to_string(all_nodes) + " nodes are available:";
  for (std::size_t i = 0; i < lines.size(); ++i)
    out.append(i ? ", " : " ").append(lines[i]);
  if (!lines.empty()) out += ".";
  if (!preemption.empty()) out.append(" ").append(preemption);
  return out;
}

} // namespace troupe::sched

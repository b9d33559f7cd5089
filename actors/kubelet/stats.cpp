#include "actors/kubelet/stats.hpp"

#include "actors/kubelet/node/host_backend.hpp"
#include "api/meta/time.hpp"

namespace troupe::kubelet {

namespace {
json::object usage_of(const runtime::usage& u, const std::string& at, json::object out) {
  out["cpu"] = json::object{{"time", at}, {"usageCoreNanoSeconds", u.cpu_ns}};
  out["memory"] = json::object{{"time", at}, {"workingSetBytes", u.memory_bytes}};
  return out;
}
} // namespace

std::string stats_summary(const kubelet_context& ctx, const std::vector<pod_ref>& pods, wall_time now) {
  auto at = format_time(std::chrono::floor<std::chrono::seconds>(now));
  std::map<std::string, json::array> by_pod;
  std::map<std::string, runtime::usage> totals;
  for (const auto& c : ctx.options.engine->containers()) {
    if (c.phase != runtime::container_phase::running) continue;
    auto u = ctx.options.engine->stats(c.id);
    if (!u) continue;
    by_pod[c.sandbox_id].push_back(usage_of(*u, at, {{"name", c.name}}));
    totals[c.sandbox_id].cpu_ns += u->cpu_ns;
    totals[c.sandbox_id].memory_bytes += u->memory_bytes;
  }
  json::array list;
  for (const auto& p : pods) {
    json::object o{{"podRef", {{"name", p.name}, {"namespace", p.ns}, {"uid", p.uid}}}, {"containers", by_pod[p.uid]}};
    list.push_back(usage_of(totals[p.uid], at, std::move(o)));
  }
  json::object node{{"nodeName", ctx.options.node_name}};
  if (!ctx.options.hollow) {
    auto h = read_host(ctx.options.data_dir);
    node["memory"] = json::object{{"time", at},
                                  {"availableBytes", h.memory_available_bytes},
                                  {"workingSetBytes", h.memory_bytes - h.memory_available_bytes}};
    node["fs"] =
        json::object{{"time", at}, {"availableBytes", h.disk_available_bytes}, {"capacityBytes", h.disk_bytes}};
  }
  return json::serialize(json::object{{"node", std::move(node)}, {"pods", std::move(list)}});
}

} // namespace troupe::kubelet

#include "api/kinds/rules.hpp"

#include <map>

namespace troupe::kinds {

namespace {

void pod_warnings(std::vector<std::string>& out, const json::value& spec, const std::string& path) {
  static constexpr std::pair<std::string_view, std::string_view> labels[] = {
      {"beta.kubernetes.io/arch", "kubernetes.io/arch"},
      {"beta.kubernetes.io/os", "kubernetes.io/os"},
      {"failure-domain.beta.kubernetes.io/region", "topology.kubernetes.io/region"},
      {"failure-domain.beta.kubernetes.io/zone", "topology.kubernetes.io/zone"},
      {"beta.kubernetes.io/instance-type", "node.kubernetes.io/instance-type"}};
  for (const auto& [old, now] : labels)
    if (jq::find(spec, {"nodeSelector", old}))
      out.push_back(path + ".nodeSelector[" + std::string{old} + "]: deprecated since v1.14; use \"" +
                    std::string{now} + "\" instead");
  const auto& volumes = jq::arr(spec, {"volumes"});
  for (std::size_t i = 0; i < volumes.size(); ++i)
    if (jq::find(volumes[i], {"gitRepo"})) out.push_back(index(path + ".volumes", i) + ".gitRepo: deprecated in v1.11");
  for (auto list : {"initContainers", "containers"}) {
    const auto& containers = jq::arr(spec, {list});
    for (std::size_t i = 0; i < containers.size(); ++i) {
      std::map<std::string_view, std::size_t> seen;
      const auto& env = jq::arr(containers[i], {"env"});
      for (std::size_t j = 0; j < env.size(); ++j) {
        const auto name = jq::str(env[j], {"name"});
        if (seen.emplace(name, j).second) continue;
        out.push_back(index(index(path + "." + list, i) + ".env", j) + ": hides previous definition of \"" +
                      std::string{name} + "\", which may be dropped when using apply");
      }
    }
  }
}

} // namespace

std::vector<std::string> warnings(const schema::resource& r, const json::value& obj) {
  std::vector<std::string> out;
  if (r.kind == "Pod")
    pod_warnings(out, at(obj, {"spec"}), "spec");
  else if (const auto* t = jq::find(obj, {"spec", "template", "spec"}))
    pod_warnings(out, *t, "spec.template.spec");
  else if (const auto* j = jq::find(obj, {"spec", "jobTemplate", "spec", "template", "spec"}))
    pod_warnings(out, *j, "spec.jobTemplate.spec.template.spec");
  return out;
}

} // namespace troupe::kinds

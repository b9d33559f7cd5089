#include "actors/kubelet/spec/resource_planner.hpp"

#include "api/meta/quantity.hpp"

#include <algorithm>

namespace troupe::kubelet {

namespace {
constexpr std::int64_t period_us = 100000;

std::int64_t milli(const json::value& c, std::string_view kind) {
  return quantity::parse_or_zero(jq::find(c, {"resources", kind, "cpu"})).milli();
}
std::int64_t bytes(const json::value& c, std::string_view kind) {
  return quantity::parse_or_zero(jq::find(c, {"resources", kind, "memory"})).units();
}

/// Requests default to limits; the API does that, but an init container of a bare manifest may lack it.
std::int64_t requested_milli(const json::value& c) {
  auto m = milli(c, "requests");
  return m ? m : milli(c, "limits");
}

int oom_score(std::string_view qos, std::int64_t memory_request, std::int64_t node_memory) {
  if (qos == "Guaranteed") return -997;
  if (qos == "BestEffort") return 1000;
  auto score = 1000 - (node_memory > 0 ? 1000 * memory_request / node_memory : 0);
  return static_cast<int>(std::clamp<std::int64_t>(score, 3, 999));
}
} // namespace

std::int64_t milli_cpu_to_shares(std::int64_t m) noexcept {
  return std::clamp<std::int64_t>(m * 1024 / 1000, 2, 262144);
}

std::int64_t milli_cpu_to_quota_us(std::int64_t m) noexcept {
  return m <= 0 ? 0 : std::max<std::int64_t>(m * period_us / 1000, 1000);
}

runtime::resource_limits plan_container_limits(const json::value& c, std::string_view qos, std::int64_t node_memory) {
  runtime::resource_limits l;
  l.cpu_shares = milli_cpu_to_shares(requested_milli(c));
  l.cpu_quota_us = milli_cpu_to_quota_us(milli(c, "limits"));
  l.cpu_period_us = period_us;
  l.memory_bytes_max = bytes(c, "limits");
  l.oom_score_adj = oom_score(qos, bytes(c, "requests"), node_memory);
  return l;
}

runtime::resource_limits plan_pod_limits(const json::value& pod) {
  std::int64_t requested = 0, cpu = 0, memory = 0, init_requested = 0;
  bool all_cpu = true, all_memory = true;
  for (const auto& c : jq::arr(pod, {"spec", "containers"})) {
    requested += requested_milli(c);
    cpu += milli(c, "limits");
    memory += bytes(c, "limits");
    all_cpu = all_cpu && milli(c, "limits") > 0;
    all_memory = all_memory && bytes(c, "limits") > 0;
  }
  for (const auto& c : jq::arr(pod, {"spec", "initContainers"})) {
    bool sidecar = jq::str(c, {"restartPolicy"}) == "Always";
    all_cpu = all_cpu && milli(c, "limits") > 0;
    all_memory = all_memory && bytes(c, "limits") > 0;
    if (sidecar) {
      requested += requested_milli(c);
      cpu += milli(c, "limits");
      memory += bytes(c, "limits");
    } else {
      init_requested = std::max(init_requested, requested_milli(c));
      cpu = std::max(cpu, milli(c, "limits"));
      memory = std::max(memory, bytes(c, "limits"));
    }
  }
  runtime::resource_limits l;
  l.cpu_shares = milli_cpu_to_shares(std::max(requested, init_requested));
  l.cpu_quota_us = all_cpu ? milli_cpu_to_quota_us(cpu) : 0;
  l.cpu_period_us = period_us;
  l.memory_bytes_max = all_memory ? memory : 0;
  return l;
}

namespace {

/// The container's own setting, else the pod's.
const json::value* either(const json::value& pod, const json::value& c, std::string_view key) {
  if (auto* v = jq::find(c, {"securityContext", key})) return v;
  return jq::find(pod, {"spec", "securityContext", key});
}

std::optional<std::int64_t> id_of(const json::value* v) {
  if (!v) return std::nullopt;
  return jq::maybe_num(*v, {});
}

void capabilities(const json::value& c, std::string_view key, std::vector<std::string>& out) {
  for (const auto& x : jq::arr(c, {"securityContext", "capabilities", key})) {
    std::string name{x.as_string()};
    if (name.starts_with("CAP_")) name.erase(0, 4);
    out.push_back(std::move(name));
  }
}

result<void> check_non_root(const json::value& pod, const json::value& c, const runtime::security& s,
                            std::string_view image_user) {
  auto* want = either(pod, c, "runAsNonRoot");
  if (!want || !want->is_bool() || !want->as_bool()) return {};
  std::string who = "container " + std::string{jq::str(c, {"name"})};
  if (s.uid) {
    if (*s.uid != 0) return {};
    return errors::bad_request("container's runAsUser breaks non-root policy (" + who + ")");
  }
  auto user = image_user.substr(0, image_user.find(':'));
  if (user.empty() || user == "0" || user == "root")
    return errors::bad_request("container has runAsNonRoot and image will run as root (" + who + ")");
  if (user.find_first_not_of("0123456789") != std::string_view::npos)
    return errors::bad_request("container has runAsNonRoot and image has non-numeric user (" + std::string{user} +
                               "), cannot verify user is non-root (" + who + ")");
  return {};
}

} // namespace

result<runtime::security> plan_security(const json::value& pod, const json::value& c, std::string_view image_user) {
  runtime::security s;
  s.privileged = jq::flag(c, {"securityContext", "privileged"});
  s.read_only_rootfs = jq::flag(c, {"securityContext", "readOnlyRootFilesystem"});
  s.no_new_privileges = !jq::flag(c, {"securityContext", "allowPrivilegeEscalation"}, true);
  s.uid = id_of(either(pod, c, "runAsUser"));
  s.gid = id_of(either(pod, c, "runAsGroup"));
  for (const auto& g : jq::arr(pod, {"spec", "securityContext", "supplementalGroups"}))
    s.supplemental_groups.push_back(jq::num(g, {}));
  if (auto fs = jq::maybe_num(pod, {"spec", "securityContext", "fsGroup"})) s.supplemental_groups.push_back(*fs);
  capabilities(c, "add", s.add_capabilities);
  capabilities(c, "drop", s.drop_capabilities);
  if (auto* p = either(pod, c, "seccompProfile")) {
    auto type = jq::str(*p, {"type"});
    if (type == "Localhost")
      return errors::bad_request("seccompProfile of type Localhost is not supported by this node");
    s.seccomp = type;
  }
  if (auto r = check_non_root(pod, c, s, image_user); !r) return r.error();
  return s;
}

} // namespace troupe::kubelet

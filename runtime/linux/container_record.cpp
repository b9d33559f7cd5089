// container_record: what is kept on disk of a container and a sandbox, so that a later process can adopt them.
#include "runtime/linux/container_record.hpp"

namespace troupe::runtime::linux_host {
namespace {

constexpr const char* phase_names[] = {"creating", "created", "started"};

std::optional<json::value> parse(std::string_view bytes) {
  json::error_code ec;
  auto v = json::parse({bytes.data(), bytes.size()}, ec);
  if (ec || !v.is_object()) return std::nullopt;
  return v;
}

std::string text(const json::value& v, std::string_view key) { return std::string(jq::str(v, {key})); }

} // namespace

std::string encode(const container_record& r) {
  json::object labels;
  for (const auto& [k, v] : r.labels)
    labels[k] = v;
  return json::serialize(json::object{{"id", r.id},
                                      {"sandbox", r.sandbox_id},
                                      {"name", r.name},
                                      {"image", r.image},
                                      {"logPath", r.log_path},
                                      {"cgroup", r.cgroup},
                                      {"boot", r.boot},
                                      {"attempt", r.attempt},
                                      {"terminal", r.terminal},
                                      {"phase", phase_names[static_cast<int>(r.phase)]},
                                      {"pid", r.pid},
                                      {"conmonPid", r.conmon_pid},
                                      {"pidStarted", r.pid_started},
                                      {"conmonStarted", r.conmon_started},
                                      {"createdNs", r.created_ns},
                                      {"startedNs", r.started_ns},
                                      {"labels", std::move(labels)}});
}

std::optional<container_record> decode_container(std::string_view bytes) {
  const auto v = parse(bytes);
  if (!v) return std::nullopt;
  container_record r;
  r.id = text(*v, "id");
  r.sandbox_id = text(*v, "sandbox");
  r.name = text(*v, "name");
  r.image = text(*v, "image");
  r.log_path = text(*v, "logPath");
  r.cgroup = text(*v, "cgroup");
  r.boot = text(*v, "boot");
  r.attempt = static_cast<int>(jq::num(*v, {"attempt"}));
  r.terminal = jq::flag(*v, {"terminal"});
  const auto phase = text(*v, "phase");
  for (int i = 0; i < 3; ++i)
    if (phase == phase_names[i]) r.phase = static_cast<record_phase>(i);
  r.pid = static_cast<int>(jq::num(*v, {"pid"}));
  r.conmon_pid = static_cast<int>(jq::num(*v, {"conmonPid"}));
  r.pid_started = static_cast<std::uint64_t>(jq::num(*v, {"pidStarted"}));
  r.conmon_started = static_cast<std::uint64_t>(jq::num(*v, {"conmonStarted"}));
  r.created_ns = jq::num(*v, {"createdNs"});
  r.started_ns = jq::num(*v, {"startedNs"});
  for (const auto& kv : jq::obj(*v, {"labels"}))
    if (kv.value().is_string()) r.labels[std::string(kv.key())] = std::string(jq::view(kv.value().as_string()));
  if (r.id.empty() || r.sandbox_id.empty()) return std::nullopt;
  return r;
}

std::string encode(const sandbox_record& r) {
  return json::serialize(json::object{{"id", r.info.id},
                                      {"namespace", r.info.ns},
                                      {"name", r.info.name},
                                      {"netns", r.info.netns_path},
                                      {"cgroup", r.info.cgroup_parent},
                                      {"hostname", r.hostname},
                                      {"boot", r.boot},
                                      {"hostNetwork", r.host_network},
                                      {"hostIpc", r.host_ipc},
                                      {"hostPid", r.host_pid}});
}

std::optional<sandbox_record> decode_sandbox(std::string_view bytes) {
  const auto v = parse(bytes);
  if (!v) return std::nullopt;
  sandbox_record r;
  r.info = {text(*v, "id"), text(*v, "namespace"), text(*v, "name"), text(*v, "netns"), text(*v, "cgroup")};
  r.hostname = text(*v, "hostname");
  r.boot = text(*v, "boot");
  r.host_network = jq::flag(*v, {"hostNetwork"});
  r.host_ipc = jq::flag(*v, {"hostIpc"});
  r.host_pid = jq::flag(*v, {"hostPid"});
  if (r.info.id.empty()) return std::nullopt;
  return r;
}

} // namespace troupe::runtime::linux_host

#include "actors/kubelet/start_job.hpp"

#include "actors/kubelet/pod/pod_status.hpp"
#include "actors/kubelet/spec/dns_planner.hpp"
#include "actors/kubelet/spec/resource_planner.hpp"

#include <filesystem>

namespace troupe::kubelet {

namespace {

void add_environment(const env_list& env, runtime::container_spec& s) {
  for (const auto& [k, v] : env)
    s.env.push_back(k + "=" + v);
}

/// /etc/hosts and /etc/resolv.conf of the pod, unless the container mounts its own there.
result<void> add_pod_files(const start_input& in, runtime::container_spec& s) {
  const auto& o = in.ctx->options;
  const auto& pod = *in.model->doc;
  auto dir = in.ctx->pod_dir(in.model->uid);
  auto taken = [&](std::string_view path) {
    for (const auto& m : s.mounts)
      if (m.destination == path) return true;
    return false;
  };
  auto add = [&](const std::string& file, const std::string& text, std::string_view path) -> result<void> {
    if (taken(path)) return {};
    auto full = dir + "/" + file;
    std::error_code ec;
    // Made once: other containers of the pod have this very file mounted.
    if (!std::filesystem::exists(full, ec))
      if (auto r = replace_file(full, text, 0644); !r) return r;
    s.mounts.push_back({.source = full, .destination = std::string{path}});
    return {};
  };
  auto host_file = [](const char* path) {
    auto text = read_small_file(path);
    return text ? *text : std::string{};
  };
  if (auto r = make_dirs(dir, 0750); !r) return r;
  if (auto r =
          add("etc-hosts", plan_hosts(pod, in.facts.pod_ip, o.cluster_domain, host_file("/etc/hosts")), "/etc/hosts");
      !r)
    return r;
  dns_setup dns{o.cluster_dns, o.cluster_domain, host_file("/etc/resolv.conf")};
  return add("resolv.conf", plan_resolv_conf(pod, dns), "/etc/resolv.conf");
}

result<void> add_mounts(const start_input& in, const env_list& env, runtime::container_spec& s) {
  if (in.ctx->options.hollow) return {};
  auto plan = plan_mounts(*in.model->containers[static_cast<std::size_t>(in.container)].doc, env);
  if (!plan) return plan.error();
  static const volume_places none;
  auto mounts = place_mounts(*plan, in.places ? *in.places : none);
  if (!mounts) return mounts.error();
  s.mounts = std::move(*mounts);
  if (auto r = add_pod_files(in, s); !r) return r;
  return make_dirs(std::filesystem::path{s.log_path}.parent_path().string(), 0755);
}

result<runtime::container_spec> make_spec(const start_input& in) {
  const auto& c = in.model->containers[static_cast<std::size_t>(in.container)];
  runtime::container_spec s;
  s.id = pod_core::container_id(in.model->uid, c.name, in.attempt);
  s.sandbox_id = in.model->uid;
  s.name = c.name;
  s.attempt = in.attempt;
  s.image = in.image_id;
  s.log_path = in.ctx->log_path(*in.model, c.name, in.attempt);
  auto image = in.ctx->options.images ? in.ctx->options.images->find(in.image_id) : std::nullopt;
  runtime::image_config config = image ? image->config : runtime::image_config{};
  auto env = plan_env(*in.model->doc, *c.doc, in.facts, in.ctx->cluster);
  if (!env) return env.error();
  add_environment(*env, s);
  s.args = merge_command(plan_command(*c.doc, *env), config.entrypoint, config.cmd);
  if (s.args.empty() && !in.ctx->options.hollow)
    return errors::bad_request("no command specified: neither the container nor its image names one");
  s.cwd = jq::str(*c.doc, {"workingDir"}, config.working_dir);
  auto sec = plan_security(*in.model->doc, *c.doc, config.user);
  if (!sec) return sec.error();
  s.sec = std::move(*sec);
  s.limits = plan_container_limits(*c.doc, qos_class(*in.model->doc), in.ctx->node_memory_bytes);
  s.terminal = c.terminal;
  s.open_stdin = c.open_stdin;
  s.stdin_once = jq::flag(*c.doc, {"stdinOnce"});
  s.termination_message_path = jq::str(*c.doc, {"terminationMessagePath"}, "/dev/termination-log");
  s.labels = {{"io.kubernetes.pod.name", in.model->name},
              {"io.kubernetes.pod.namespace", in.model->ns},
              {"io.kubernetes.pod.uid", in.model->uid},
              {"io.kubernetes.container.name", c.name},
              {"troupe.stop-signal", config.stop_signal}};
  if (auto r = add_mounts(in, *env, s); !r) return r.error();
  return s;
}

} // namespace

std::optional<start_failed> run_start_job(const start_input& in) {
  auto spec = make_spec(in);
  if (!spec) return start_failed{start_failure::config, spec.error().message};
  auto& engine = *in.ctx->options.engine;
  // Leftovers of a try that failed half-way carry the same id.
  if (engine.inspect(spec->id))
    if (auto r = engine.remove(spec->id); !r) return start_failed{start_failure::create, r.error().message};
  if (auto r = engine.create(*spec); !r) return start_failed{start_failure::create, r.error().message};
  auto r = engine.start(spec->id);
  if (!r) return start_failed{start_failure::start, r.error().message};
  return std::nullopt;
}

} // namespace troupe::kubelet

#include "actors/kubelet/stream/stream_door.hpp"

#include "actors/kubelet/pod/pod_model.hpp"
#include "api/meta/object_meta.hpp"

#include <unistd.h>

namespace troupe::kubelet {

namespace {

stream_opened_ptr refuse(status s) {
  auto out = std::make_shared<stream_opened>();
  out->error = std::make_shared<const status>(std::move(s));
  return out;
}

stream_opened_ptr accept(pod_stream_ptr s) {
  auto out = std::make_shared<stream_opened>();
  out->stream = std::move(s);
  return out;
}

std::string names_of(const pod_model& m) {
  std::string out;
  for (auto kind : {container_kind::app, container_kind::init, container_kind::sidecar})
    for (const auto& c : m.containers)
      if (c.kind == kind) out += (out.empty() ? "" : " ") + c.name;
  return out;
}

/// The container meant: the named one, the annotated default, or the only one.
result<const container_model*> pick(const pod_model& m, const std::string& wanted) {
  if (!wanted.empty()) {
    if (auto* c = m.find(wanted)) return c;
    return errors::bad_request("container " + wanted + " is not valid for pod " + m.name);
  }
  const container_model* only = nullptr;
  int apps = 0;
  for (const auto& c : m.containers)
    if (c.kind == container_kind::app && ++apps) only = &c;
  if (apps == 1 && m.containers.size() == 1) return only;
  if (auto* c = m.find(meta::annotation(*m.doc, "kubectl.kubernetes.io/default-container"))) return c;
  if (apps == 1) return only;
  return errors::bad_request("a container name must be specified for pod " + m.name + ", choose one of: [" +
                             names_of(m) + "]");
}

const json::value* status_of(const pod_model& m, const container_model& c) {
  auto list = c.kind == container_kind::app ? "containerStatuses" : "initContainerStatuses";
  for (const auto& s : jq::arr(*m.doc, {"status", list}))
    if (jq::str(s, {"name"}) == c.name) return &s;
  return nullptr;
}

status waits(const container_model& c, const pod_model& m, std::string_view why) {
  return errors::bad_request("container \"" + c.name + "\" in pod \"" + m.name +
                             "\" is waiting to start: " + std::string{why.empty() ? "ContainerCreating" : why});
}

bool exists(const std::string& path) { return ::access(path.c_str(), R_OK) == 0; }

stream_opened_ptr open_log(const stream_target& t, const open_stream& what, const pod_model& m,
                           const container_model& c) {
  auto* s = status_of(m, c);
  bool ran = s && !jq::str(*s, {"containerID"}).empty();
  auto attempt = s ? static_cast<int>(jq::num(*s, {"restartCount"})) : 0;
  auto id = [&](int n) { return pod_core::container_id(m.uid, c.name, n); };
  if (what.previous) {
    auto path = t.ctx->log_path(m, c.name, attempt - 1);
    if (attempt < 1 || !exists(path))
      return refuse(
          errors::bad_request("previous terminated container \"" + c.name + "\" in pod \"" + m.name + "\" not found"));
    auto finished = what;
    finished.follow = false;
    return accept(make_log_stream(t.ctx, finished, path, id(attempt - 1)));
  }
  // The status may lag behind the engine by one write.
  if (t.ctx->options.engine->inspect(id(attempt + (ran ? 1 : 0)))) attempt += ran ? 1 : 0, ran = true;
  auto path = t.ctx->log_path(m, c.name, attempt);
  if (!ran || !exists(path))
    return refuse(waits(c, m, s ? jq::str(*s, {"state", "waiting", "reason"}) : std::string_view{}));
  return accept(make_log_stream(t.ctx, what, path, id(attempt)));
}

stream_opened_ptr open_exec(const stream_target& t, const open_stream& what, const pod_model& m,
                            const container_model& c) {
  for (const auto& info : t.ctx->options.engine->containers()) {
    if (info.sandbox_id != m.uid || info.name != c.name || info.phase != runtime::container_phase::running) continue;
    auto s = make_exec_stream(t.ctx, what, info.id);
    return s ? accept(*s) : refuse(s.error());
  }
  return refuse(errors::internal("unable to upgrade connection: container not found (\"" + c.name + "\")"));
}

stream_opened_ptr open_forward(const stream_target& t, const open_stream& what, const pod_model& m) {
  for (const auto& s : t.ctx->options.engine->sandboxes()) {
    if (s.id != m.uid) continue;
    auto stream = make_forward_stream(t.ctx, s.netns_path, what.port, m.title());
    return stream ? accept(*stream) : refuse(stream.error());
  }
  return refuse(errors::internal("error forwarding port " + std::to_string(what.port) + " to pod " + m.title() +
                                 ": the pod is not running"));
}

stream_opened_ptr open(const stream_target& t, const open_stream& what) {
  if (!t.pod) return refuse(errors::not_found({"", "pods"}, what.pod));
  if (t.ctx->options.hollow)
    return refuse(errors::bad_request("pod " + what.pod + " runs on a hollow node: it has no processes and no logs"));
  auto m = read_pod(t.pod);
  if (what.what == open_stream::kind::port_forward) return open_forward(t, what, *m);
  auto c = pick(*m, what.container);
  if (!c) return refuse(c.error());
  return what.what == open_stream::kind::logs ? open_log(t, what, *m, **c) : open_exec(t, what, *m, **c);
}

} // namespace

stream_opened_ptr open_pod_stream(const stream_target& target, const open_stream& what) {
  try {
    return open(target, what);
  } catch (const std::exception& e) {
    return refuse(errors::internal(e.what()));
  }
}

} // namespace troupe::kubelet

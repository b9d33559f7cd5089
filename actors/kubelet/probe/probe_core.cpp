#include "actors/kubelet/probe/probe_core.hpp"

#include "actors/kubelet/limits.hpp"

#include <algorithm>

namespace troupe::kubelet {

namespace {

std::uint16_t resolve_port(const json::value& container, const json::value* port) {
  if (!port) return 0;
  if (!port->is_string()) return static_cast<std::uint16_t>(jq::num(*port, {}));
  auto wanted = jq::view(port->as_string());
  for (const auto& p : jq::arr(container, {"ports"}))
    if (jq::str(p, {"name"}) == wanted) return static_cast<std::uint16_t>(jq::num(p, {"containerPort"}));
  std::uint16_t n = 0;
  for (char c : wanted) {
    if (c < '0' || c > '9') return 0;
    n = static_cast<std::uint16_t>(n * 10 + (c - '0'));
  }
  return n;
}

void read_action(const json::value& container, const json::value& p, probe_spec& s) {
  if (auto* e = jq::find(p, {"exec"})) {
    s.what = probe_spec::how::exec;
    for (const auto& a : jq::arr(*e, {"command"}))
      if (a.is_string()) s.command.emplace_back(jq::view(a.as_string()));
  } else if (auto* h = jq::find(p, {"httpGet"})) {
    s.what = probe_spec::how::http;
    s.host = jq::str(*h, {"host"});
    s.path = jq::str(*h, {"path"}, "/");
    s.scheme = jq::str(*h, {"scheme"}, "HTTP");
    s.port = resolve_port(container, jq::find(*h, {"port"}));
    for (const auto& x : jq::arr(*h, {"httpHeaders"}))
      s.headers.emplace_back(jq::str(x, {"name"}), jq::str(x, {"value"}));
  } else if (auto* t = jq::find(p, {"tcpSocket"})) {
    s.what = probe_spec::how::tcp;
    s.host = jq::str(*t, {"host"});
    s.port = resolve_port(container, jq::find(*t, {"port"}));
  } else if (auto* g = jq::find(p, {"grpc"})) {
    s.what = probe_spec::how::grpc;
    s.port = resolve_port(container, jq::find(*g, {"port"}));
    s.service = jq::str(*g, {"service"});
  }
}

std::string_view field_of(probe_kind k) {
  return k == probe_kind::startup ? "startupProbe" : k == probe_kind::readiness ? "readinessProbe" : "livenessProbe";
}

std::chrono::seconds at_least(std::int64_t n, std::int64_t least) { return std::chrono::seconds{std::max(n, least)}; }

} // namespace

std::optional<probe_spec> read_probe(const json::value& container, probe_kind kind) {
  auto* p = jq::find(container, {field_of(kind)});
  if (!p) return std::nullopt;
  probe_spec s;
  read_action(container, *p, s);
  s.initial_delay = at_least(jq::num(*p, {"initialDelaySeconds"}, 0), 0);
  s.period = at_least(jq::num(*p, {"periodSeconds"}, 10), 1);
  s.timeout = at_least(jq::num(*p, {"timeoutSeconds"}, 1), 1);
  s.success_threshold = static_cast<int>(std::max<std::int64_t>(jq::num(*p, {"successThreshold"}, 1), 1));
  s.failure_threshold = static_cast<int>(std::max<std::int64_t>(jq::num(*p, {"failureThreshold"}, 3), 1));
  return s;
}

void probe_core::add(const std::string& pod_uid, int container, int attempt, const json::value& doc, bool started,
                     bool ready, wall_time container_started, wall_time now) {
  remove(pod_uid, container);
  bool has_startup = !started && jq::find(doc, {"startupProbe"});
  for (auto kind : {probe_kind::startup, probe_kind::readiness, probe_kind::liveness}) {
    if (kind == probe_kind::startup && started) continue;
    auto spec = read_probe(doc, kind);
    if (!spec) continue;
    entry e;
    e.due = std::max(now, container_started + spec->initial_delay + limits::probe_first_pause);
    e.held = has_startup && kind != probe_kind::startup;
    // A readiness probe starts from "not ready", the others from "fine": only a change is told.
    e.state = kind == probe_kind::liveness ? true : kind == probe_kind::readiness ? ready : false;
    e.spec = std::move(*spec);
    probes_.emplace(probe_key{pod_uid, container, attempt, kind}, std::move(e));
  }
}

void probe_core::remove(const std::string& pod_uid, int container) {
  std::erase_if(probes_, [&](const auto& p) { return p.first.pod_uid == pod_uid && p.first.container == container; });
}

void probe_core::remove_pod(const std::string& pod_uid) {
  std::erase_if(probes_, [&](const auto& p) { return p.first.pod_uid == pod_uid; });
}

std::vector<due_probe> probe_core::due(wall_time now) {
  std::vector<due_probe> out;
  for (auto& [key, e] : probes_) {
    if (e.running || e.held || e.due > now) continue;
    e.running = true;
    e.due = now + e.spec.period;
    out.push_back({key, e.spec});
  }
  return out;
}

std::optional<wall_time> probe_core::next() const {
  std::optional<wall_time> t;
  for (const auto& [key, e] : probes_)
    if (!e.running && !e.held && (!t || e.due < *t)) t = e.due;
  return t;
}

void probe_core::release(const probe_key& startup, wall_time now) {
  for (auto& [key, e] : probes_) {
    if (key.pod_uid != startup.pod_uid || key.container != startup.container || !e.held) continue;
    e.held = false;
    e.due = std::max(now, e.due);
  }
}

std::optional<probe_core::verdict> probe_core::on_result(const probe_key& key, const probe_outcome& outcome,
                                                         wall_time now) {
  auto it = probes_.find(key);
  if (it == probes_.end()) return std::nullopt;
  auto& e = it->second;
  e.running = false;
  if (outcome.unknown) return std::nullopt;
  verdict v{key, !outcome.ok, std::nullopt, outcome.message};
  e.streak = e.last == outcome.ok && e.streak > 0 ? e.streak + 1 : 1;
  e.last = outcome.ok;
  if (e.streak < (outcome.ok ? e.spec.success_threshold : e.spec.failure_threshold)) return v;
  bool startup = key.kind == probe_kind::startup;
  // A failed startup or liveness probe ends the container; it is told each time the threshold is met anew.
  if (e.state != outcome.ok || (startup && !outcome.ok)) v.turned = outcome.ok;
  e.state = outcome.ok;
  if (key.kind == probe_kind::liveness && !outcome.ok) {
    e.state = true;
    e.streak = 0;
  }
  if (startup && outcome.ok) {
    auto copy = key;
    probes_.erase(it);
    release(copy, now);
  }
  return v;
}

} // namespace troupe::kubelet

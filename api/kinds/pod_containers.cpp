#include "api/kinds/rules.hpp"

#include "api/meta/quantity.hpp"

#include <algorithm>
#include <set>

namespace troupe::kinds {

namespace {

/// What the containers of one pod share while they are checked.
struct pod_scope {
  std::set<std::string_view> names, volumes;
  bool host_network = false;
};

enum class container_kind : std::uint8_t { normal, init, sidecar, ephemeral };

bool one_of(std::string_view s, std::initializer_list<std::string_view> list) {
  return std::find(list.begin(), list.end(), s) != list.end();
}
bool one_of(std::string_view s, const std::vector<std::string>& list) {
  return std::find(list.begin(), list.end(), s) != list.end();
}

/// Members of `o` that are set, out of `members`.
std::vector<std::string_view> present(const json::value& o, std::initializer_list<std::string_view> members) {
  std::vector<std::string_view> out;
  for (auto m : members)
    if (const auto* v = jq::find(o, {m}); v && !v->is_null()) out.push_back(m);
  return out;
}

void check_subpath(field_errors& e, std::string_view s, const std::string& path) {
  if (s.starts_with('/')) e.push_back(field::invalid(path, text(s), "must be a relative path"));
  const std::string padded = "/" + std::string{s} + "/";
  if (padded.find("/../") != padded.npos) e.push_back(field::invalid(path, text(s), "must not contain '..'"));
}

void check_field_ref(field_errors& e, const json::value& ref, const std::string& path) {
  const auto p = jq::str(ref, {"fieldPath"});
  if (p.empty()) return;
  static const std::vector<std::string> plain = {
      "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
      "status.hostIP", "status.hostIPs",     "status.podIP", "status.podIPs"};
  const bool subscripted =
      (p.starts_with("metadata.annotations['") || p.starts_with("metadata.labels['")) && p.ends_with("']");
  if (one_of(p, plain) || subscripted) return;
  if (p == "metadata.annotations" || p == "metadata.labels" || p == "metadata" || p.find('.') == p.npos)
    e.push_back(field::invalid(path + ".fieldPath", text(p),
                               "error converting fieldPath: field label not supported: " + std::string{p}));
  else
    e.push_back(field::not_supported(path + ".fieldPath", text(p), plain));
}

void check_key_ref(field_errors& e, const json::value& ref, const std::string& path) {
  if (jq::str(ref, {"name"}).empty()) e.push_back(field::required(path + ".name"));
  if (const auto key = jq::str(ref, {"key"}); !key.empty())
    check_name(e, path + ".key", key, names::config_map_key(key));
}

void check_env_source(field_errors& e, const json::value& var, const std::string& path) {
  const auto* from = jq::find(var, {"valueFrom"});
  if (!from || from->is_null()) return;
  const auto here = path + ".valueFrom";
  const auto sources = present(*from, {"fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef"});
  for (auto s : sources) {
    const auto& ref = at(*from, {s});
    if (s == "fieldRef") check_field_ref(e, ref, here + ".fieldRef");
    if (s == "configMapKeyRef" || s == "secretKeyRef") check_key_ref(e, ref, here + "." + std::string{s});
    if (s == "resourceFieldRef") {
      const auto r = jq::str(ref, {"resource"});
      static const std::vector<std::string> known = {"limits.cpu",   "limits.ephemeral-storage",   "limits.memory",
                                                     "requests.cpu", "requests.ephemeral-storage", "requests.memory"};
      if (!r.empty() && !one_of(r, known) && r.find(".hugepages-") == r.npos)
        e.push_back(field::not_supported(here + ".resourceFieldRef.resource", text(r), known));
    }
  }
  if (sources.empty())
    e.push_back(field::invalid(
        here, "", "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef` or `secretKeyRef`"));
  else if (!jq::str(var, {"value"}).empty())
    e.push_back(field::invalid(here, "", "may not be specified when `value` is not empty"));
  else if (sources.size() > 1)
    e.push_back(field::invalid(here, "", "may not have more than one field specified at a time"));
}

void check_env(field_errors& e, const json::value& c, const std::string& path) {
  const auto& env = jq::arr(c, {"env"});
  for (std::size_t i = 0; i < env.size(); ++i) {
    const auto here = index(path + ".env", i);
    if (const auto name = jq::str(env[i], {"name"}); !name.empty())
      check_name(e, here + ".name", name, names::env_name(name));
    check_env_source(e, env[i], here);
  }
  const auto& from = jq::arr(c, {"envFrom"});
  for (std::size_t i = 0; i < from.size(); ++i) {
    const auto here = index(path + ".envFrom", i);
    if (const auto prefix = jq::str(from[i], {"prefix"}); !prefix.empty())
      check_name(e, here + ".prefix", prefix, names::env_name(prefix));
    const auto sources = present(from[i], {"configMapRef", "secretRef"});
    for (auto s : sources)
      if (jq::str(from[i], {s, "name"}).empty()) e.push_back(field::required(here + "." + std::string{s} + ".name"));
    if (sources.empty())
      e.push_back(field::invalid(here, "", "must specify one of: `configMapRef` or `secretRef`"));
    else if (sources.size() > 1)
      e.push_back(field::invalid(here, "", "may not have more than one field specified at a time"));
  }
}

void check_ports(field_errors& e, const json::value& c, const std::string& path, const pod_scope& pod) {
  const auto& ports = jq::arr(c, {"ports"});
  std::set<std::string_view> seen;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    const auto here = index(path + ".ports", i);
    const auto& p = ports[i];
    if (const auto name = jq::str(p, {"name"}); !name.empty()) {
      if (auto f = names::port_name(name); !f.empty())
        check_name(e, here + ".name", name, std::move(f));
      else if (!seen.insert(name).second)
        e.push_back(field::duplicate(here + ".name", text(name)));
    }
    const auto port = jq::num(p, {"containerPort"});
    const auto host = jq::num(p, {"hostPort"});
    if (port == 0)
      e.push_back(field::required(here + ".containerPort"));
    else
      check_port(e, port, here + ".containerPort");
    if (host != 0) check_port(e, host, here + ".hostPort");
    if (pod.host_network && host != 0 && host != port)
      e.push_back(field::invalid(here + ".hostPort", host, "must match `containerPort` when `hostNetwork` is true"));
  }
}

void check_host_ports(field_errors& e, const json::value& spec, const std::string& path) {
  std::set<std::string> seen;
  const auto& containers = jq::arr(spec, {"containers"});
  for (std::size_t i = 0; i < containers.size(); ++i) {
    const auto& ports = jq::arr(containers[i], {"ports"});
    for (std::size_t j = 0; j < ports.size(); ++j) {
      const auto host = jq::num(ports[j], {"hostPort"});
      if (host == 0) continue;
      auto key = std::string{jq::str(ports[j], {"protocol"})} + "/" + std::string{jq::str(ports[j], {"hostIP"})} + "/" +
                 std::to_string(host);
      if (!seen.insert(key).second)
        e.push_back(field::duplicate(index(index(path + ".containers", i) + ".ports", j) + ".hostPort", text(key)));
    }
  }
}

void check_mounts(field_errors& e, const json::value& c, const std::string& path, const pod_scope& pod) {
  std::set<std::string_view> paths;
  const auto& mounts = jq::arr(c, {"volumeMounts"});
  for (std::size_t i = 0; i < mounts.size(); ++i) {
    const auto here = index(path + ".volumeMounts", i);
    const auto& m = mounts[i];
    const auto name = jq::str(m, {"name"});
    if (!name.empty() && !pod.volumes.contains(name)) e.push_back(field::not_found(here + ".name", text(name)));
    const auto where = jq::str(m, {"mountPath"});
    if (!where.empty() && !paths.insert(where).second)
      e.push_back(field::invalid(here + ".mountPath", text(where), "must be unique"));
    const auto sub = jq::str(m, {"subPath"}), expression = jq::str(m, {"subPathExpr"});
    if (!sub.empty()) check_subpath(e, sub, here + ".subPath");
    if (!expression.empty()) {
      if (!sub.empty())
        e.push_back(
            field::invalid(here + ".subPathExpr", text(expression), "subPathExpr and subPath are mutually exclusive"));
      check_subpath(e, expression, here + ".subPathExpr");
    }
  }
}

/// The body of a probe or of a lifecycle hook: exactly one way to act.
void check_handler(field_errors& e, const json::value& h, const std::string& path, bool is_probe) {
  const auto ways = is_probe ? present(h, {"exec", "httpGet", "tcpSocket", "grpc"})
                             : present(h, {"exec", "httpGet", "tcpSocket", "sleep"});
  for (std::size_t i = 0; i < ways.size(); ++i) {
    const auto here = path + "." + std::string{ways[i]};
    if (i > 0) {
      e.push_back(field::forbidden(here, "may not specify more than 1 handler type"));
      continue;
    }
    const auto& way = at(h, {ways[i]});
    if (ways[i] == "exec" && jq::arr(way, {"command"}).empty()) e.push_back(field::required(here + ".command"));
    if (ways[i] == "httpGet") {
      if (jq::str(way, {"path"}).empty()) e.push_back(field::required(here + ".path"));
      check_port_or_name(e, jq::find(way, {"port"}), here + ".port");
      const auto& headers = jq::arr(way, {"httpHeaders"});
      for (std::size_t j = 0; j < headers.size(); ++j)
        if (const auto n = jq::str(headers[j], {"name"}); !n.empty())
          check_name(e, index(here + ".httpHeaders", j), n, names::http_header_name(n));
    }
    if (ways[i] == "tcpSocket") check_port_or_name(e, jq::find(way, {"port"}), here + ".port");
    if (ways[i] == "grpc") check_port(e, jq::num(way, {"port"}), here + ".port");
  }
  if (ways.empty()) e.push_back(field::required(path, "must specify a handler type"));
}

void check_probe(field_errors& e, const json::value& c, std::string_view name, const std::string& container) {
  const auto* p = jq::find(c, {name});
  if (!p || p->is_null()) return;
  const auto path = container + "." + std::string{name};
  check_handler(e, *p, path, true);
  check_not_negative(
      e, *p, {"initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"}, path);
  if (const auto grace = jq::maybe_num(*p, {"terminationGracePeriodSeconds"}); grace && *grace <= 0)
    e.push_back(field::invalid(path + ".terminationGracePeriodSeconds", *grace, "must be greater than 0"));
  if (name == "readinessProbe") {
    if (jq::find(*p, {"terminationGracePeriodSeconds"}))
      e.push_back(field::invalid(path + ".terminationGracePeriodSeconds", at(*p, {"terminationGracePeriodSeconds"}),
                                 "must not be set for readinessProbes"));
  } else if (const auto n = jq::num(*p, {"successThreshold"}, 1); n > 1) {
    e.push_back(field::invalid(path + ".successThreshold", n, "must be 1"));
  }
}

void check_security(field_errors& e, const json::value& c, const std::string& path) {
  const auto* s = jq::find(c, {"securityContext"});
  if (!s || s->is_null()) return;
  constexpr std::int64_t id_max = 2147483647;
  for (auto f : {"runAsUser", "runAsGroup"})
    if (const auto id = jq::maybe_num(*s, {f}); id && (*id < 0 || *id > id_max))
      e.push_back(field::invalid(path + ".securityContext." + f, *id, "must be between 0 and 2147483647, inclusive"));
  const auto* allow = jq::find(*s, {"allowPrivilegeEscalation"});
  if (allow && allow->is_bool() && !allow->get_bool()) {
    if (jq::flag(*s, {"privileged"}))
      e.push_back(field::invalid(path + ".securityContext", *s,
                                 "cannot set `allowPrivilegeEscalation` to false and `privileged` to true"));
    for (const auto& cap : jq::arr(*s, {"capabilities", "add"}))
      if (cap.is_string() && (cap.get_string() == "CAP_SYS_ADMIN"))
        e.push_back(
            field::invalid(path + ".securityContext", *s,
                           "cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"));
  }
}

void check_container(field_errors& e, const json::value& c, const std::string& path, pod_scope& pod,
                     container_kind kind) {
  const auto name = jq::str(c, {"name"});
  if (!name.empty()) {
    if (!names::is_dns1123_label(name)) check_name(e, path + ".name", name, names::dns1123_label(name));
    if (!pod.names.insert(name).second) e.push_back(field::duplicate(path + ".name", text(name)));
  }
  const auto image = jq::str(c, {"image"});
  if (image.empty())
    e.push_back(field::required(path + ".image"));
  else if (image.find_first_of(" \t\r\n") == 0 || image.find_last_of(" \t\r\n") == image.size() - 1)
    e.push_back(field::invalid(path + ".image", text(image), "must not have leading or trailing whitespace"));
  check_ports(e, c, path, pod);
  check_env(e, c, path);
  check_mounts(e, c, path, pod);
  check_resources(e, at(c, {"resources"}), path + ".resources");
  check_security(e, c, path);
  const bool supervised = kind == container_kind::normal || kind == container_kind::sidecar;
  for (auto member : {"lifecycle", "livenessProbe", "readinessProbe", "startupProbe"}) {
    const auto* v = jq::find(c, {member});
    if (supervised || !v || v->is_null()) continue;
    e.push_back(
        field::forbidden(path + "." + member, kind == container_kind::init
                                                  ? "may not be set for init containers without restartPolicy=Always"
                                                  : "not allowed for Ephemeral Containers"));
  }
  if (!supervised) return;
  for (auto member : {"livenessProbe", "readinessProbe", "startupProbe"})
    check_probe(e, c, member, path);
  for (auto hook : {"postStart", "preStop"})
    if (const auto* h = jq::find(c, {"lifecycle", hook}); h && !h->is_null())
      check_handler(e, *h, path + ".lifecycle." + hook, false);
}

} // namespace

void check_resources(field_errors& e, const json::value& resources, const std::string& path) {
  const auto& limits = jq::obj(resources, {"limits"});
  const auto& requests = jq::obj(resources, {"requests"});
  const auto check_list = [&](const json::object& list, const std::string& where) {
    for (const auto& [k, v] : list) {
      const auto name = jq::view(k);
      const auto here = where + "[" + std::string{name} + "]";
      const bool standard = one_of(name, {"cpu", "memory", "ephemeral-storage"}) || name.starts_with("hugepages-");
      if (!standard && name.find('/') == name.npos) {
        e.push_back(field::invalid(here, text(name), "must be a standard resource type or fully qualified"));
        e.push_back(field::invalid(here, text(name), "must be a standard resource for containers"));
      } else if (!names::is_qualified(name)) {
        check_name(e, here, name, names::qualified(name));
      }
      const auto q = quantity::parse(v);
      if (q && q->sign() < 0) e.push_back(field::invalid(here, v, "must be greater than or equal to 0"));
      if (q && !standard && q->milli() % 1000 != 0) e.push_back(field::invalid(here, v, "must be an integer"));
    }
  };
  check_list(limits, path + ".limits");
  check_list(requests, path + ".requests");
  for (const auto& [k, v] : requests) {
    const auto* limit = limits.if_contains(k);
    if (!limit) continue;
    const auto have = quantity::parse(v), most = quantity::parse(*limit);
    if (!have || !most) continue;
    const auto name = jq::view(k);
    const bool may_overcommit = one_of(name, {"cpu", "memory", "ephemeral-storage"});
    if (!may_overcommit && *have != *most)
      e.push_back(field::invalid(path + ".requests", v,
                                 "must be equal to " + std::string{name} + " limit of " + most->to_string()));
    else if (*have > *most)
      e.push_back(
          field::invalid(path + ".requests", v,
                         "must be less than or equal to " + std::string{name} + " limit of " + most->to_string()));
  }
}

void check_containers(field_errors& e, const json::value& spec, const std::string& path) {
  pod_scope pod;
  pod.host_network = jq::flag(spec, {"hostNetwork"});
  for (const auto& v : jq::arr(spec, {"volumes"}))
    pod.volumes.insert(jq::str(v, {"name"}));
  const auto each = [&](std::string_view member, auto kind_of) {
    const auto& list = jq::arr(spec, {member});
    for (std::size_t i = 0; i < list.size(); ++i)
      check_container(e, list[i], index(path + "." + std::string{member}, i), pod, kind_of(list[i]));
  };
  each("containers", [](const json::value&) { return container_kind::normal; });
  each("initContainers", [](const json::value& c) {
    return jq::str(c, {"restartPolicy"}) == "Always" ? container_kind::sidecar : container_kind::init;
  });
  each("ephemeralContainers", [](const json::value&) { return container_kind::ephemeral; });
  check_host_ports(e, spec, path);
}

} // namespace troupe::kinds

#include "actors/kubelet/spec/env_planner.hpp"

#include "actors/kubelet/spec/base64.hpp"
#include "api/meta/names.hpp"
#include "api/meta/object_meta.hpp"

#include <algorithm>

namespace troupe::kubelet {

std::string expand(std::string_view text, const std::function<const std::string*(std::string_view)>& value_of) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '$' || i + 1 >= text.size()) {
      out += text[i];
      continue;
    }
    char next = text[i + 1];
    auto close = next == '(' ? text.find(')', i + 2) : std::string_view::npos;
    if (next == '$') {
      out += '$';
      ++i;
    } else if (close != std::string_view::npos) {
      auto* v = value_of(text.substr(i + 2, close - i - 2));
      out += v ? std::string_view{*v} : text.substr(i, close - i + 1);
      i = close;
    } else {
      out += '$';
    }
  }
  return out;
}

namespace {

const std::string* find_env(const env_list& env, std::string_view name) {
  for (const auto& [k, v] : env)
    if (k == name) return &v;
  return nullptr;
}

void set_env(env_list& env, std::string name, std::string value) {
  for (auto& [k, v] : env)
    if (k == name) {
      v = std::move(value);
      return;
    }
  env.emplace_back(std::move(name), std::move(value));
}

std::string env_name(std::string_view s) {
  std::string out{s};
  for (auto& c : out)
    c = c == '-' || c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 32 : c);
  return out;
}

/// Keys and values of a ConfigMap (data) or Secret (data, base64).
std::vector<std::pair<std::string, std::string>> entries(const json::value& o, bool secret) {
  std::vector<std::pair<std::string, std::string>> out;
  for (const auto& [k, v] : jq::obj(o, {"data"}))
    if (v.is_string())
      out.emplace_back(std::string{k}, secret ? decode_base64(jq::view(v.as_string())) : std::string{v.as_string()});
  std::sort(out.begin(), out.end());
  return out;
}

result<void> add_from(const json::value& source, std::string_view ns, const cluster_reader& cluster, env_list& env) {
  bool secret = jq::find(source, {"secretRef"}) != nullptr;
  std::string_view ref = secret ? "secretRef" : "configMapRef";
  auto name = jq::str(source, {ref, "name"});
  auto object = cluster.get(secret ? "secrets" : "configmaps", ns, name);
  if (!object) {
    if (jq::flag(source, {ref, "optional"})) return {};
    return errors::bad_request((secret ? "secret \"" : "configmap \"") + std::string{name} + "\" not found");
  }
  std::string prefix{jq::str(source, {"prefix"})};
  for (auto& [k, v] : entries(*object, secret)) {
    // Keys that are no variable names are left out, as the kubelet does.
    if (names::env_name(prefix + k).empty()) set_env(env, prefix + k, std::move(v));
  }
  return {};
}

/// nullopt: optional and absent.
result<std::optional<std::string>> read_key(const json::value& ref, bool secret, std::string_view ns,
                                            const cluster_reader& cluster) {
  auto name = jq::str(ref, {"name"});
  auto key = jq::str(ref, {"key"});
  bool optional = jq::flag(ref, {"optional"});
  auto object = cluster.get(secret ? "secrets" : "configmaps", ns, name);
  if (!object) {
    if (optional) return std::optional<std::string>{};
    return errors::bad_request((secret ? "secret \"" : "configmap \"") + std::string{name} + "\" not found");
  }
  auto* v = jq::find(*object, {"data", key});
  if (v && v->is_string())
    return std::optional{secret ? decode_base64(jq::view(v->as_string())) : std::string{v->as_string()}};
  if (optional) return std::optional<std::string>{};
  return errors::bad_request("couldn't find key " + std::string{key} + " in " + (secret ? "Secret " : "ConfigMap ") +
                             std::string{ns} + "/" + std::string{name});
}

result<std::optional<std::string>> read_value(const json::value& from, const json::value& pod,
                                              std::string_view container, const pod_facts& facts,
                                              const cluster_reader& cluster) {
  auto wrap = [](result<std::string> r) -> result<std::optional<std::string>> {
    if (!r) return r.error();
    return std::optional{std::move(*r)};
  };
  if (auto* f = jq::find(from, {"fieldRef"})) return wrap(read_field(pod, jq::str(*f, {"fieldPath"}), facts));
  if (auto* r = jq::find(from, {"resourceFieldRef"})) return wrap(read_resource(pod, *r, container, facts));
  if (auto* c = jq::find(from, {"configMapKeyRef"})) return read_key(*c, false, meta::ns(pod), cluster);
  if (auto* s = jq::find(from, {"secretKeyRef"})) return read_key(*s, true, meta::ns(pod), cluster);
  return std::optional<std::string>{};
}

void add_services(const json::value& pod, const cluster_reader& cluster, env_list& env) {
  auto ns = meta::ns(pod);
  bool links = jq::flag(pod, {"spec", "enableServiceLinks"}, true);
  if (ns != "default" || !links)
    if (auto k = cluster.get("services", "default", "kubernetes")) add_service_env(*k, env);
  if (links) cluster.list("services", ns, [&](const json::value& s) { add_service_env(s, env); });
}

} // namespace

void add_service_env(const json::value& service, env_list& out) {
  auto ip = std::string{jq::str(service, {"spec", "clusterIP"})};
  if (ip.empty() || ip == "None") return;
  auto base = env_name(meta::name(service));
  bool first = true;
  for (const auto& p : jq::arr(service, {"spec", "ports"})) {
    auto port = std::to_string(jq::num(p, {"port"}));
    auto proto = std::string{jq::str(p, {"protocol"}, "TCP")};
    auto lower = names::lower(proto);
    auto name = jq::str(p, {"name"});
    auto link = base + "_PORT_" + port + "_" + proto;
    if (first) {
      set_env(out, base + "_SERVICE_HOST", ip);
      set_env(out, base + "_SERVICE_PORT", port);
      set_env(out, base + "_PORT", lower + "://" + ip + ":" + port);
    }
    if (!name.empty()) set_env(out, base + "_SERVICE_PORT_" + env_name(name), port);
    set_env(out, link, lower + "://" + ip + ":" + port);
    set_env(out, link + "_PROTO", lower);
    set_env(out, link + "_PORT", port);
    set_env(out, link + "_ADDR", ip);
    first = false;
  }
}

result<env_list> plan_env(const json::value& pod, const json::value& container, const pod_facts& facts,
                          const cluster_reader& cluster) {
  env_list env;
  add_services(pod, cluster, env);
  for (const auto& source : jq::arr(container, {"envFrom"}))
    if (auto r = add_from(source, meta::ns(pod), cluster, env); !r) return r.error();
  auto value_of = [&](std::string_view name) { return find_env(env, name); };
  for (const auto& e : jq::arr(container, {"env"})) {
    std::string name{jq::str(e, {"name"})};
    if (auto* from = jq::find(e, {"valueFrom"})) {
      auto v = read_value(*from, pod, jq::str(container, {"name"}), facts, cluster);
      if (!v) return v.error();
      if (*v) set_env(env, std::move(name), std::move(**v));
    } else {
      set_env(env, std::move(name), expand(jq::str(e, {"value"}), value_of));
    }
  }
  return env;
}

command_line plan_command(const json::value& container, const env_list& env) {
  auto value_of = [&](std::string_view name) { return find_env(env, name); };
  auto all = [&](std::string_view key) {
    std::vector<std::string> out;
    for (const auto& a : jq::arr(container, {key}))
      if (a.is_string()) out.push_back(expand(jq::view(a.as_string()), value_of));
    return out;
  };
  return {all("command"), all("args")};
}

std::vector<std::string> merge_command(const command_line& given, const std::vector<std::string>& entrypoint,
                                       const std::vector<std::string>& cmd) {
  auto argv = given.command.empty() ? entrypoint : given.command;
  const auto& rest = !given.args.empty() ? given.args : given.command.empty() ? cmd : given.args;
  argv.insert(argv.end(), rest.begin(), rest.end());
  return argv;
}

} // namespace troupe::kubelet

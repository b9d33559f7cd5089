#include "actors/kubelet/volume/volume_planner.hpp"

#include "actors/kubelet/spec/base64.hpp"
#include "actors/kubelet/spec/downward.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/quantity.hpp"

namespace troupe::kubelet {

namespace {

constexpr std::int64_t default_mode = 0644;

std::uint32_t mode_of(const json::value& v, std::string_view key, std::int64_t otherwise) {
  return static_cast<std::uint32_t>(jq::num(v, {key}, otherwise) & 0777);
}

struct context {
  const json::value& pod;
  const pod_facts& facts;
  const cluster_reader& cluster;
  const token_map& tokens;
  std::string volume;
  std::optional<std::int64_t> owner; // user all containers run as
};

std::optional<std::int64_t> common_user(const json::value& pod) {
  std::optional<std::int64_t> common;
  auto pod_user = jq::maybe_num(pod, {"spec", "securityContext", "runAsUser"});
  for (const auto& c : jq::arr(pod, {"spec", "containers"})) {
    auto own = jq::maybe_num(c, {"securityContext", "runAsUser"});
    auto user = own ? own : pod_user;
    if (!user || (common && common != user)) return std::nullopt;
    common = user;
  }
  return common;
}

status missing(bool secret, std::string_view name) {
  return errors::bad_request((secret ? "secret \"" : "configmap \"") + std::string{name} + "\" not found");
}

/// All keys of a ConfigMap or Secret, decoded.
std::map<std::string, std::string> contents(const json::value& o, bool secret) {
  std::map<std::string, std::string> out;
  for (const auto& [k, v] : jq::obj(o, {"data"}))
    if (v.is_string())
      out[std::string{k}] = secret ? decode_base64(jq::view(v.as_string())) : std::string{v.as_string()};
  for (const auto& [k, v] : jq::obj(o, {"binaryData"}))
    if (v.is_string()) out[std::string{k}] = decode_base64(jq::view(v.as_string()));
  return out;
}

result<void> add_object(const context& c, const json::value& source, bool secret, std::string_view name_key,
                        std::int64_t mode, file_set& out) {
  auto name = jq::str(source, {name_key});
  bool optional = jq::flag(source, {"optional"});
  auto object = c.cluster.get(secret ? "secrets" : "configmaps", meta::ns(c.pod), name);
  if (!object) {
    if (optional) return {};
    return missing(secret, name);
  }
  auto all = contents(*object, secret);
  auto* items = jq::find(source, {"items"});
  if (!items || !items->is_array() || items->as_array().empty()) {
    for (auto& [k, v] : all)
      out[k] = {std::move(v), static_cast<std::uint32_t>(mode), {}};
    return {};
  }
  for (const auto& i : items->as_array()) {
    std::string key{jq::str(i, {"key"})};
    auto it = all.find(key);
    if (it == all.end()) {
      if (optional) continue;
      return errors::bad_request(std::string{secret ? "references non-existent secret key: "
                                                    : "configmap references non-existent config key: "} +
                                 key);
    }
    out[std::string{jq::str(i, {"path"})}] = {it->second, mode_of(i, "mode", mode), {}};
  }
  return {};
}

result<void> add_downward(const context& c, const json::value& source, std::int64_t mode, file_set& out) {
  for (const auto& i : jq::arr(source, {"items"})) {
    result<std::string> text = std::string{};
    if (auto* f = jq::find(i, {"fieldRef"})) text = read_field(c.pod, jq::str(*f, {"fieldPath"}), c.facts);
    if (auto* r = jq::find(i, {"resourceFieldRef"})) text = read_resource(c.pod, *r, {}, c.facts);
    if (!text) return text.error();
    out[std::string{jq::str(i, {"path"})}] = {std::move(*text), mode_of(i, "mode", mode), {}};
  }
  return {};
}

result<void> add_token(const context& c, const json::value& source, std::int64_t mode, file_set& out) {
  std::string path{jq::str(source, {"path"})};
  auto it = c.tokens.find(c.volume + "/" + path);
  if (it == c.tokens.end()) return errors::bad_request("failed to fetch token for " + path);
  // Only the user that all containers run as may read the token, when there is such a user.
  out[path] = {it->second, c.owner ? 0600 : static_cast<std::uint32_t>(mode), c.owner};
  return {};
}

result<void> add_projected(const context& c, const json::value& projected, file_set& out) {
  auto mode = jq::num(projected, {"defaultMode"}, default_mode);
  for (const auto& s : jq::arr(projected, {"sources"})) {
    result<void> r;
    if (auto* x = jq::find(s, {"serviceAccountToken"}))
      r = add_token(c, *x, mode, out);
    else if (auto* m = jq::find(s, {"configMap"}))
      r = add_object(c, *m, false, "name", mode, out);
    else if (auto* k = jq::find(s, {"secret"}))
      r = add_object(c, *k, true, "name", mode, out);
    else if (auto* d = jq::find(s, {"downwardAPI"}))
      r = add_downward(c, *d, mode, out);
    else
      r = errors::bad_request("this projected source is not supported by this node");
    if (!r) return r;
  }
  return {};
}

result<void> fill(const context& c, const json::value& v, volume_plan& p) {
  p.kind = volume_kind::payload;
  if (auto* m = jq::find(v, {"configMap"}))
    return add_object(c, *m, false, "name", jq::num(*m, {"defaultMode"}, default_mode), p.files);
  if (auto* s = jq::find(v, {"secret"}))
    return add_object(c, *s, true, "secretName", jq::num(*s, {"defaultMode"}, default_mode), p.files);
  if (auto* d = jq::find(v, {"downwardAPI"}))
    return add_downward(c, *d, jq::num(*d, {"defaultMode"}, default_mode), p.files);
  if (auto* x = jq::find(v, {"projected"})) return add_projected(c, *x, p.files);
  p.kind = volume_kind::unsupported;
  for (const auto& [key, value] : v.as_object())
    if (key != "name")
      p.why = "volume kind " + std::string{key} +
              " is not supported by this node; supported are emptyDir, hostPath, configMap, secret, projected and "
              "downwardAPI";
  return {};
}

} // namespace

std::vector<token_wish> token_wishes(const json::value& pod) {
  std::vector<token_wish> out;
  for (const auto& v : jq::arr(pod, {"spec", "volumes"}))
    for (const auto& s : jq::arr(v, {"projected", "sources"}))
      if (auto* t = jq::find(s, {"serviceAccountToken"}))
        out.push_back({std::string{jq::str(v, {"name"})}, std::string{jq::str(*t, {"path"})},
                       std::string{jq::str(*t, {"audience"})}, jq::num(*t, {"expirationSeconds"}, 3600)});
  return out;
}

volume_references volume_sources(const json::value& pod) {
  volume_references r;
  auto add = [](std::vector<std::string>& to, std::string_view name) {
    if (!name.empty()) to.emplace_back(name);
  };
  for (const auto& v : jq::arr(pod, {"spec", "volumes"})) {
    add(r.config_maps, jq::str(v, {"configMap", "name"}));
    add(r.secrets, jq::str(v, {"secret", "secretName"}));
    for (const auto& s : jq::arr(v, {"projected", "sources"})) {
      add(r.config_maps, jq::str(s, {"configMap", "name"}));
      add(r.secrets, jq::str(s, {"secret", "name"}));
    }
  }
  return r;
}

result<volume_plan> plan_volume(const json::value& pod, const json::value& volume, const pod_facts& facts,
                                const cluster_reader& cluster, const token_map& tokens) {
  volume_plan p;
  p.name = jq::str(volume, {"name"});
  if (auto* e = jq::find(volume, {"emptyDir"})) {
    p.kind = volume_kind::empty_dir;
    p.memory = jq::str(*e, {"medium"}) == "Memory";
    p.bytes_max = quantity::parse_or_zero(jq::find(*e, {"sizeLimit"})).units();
    return p;
  }
  if (auto* h = jq::find(volume, {"hostPath"})) {
    p.kind = volume_kind::host_path;
    p.host_path = jq::str(*h, {"path"});
    p.host_path_type = jq::str(*h, {"type"});
    return p;
  }
  if (volume.as_object().size() == 1) { // no source: the API's default is an emptyDir
    p.kind = volume_kind::empty_dir;
    return p;
  }
  context c{pod, facts, cluster, tokens, p.name, common_user(pod)};
  if (auto r = fill(c, volume, p); !r) return r.error();
  return p;
}

result<std::vector<mount_plan>> plan_mounts(const json::value& container, const env_list& env) {
  std::vector<mount_plan> out;
  for (const auto& m : jq::arr(container, {"volumeMounts"})) {
    mount_plan p;
    p.volume = jq::str(m, {"name"});
    p.mount_path = jq::str(m, {"mountPath"});
    p.read_only = jq::flag(m, {"readOnly"});
    auto propagation = jq::str(m, {"mountPropagation"});
    p.propagation = propagation == "HostToContainer" ? "rslave" : propagation == "Bidirectional" ? "rshared" : "";
    p.sub_path = jq::str(m, {"subPath"});
    if (auto expr = jq::str(m, {"subPathExpr"}); !expr.empty())
      p.sub_path = expand(expr, [&](std::string_view name) -> const std::string* {
        for (const auto& [k, v] : env)
          if (k == name) return &v;
        return nullptr;
      });
    if (!p.sub_path.empty() && !is_safe_path(p.sub_path))
      return errors::bad_request("failed to prepare subPath for volumeMount \"" + p.volume + "\": " + p.sub_path +
                                 " must not lead out of the volume");
    if (!p.mount_path.starts_with("/")) p.mount_path.insert(0, "/");
    out.push_back(std::move(p));
  }
  return out;
}

} // namespace troupe::kubelet

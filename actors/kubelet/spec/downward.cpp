#include "actors/kubelet/spec/downward.hpp"

#include "api/meta/object_meta.hpp"
#include "api/meta/quantity.hpp"

#include <map>

namespace troupe::kubelet {

namespace {

/// `key="value"` per line, sorted, values quoted as Go does.
std::string format_map(const json::object& m) {
  std::map<std::string, std::string> sorted;
  for (const auto& [k, v] : m)
    if (v.is_string()) sorted[std::string{k}] = json::serialize(v);
  std::string out;
  for (const auto& [k, v] : sorted)
    out += (out.empty() ? "" : "\n") + k + "=" + v;
  return out;
}

/// The key inside `metadata.labels['key']`, or empty.
std::string_view subscript(std::string_view path, std::string_view prefix) {
  if (!path.starts_with(prefix)) return {};
  path.remove_prefix(prefix.size());
  if (path.size() < 4 || !path.starts_with("['") || !path.ends_with("']")) return {};
  return path.substr(2, path.size() - 4);
}

std::string text_or(std::string_view s, std::string_view otherwise) { return std::string{s.empty() ? otherwise : s}; }

} // namespace

result<std::string> read_field(const json::value& pod, std::string_view path, const pod_facts& facts) {
  if (path == "metadata.name") return std::string{meta::name(pod)};
  if (path == "metadata.namespace") return std::string{meta::ns(pod)};
  if (path == "metadata.uid") return std::string{meta::uid(pod)};
  if (path == "metadata.labels") return format_map(meta::labels(pod));
  if (path == "metadata.annotations") return format_map(meta::annotations(pod));
  if (auto k = subscript(path, "metadata.labels"); !k.empty()) return std::string{meta::label(pod, k)};
  if (auto k = subscript(path, "metadata.annotations"); !k.empty()) return std::string{meta::annotation(pod, k)};
  if (path == "spec.nodeName") return text_or(jq::str(pod, {"spec", "nodeName"}), facts.node_name);
  if (path == "spec.serviceAccountName") return text_or(jq::str(pod, {"spec", "serviceAccountName"}), "default");
  if (path == "status.hostIP" || path == "status.hostIPs") return facts.host_ip;
  if (path == "status.podIP" || path == "status.podIPs") return facts.pod_ip;
  return errors::bad_request("unsupported fieldPath: " + std::string{path});
}

const json::value* find_container(const json::value& pod, std::string_view name) noexcept {
  for (auto list : {"containers", "initContainers"})
    for (const auto& c : jq::arr(pod, {"spec", list}))
      if (jq::str(c, {"name"}) == name) return &c;
  return nullptr;
}

namespace {
/// The amount `limits.cpu` and its like speak of; an absent limit is what the node can give.
quantity amount(const json::value& c, std::string_view kind, std::string_view res, const pod_facts& facts) {
  if (auto* v = jq::find(c, {"resources", kind, res})) return quantity::parse_or_zero(v);
  if (kind == "requests") return {};
  if (res == "cpu") return quantity::from_milli(facts.node_cpu_milli);
  if (res == "memory") return quantity::from_units(facts.node_memory_bytes);
  return {};
}
} // namespace

result<std::string> read_resource(const json::value& pod, const json::value& ref, std::string_view container,
                                  const pod_facts& facts) {
  auto named = jq::str(ref, {"containerName"});
  auto* c = find_container(pod, named.empty() ? container : named);
  if (!c) return errors::bad_request("container " + std::string{named} + " not found");
  auto what = jq::str(ref, {"resource"});
  auto dot = what.find('.');
  auto kind = what.substr(0, dot);
  if (dot == std::string_view::npos || (kind != "limits" && kind != "requests"))
    return errors::bad_request("unsupported container resource : " + std::string{what});
  auto value = amount(*c, kind, what.substr(dot + 1), facts);
  auto divisor = quantity::parse_or_zero(jq::find(ref, {"divisor"}));
  if (divisor.is_zero()) divisor = quantity::from_units(1);
  auto n = (value.nano() + divisor.nano() - 1) / divisor.nano();
  return std::to_string(static_cast<std::int64_t>(n));
}

} // namespace troupe::kubelet

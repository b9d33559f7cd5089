#include "api/schema/defaulting_kinds.hpp"

#include "api/schema/scalars.hpp"

#include <algorithm>
#include <initializer_list>
#include <string>

namespace troupe::schema {

namespace {

json::string_view key_view(std::string_view s) noexcept { return {s.data(), s.size()}; }

/// Neither absent nor null.
json::value* given(json::object& o, std::string_view key) noexcept {
  auto* v = o.if_contains(key_view(key));
  return v && !v->is_null() ? v : nullptr;
}

std::string_view word(json::object& o, std::string_view key) noexcept {
  const auto* v = given(o, key);
  const auto* s = v ? v->if_string() : nullptr;
  return s ? jq::view(*s) : std::string_view{};
}

bool is_true(json::object& o, std::string_view key) noexcept {
  const auto* v = given(o, key);
  return v && v->is_bool() && v->get_bool();
}

json::object* object_of(json::object& o, std::string_view key) noexcept {
  auto* v = given(o, key);
  return v ? v->if_object() : nullptr;
}

json::array* array_of(json::object& o, std::string_view key) noexcept {
  auto* v = given(o, key);
  return v ? v->if_array() : nullptr;
}

/// The object under the key, made when it is absent; null when something else stands there.
json::object* ensure_object(json::object& o, std::string_view key) {
  auto& v = o[key_view(key)];
  if (v.is_null()) v.emplace_object();
  return v.if_object();
}

void set_if_absent(json::object& o, std::string_view key, json::value v) {
  if (!given(o, key)) o[key_view(key)] = std::move(v);
}

bool empty_text(json::object& o, std::string_view key) noexcept { return word(o, key).empty(); }

/// Entries of `from` whose key `to` lacks.
void fill_map(json::object& to, const json::object* from) {
  if (!from) return;
  for (const auto& kv : *from)
    to.emplace(kv.key(), kv.value());
}

template <class F>
void each_object(json::array* list, F&& f) {
  if (!list) return;
  for (auto& v : *list)
    if (auto* o = v.if_object()) f(*o);
}

// core: pods

/// `latest` when the reference has neither tag nor digest; empty with a digest only.
std::string_view image_tag(std::string_view image) noexcept {
  const auto digest = image.find('@');
  const auto name = image.substr(0, digest);
  const auto slash = name.rfind('/');
  const auto colon = name.find(':', slash == name.npos ? 0 : slash + 1);
  if (colon != name.npos) return name.substr(colon + 1);
  return digest == image.npos ? std::string_view{"latest"} : std::string_view{};
}

void container(json::object& o) {
  if (!empty_text(o, "imagePullPolicy")) return;
  const auto image = word(o, "image");
  o["imagePullPolicy"] = !image.empty() && image_tag(image) == "latest" ? "Always" : "IfNotPresent";
}

void pod_spec(json::object& o) {
  // Two names of one thing: the newer wins, the older mirrors it.
  if (empty_text(o, "serviceAccountName") && !empty_text(o, "serviceAccount"))
    o["serviceAccountName"] = json::value(o["serviceAccount"], o.storage());
  if (!empty_text(o, "serviceAccountName") && word(o, "serviceAccount") != word(o, "serviceAccountName"))
    o["serviceAccount"] = json::value(o["serviceAccountName"], o.storage());
}

void requests_from_limits(json::object& container_object) {
  auto* resources = object_of(container_object, "resources");
  const auto* limits = resources ? object_of(*resources, "limits") : nullptr;
  if (!limits || limits->empty()) return;
  const json::object wanted(*limits, resources->storage()); // adding a member may move the one it points at
  if (auto* requests = ensure_object(*resources, "requests")) fill_map(*requests, &wanted);
}

void host_ports(json::object& container_object) {
  each_object(array_of(container_object, "ports"), [](json::object& port) {
    const auto* host = given(port, "hostPort");
    if (host && !(host->is_int64() && host->get_int64() == 0)) return;
    if (const auto* own = given(port, "containerPort")) port["hostPort"] = json::value(*own, port.storage());
  });
}

void pod(json::object& o) {
  auto* spec = object_of(o, "spec");
  if (!spec) return;
  set_if_absent(*spec, "enableServiceLinks", true);
  const bool host_network = is_true(*spec, "hostNetwork");
  for (const std::string_view list : {"containers", "initContainers"})
    each_object(array_of(*spec, list), [&](json::object& c) {
      requests_from_limits(c);
      if (host_network) host_ports(c);
    });
}

void volume(json::object& o) {
  for (const auto& kv : o)
    if (kv.key() != "name" && !kv.value().is_null()) return;
  o["emptyDir"].emplace_object();
}

// core: the rest

void service_affinity(json::object& o) {
  if (word(o, "sessionAffinity") == "None") {
    o.erase("sessionAffinityConfig");
  } else if (word(o, "sessionAffinity") == "ClientIP") {
    auto* config = ensure_object(o, "sessionAffinityConfig");
    auto* client = config ? ensure_object(*config, "clientIP") : nullptr;
    if (client) set_if_absent(*client, "timeoutSeconds", 10800);
  }
}

void service_spec(json::object& o) {
  service_affinity(o);
  const auto type = word(o, "type");
  const bool balancer = type == "LoadBalancer";
  const bool node_port = type == "NodePort";
  const bool cluster = type == "ClusterIP";
  const auto* outside = array_of(o, "externalIPs");
  if (empty_text(o, "externalTrafficPolicy") && (balancer || node_port || (cluster && outside && !outside->empty())))
    o["externalTrafficPolicy"] = "Cluster";
  if (balancer || node_port || cluster) set_if_absent(o, "internalTrafficPolicy", "Cluster");
  if (balancer) set_if_absent(o, "allocateLoadBalancerNodePorts", true);
}

void service(json::object& o) {
  auto* spec = object_of(o, "spec");
  auto* status = object_of(o, "status");
  auto* balancer = status ? object_of(*status, "loadBalancer") : nullptr;
  if (!spec || !balancer || word(*spec, "type") != "LoadBalancer") return;
  each_object(array_of(*balancer, "ingress"), [](json::object& in) {
    if (!empty_text(in, "ip")) set_if_absent(in, "ipMode", "VIP");
  });
}

void service_port(json::object& o) {
  const auto* target = given(o, "targetPort");
  const bool zero = !target || (target->is_int64() && target->get_int64() == 0) ||
                    (target->is_string() && target->get_string().empty());
  if (!zero) return;
  if (const auto* port = given(o, "port")) o["targetPort"] = json::value(*port, o.storage());
}

void namespace_object(json::object& o) {
  auto* meta = object_of(o, "metadata");
  if (!meta || empty_text(*meta, "name")) return;
  const std::string name{word(*meta, "name")};
  if (auto* labels = ensure_object(*meta, "labels")) (*labels)["kubernetes.io/metadata.name"] = name;
}

/// stringData is a way to write, never stored.
void secret(json::object& o) {
  if (auto* plain = object_of(o, "stringData")) {
    const json::object wanted(*plain, o.storage());
    if (auto* data = ensure_object(o, "data"))
      for (const auto& kv : wanted)
        if (const auto* s = kv.value().if_string()) (*data)[kv.key()] = base64_encode(jq::view(*s));
  }
  o.erase("stringData");
}

void node_status(json::object& o) {
  if (!given(o, "allocatable"))
    if (const auto* capacity = given(o, "capacity")) {
      json::value copy(*capacity, o.storage());
      o["allocatable"] = std::move(copy);
    }
}

void limit_range_item(json::object& o) {
  if (word(o, "type") != "Container") return;
  json::object limit(o.storage());
  json::object request(o.storage());
  fill_map(limit, object_of(o, "default"));
  fill_map(limit, object_of(o, "max"));
  fill_map(request, object_of(o, "defaultRequest"));
  fill_map(request, &limit);
  fill_map(request, object_of(o, "min"));
  if (!limit.empty()) o["default"] = std::move(limit);
  if (!request.empty()) o["defaultRequest"] = std::move(request);
}

/// Labels of the template become the object's own when it has none.
void labels_from_template(json::object& o) {
  auto* spec = object_of(o, "spec");
  auto* tmpl = spec ? object_of(*spec, "template") : nullptr;
  auto* tmeta = tmpl ? object_of(*tmpl, "metadata") : nullptr;
  const auto* labels = tmeta ? object_of(*tmeta, "labels") : nullptr;
  if (!labels || labels->empty()) return;
  auto* own = ensure_object(o, "metadata");
  if (!own) return;
  const auto* have = object_of(*own, "labels");
  if (!have || have->empty()) (*own)["labels"] = json::value(json::object(*labels), own->storage());
}

void replication_controller(json::object& o) {
  labels_from_template(o);
  auto* spec = object_of(o, "spec");
  auto* tmpl = spec ? object_of(*spec, "template") : nullptr;
  auto* tmeta = tmpl ? object_of(*tmpl, "metadata") : nullptr;
  const auto* labels = tmeta ? object_of(*tmeta, "labels") : nullptr;
  if (!labels || labels->empty() || given(*spec, "selector")) return;
  json::object copy(*labels, spec->storage());
  (*spec)["selector"] = std::move(copy);
}

// apps, batch

void rolling_by_type(json::object& o) {
  if (word(o, "type") == "RollingUpdate") ensure_object(o, "rollingUpdate");
}

void stateful_set_strategy(json::object& o) {
  if (empty_text(o, "type")) ensure_object(o, "rollingUpdate");
}

void claim_template(json::object& o) {
  each_object(array_of(o, "volumeClaimTemplates"), [](json::object& c) {
    if (empty_text(c, "kind")) c["kind"] = "PersistentVolumeClaim";
    if (empty_text(c, "apiVersion")) c["apiVersion"] = "v1";
  });
}

void job_spec(json::object& o) {
  if (!given(o, "completions") && !given(o, "parallelism")) o["completions"] = 1;
  if (!given(o, "backoffLimit"))
    o["backoffLimit"] = given(o, "backoffLimitPerIndex") ? std::int64_t{2147483647} : std::int64_t{6};
  set_if_absent(o, "podReplacementPolicy", given(o, "podFailurePolicy") ? "Failed" : "TerminatingOrFailed");
}

// autoscaling

void hpa_v1(json::object& o) {
  auto* spec = object_of(o, "spec");
  if (!spec || given(*spec, "targetCPUUtilizationPercentage")) return;
  auto* meta = object_of(o, "metadata");
  auto* notes = meta ? object_of(*meta, "annotations") : nullptr;
  if (!notes || empty_text(*notes, "autoscaling.alpha.kubernetes.io/metrics"))
    (*spec)["targetCPUUtilizationPercentage"] = 80;
}

void hpa_v2_spec(json::object& o) {
  const auto* metrics = array_of(o, "metrics");
  if (metrics && !metrics->empty()) return;
  o["metrics"] =
      json::array{{{"type", "Resource"},
                   {"resource", {{"name", "cpu"}, {"target", {{"type", "Utilization"}, {"averageUtilization", 80}}}}}}};
}

void hpa_behavior(json::object& o) {
  const auto policy = [](std::string_view type, int value) {
    return json::object{{"type", key_view(type)}, {"value", value}, {"periodSeconds", 15}};
  };
  if (auto* up = ensure_object(o, "scaleUp")) {
    set_if_absent(*up, "stabilizationWindowSeconds", 0);
    set_if_absent(*up, "selectPolicy", "Max");
    if (!given(*up, "policies")) (*up)["policies"] = json::array{policy("Pods", 4), policy("Percent", 100)};
  }
  if (auto* down = ensure_object(o, "scaleDown")) {
    set_if_absent(*down, "selectPolicy", "Max");
    if (!given(*down, "policies")) (*down)["policies"] = json::array{policy("Percent", 100)};
  }
}

// networking, rbac, apiextensions

void network_policy_spec(json::object& o) {
  const auto* types = array_of(o, "policyTypes");
  if (types && !types->empty()) return;
  auto& list = o["policyTypes"].emplace_array();
  list.emplace_back("Ingress");
  const auto* egress = array_of(o, "egress");
  if (egress && !egress->empty()) list.emplace_back("Egress");
}

void rbac_subject(json::object& o) {
  if (!empty_text(o, "apiGroup")) return;
  if (word(o, "kind") == "User" || word(o, "kind") == "Group") o["apiGroup"] = "rbac.authorization.k8s.io";
}

void crd_names(json::object& o) {
  const std::string kind{word(o, "kind")};
  if (kind.empty()) return;
  if (empty_text(o, "singular")) {
    std::string lower = kind;
    std::transform(lower.begin(), lower.end(), lower.begin(),
                   [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    o["singular"] = lower;
  }
  if (empty_text(o, "listKind")) o["listKind"] = kind + "List";
}

constexpr conditional_defaults table[] = {
    {"io.k8s.api.core.v1.Container", nullptr, container},
    {"io.k8s.api.core.v1.EphemeralContainer", nullptr, container},
    {"io.k8s.api.core.v1.LimitRangeItem", nullptr, limit_range_item},
    {"io.k8s.api.core.v1.Namespace", nullptr, namespace_object},
    {"io.k8s.api.core.v1.NodeStatus", nullptr, node_status},
    {"io.k8s.api.core.v1.Pod", nullptr, pod},
    {"io.k8s.api.core.v1.PodSpec", nullptr, pod_spec},
    {"io.k8s.api.core.v1.ReplicationController", nullptr, replication_controller},
    {"io.k8s.api.core.v1.Secret", nullptr, secret},
    {"io.k8s.api.core.v1.Service", nullptr, service},
    {"io.k8s.api.core.v1.ServicePort", nullptr, service_port},
    {"io.k8s.api.core.v1.ServiceSpec", nullptr, service_spec},
    {"io.k8s.api.core.v1.Volume", nullptr, volume},
    {"io.k8s.api.apps.v1.DaemonSetUpdateStrategy", nullptr, rolling_by_type},
    {"io.k8s.api.apps.v1.DeploymentStrategy", nullptr, rolling_by_type},
    {"io.k8s.api.apps.v1.StatefulSetSpec", nullptr, claim_template},
    {"io.k8s.api.apps.v1.StatefulSetUpdateStrategy", stateful_set_strategy, nullptr},
    {"io.k8s.api.autoscaling.v1.HorizontalPodAutoscaler", nullptr, hpa_v1},
    {"io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerBehavior", nullptr, hpa_behavior},
    {"io.k8s.api.autoscaling.v2.HorizontalPodAutoscalerSpec", nullptr, hpa_v2_spec},
    {"io.k8s.api.batch.v1.Job", nullptr, labels_from_template},
    {"io.k8s.api.batch.v1.JobSpec", job_spec, nullptr},
    {"io.k8s.api.networking.v1.NetworkPolicySpec", nullptr, network_policy_spec},
    {"io.k8s.api.rbac.v1.Subject", nullptr, rbac_subject},
    {"io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1.CustomResourceDefinitionNames", nullptr, crd_names},
};

} // namespace

std::span<const conditional_defaults> conditional_defaults_table() noexcept { return table; }

} // namespace troupe::schema

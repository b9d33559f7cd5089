#include "actors/scheduler/pod_request.hpp"

#include "api/meta/object_meta.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::sched {

bool toleration::tolerates(const taint& t) const noexcept {
  if (!effect.empty() && effect != t.effect) return false;
  if (!key.empty() && key != t.key) return false;
  if (exists) return true;
  return !key.empty() && value == t.value;
}

bool host_port::collides(const host_port& o) const noexcept {
  return port == o.port && protocol == o.protocol && (ip == o.ip || ip == "0.0.0.0" || o.ip == "0.0.0.0");
}

namespace {
const std::string* find_label(const label_list& labels, std::string_view key) noexcept {
  auto it = std::lower_bound(labels.begin(), labels.end(), key, [](const auto& p, auto k) { return p.first < k; });
  return it != labels.end() && it->first == key ? &it->second : nullptr;
}

bool to_int(std::string_view s, std::int64_t& out) noexcept {
  auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), out);
  return ec == std::errc{} && end == s.data() + s.size();
}

bool holds(const label_selector::requirement& r, const std::string* value) noexcept {
  using op = label_selector::op;
  auto one_of = [&] { return value && std::find(r.values.begin(), r.values.end(), *value) != r.values.end(); };
  switch (r.how) {
  case op::equals:
  case op::double_equals:
  case op::in: return one_of();
  case op::not_equals:
  case op::not_in: return !one_of();
  case op::exists: return value;
  case op::not_exists: return !value;
  case op::greater:
  case op::less: {
    std::int64_t have = 0, want = 0;
    if (!value || r.values.empty() || !to_int(*value, have) || !to_int(r.values.front(), want)) return false;
    return r.how == op::greater ? have > want : have < want;
  }
  }
  return false;
}

label_list sorted_labels(const json::object& o) {
  label_list out;
  out.reserve(o.size());
  for (const auto& [k, v] : o)
    if (v.is_string()) out.emplace_back(std::string{k}, std::string{v.get_string()});
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<label_selector::requirement> requirements(const json::array& list) {
  using op = label_selector::op;
  std::vector<label_selector::requirement> out;
  for (const auto& e : list) {
    label_selector::requirement r;
    r.key = jq::str(e, {"key"});
    auto how = jq::str(e, {"operator"});
    r.how = how == "In"             ? op::in
            : how == "NotIn"        ? op::not_in
            : how == "Exists"       ? op::exists
            : how == "DoesNotExist" ? op::not_exists
            : how == "Gt"           ? op::greater
                                    : op::less;
    for (const auto& v : jq::arr(e, {"values"}))
      if (v.is_string()) r.values.emplace_back(v.get_string());
    out.push_back(std::move(r));
  }
  return out;
}

label_selector selector_of(const json::value& owner, const json::object& own_labels,
                           std::initializer_list<std::string_view> path) {
  auto doc = jq::find(owner, path);
  if (!doc) return label_selector::nothing();
  // matchLabelKeys: the pod's own values of these keys narrow (or, mismatch, exclude) what is selected.
  json::value merged = *doc;
  auto add = [&](std::string_view from, std::string_view how) {
    for (const auto& k : jq::arr(owner, {from})) {
      if (!k.is_string()) continue;
      auto it = own_labels.find(k.get_string());
      if (it == own_labels.end()) continue;
      auto& list = jq::at(merged, {"matchExpressions"});
      if (!list.is_array()) list = json::array{};
      list.get_array().push_back(
          json::object{{"key", k.get_string()}, {"operator", how}, {"values", json::array{it->value()}}});
    }
  };
  add("matchLabelKeys", "In");
  add("mismatchLabelKeys", "NotIn");
  auto s = label_selector::from_object(&merged);
  return s ? *s : label_selector::nothing();
}

pod_term extract_pod_term(const json::value& t, const json::value& pod, std::int64_t weight) {
  pod_term out;
  out.selector = selector_of(t, meta::labels(pod), {"labelSelector"});
  out.topology_key = jq::str(t, {"topologyKey"});
  out.weight = weight;
  for (const auto& n : jq::arr(t, {"namespaces"}))
    if (n.is_string()) out.namespaces.emplace_back(n.get_string());
  if (auto sel = jq::find(t, {"namespaceSelector"}); sel && sel->is_object()) {
    auto parsed = label_selector::from_object(sel);
    if (parsed) out.namespace_selector = *parsed;
  } else if (out.namespaces.empty())
    out.namespaces.emplace_back(meta::ns(pod));
  return out;
}

void extract_affinity(const json::value& doc, pod_request& p) {
  constexpr std::string_view required = "requiredDuringSchedulingIgnoredDuringExecution";
  constexpr std::string_view preferred = "preferredDuringSchedulingIgnoredDuringExecution";
  auto aff = jq::find(doc, {"spec", "affinity"});
  if (!aff) return;
  if (auto need = jq::find(*aff, {"nodeAffinity", required}); need && need->is_object()) {
    p.has_required_terms = true;
    for (const auto& t : jq::arr(*need, {"nodeSelectorTerms"}))
      p.required_terms.push_back(extract_node_term(t));
  }
  for (const auto& w : jq::arr(*aff, {"nodeAffinity", preferred})) {
    auto pref = jq::find(w, {"preference"});
    if (!pref) continue;
    auto t = extract_node_term(*pref);
    t.weight = jq::num(w, {"weight"});
    p.preferred_terms.push_back(std::move(t));
  }
  for (auto [kind, hard, soft] : {std::tuple{"podAffinity", &p.affinity, &p.preferred_affinity},
                                  std::tuple{"podAntiAffinity", &p.anti_affinity, &p.preferred_anti_affinity}}) {
    for (const auto& t : jq::arr(*aff, {kind, required}))
      hard->push_back(extract_pod_term(t, doc, 0));
    for (const auto& w : jq::arr(*aff, {kind, preferred}))
      if (auto t = jq::find(w, {"podAffinityTerm"})) soft->push_back(extract_pod_term(*t, doc, jq::num(w, {"weight"})));
  }
}

void extract_spread(const json::value& doc, pod_request& p) {
  for (const auto& c : jq::arr(doc, {"spec", "topologySpreadConstraints"})) {
    spread_constraint s;
    s.selector = selector_of(c, meta::labels(doc), {"labelSelector"});
    s.topology_key = jq::str(c, {"topologyKey"});
    s.max_skew = jq::num(c, {"maxSkew"}, 1);
    s.min_domains = jq::num(c, {"minDomains"}, 1);
    s.hard = jq::str(c, {"whenUnsatisfiable"}) != "ScheduleAnyway";
    s.honor_affinity = jq::str(c, {"nodeAffinityPolicy"}) != "Ignore";
    s.honor_taints = jq::str(c, {"nodeTaintsPolicy"}) == "Honor";
    p.spread.push_back(std::move(s));
  }
}

void extract_ports(const json::value& doc, pod_request& p) {
  auto take = [&](const json::array& containers, bool sidecars_only) {
    for (const auto& c : containers) {
      if (sidecars_only && jq::str(c, {"restartPolicy"}) != "Always") continue;
      for (const auto& e : jq::arr(c, {"ports"})) {
        host_port h;
        h.port = jq::num(e, {"hostPort"});
        if (h.port <= 0) continue;
        h.protocol = jq::str(e, {"protocol"}, "TCP");
        if (auto ip = jq::str(e, {"hostIP"}); !ip.empty()) h.ip = ip;
        p.ports.push_back(std::move(h));
      }
    }
  };
  take(jq::arr(doc, {"spec", "containers"}), false);
  take(jq::arr(doc, {"spec", "initContainers"}), true);
}
} // namespace

bool node_term::matches(const label_list& node_labels, std::string_view node_name) const noexcept {
  if (labels.empty() && fields.empty()) return false;
  for (const auto& r : labels)
    if (!holds(r, find_label(node_labels, r.key))) return false;
  if (fields.empty()) return true;
  std::string name{node_name};
  for (const auto& r : fields)
    if (r.key != "metadata.name" || !holds(r, &name)) return false;
  return true;
}

bool pod_term::covers(std::string_view ns, const label_list& ns_labels, const label_list& labels) const noexcept {
  if (std::find(namespaces.begin(), namespaces.end(), ns) == namespaces.end() && !namespace_selector.matches(ns_labels))
    return false;
  return selector.matches(labels);
}

node_term extract_node_term(const json::value& term) {
  node_term t;
  t.labels = requirements(jq::arr(term, {"matchExpressions"}));
  t.fields = requirements(jq::arr(term, {"matchFields"}));
  return t;
}

pod_ptr extract_pod(const json::value& doc) {
  auto out = std::make_shared<pod_request>();
  auto& p = *out;
  p.ns = meta::ns(doc);
  p.name = meta::name(doc);
  p.uid = meta::uid(doc);
  p.resource_version = meta::resource_version(doc);
  p.node_name = jq::str(doc, {"spec", "nodeName"});
  p.scheduler_name = jq::str(doc, {"spec", "schedulerName"}, "default-scheduler");
  p.preemption_policy = jq::str(doc, {"spec", "preemptionPolicy"});
  p.nominated = jq::str(doc, {"status", "nominatedNodeName"});
  p.labels = sorted_labels(meta::labels(doc));
  p.priority = jq::num(doc, {"spec", "priority"});
  p.created = meta::created(doc).value_or(sys_micros{});
  p.deleting = meta::deleting(doc);
  auto phase = jq::str(doc, {"status", "phase"});
  p.finished = phase == "Succeeded" || phase == "Failed";
  for (const auto& g : jq::arr(doc, {"spec", "schedulingGates"}))
    p.gates.emplace_back(jq::str(g, {"name"}));
  p.needs = effective_requests(doc, false);
  p.score_needs = effective_requests(doc, true);
  p.node_selector = sorted_labels(jq::obj(doc, {"spec", "nodeSelector"}));
  for (const auto& t : jq::arr(doc, {"spec", "tolerations"}))
    p.tolerations.push_back({std::string{jq::str(t, {"key"})}, std::string{jq::str(t, {"value"})},
                             std::string{jq::str(t, {"effect"})}, jq::str(t, {"operator"}) == "Exists"});
  extract_ports(doc, p);
  extract_affinity(doc, p);
  extract_spread(doc, p);
  for (const auto& v : jq::arr(doc, {"spec", "volumes"}))
    if (auto c = jq::str(v, {"persistentVolumeClaim", "claimName"}); !c.empty()) p.claims.emplace_back(c);
  for (const auto& c : jq::arr(doc, {"status", "conditions"}))
    if (jq::str(c, {"type"}) == "PodScheduled" && jq::str(c, {"status"}) == "False") {
      p.stored_reason = jq::str(c, {"reason"});
      p.stored_message = jq::str(c, {"message"});
    }
  return out;
}

} // namespace troupe::sched

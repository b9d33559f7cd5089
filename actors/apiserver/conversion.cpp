#include "actors/apiserver/conversion.hpp"

#include "api/schema/conform.hpp"

namespace troupe::apiserver {

namespace {

struct renamed {
  const char *core, *events;
};
constexpr renamed event_fields[] = {{"involvedObject", "regarding"},
                                    {"message", "note"},
                                    {"source", "deprecatedSource"},
                                    {"firstTimestamp", "deprecatedFirstTimestamp"},
                                    {"lastTimestamp", "deprecatedLastTimestamp"},
                                    {"count", "deprecatedCount"},
                                    {"reportingComponent", "reportingController"}};

void rename(json::object& o, const char* from, const char* to) {
  if (auto* v = o.if_contains(from)) {
    auto moved = std::move(*v);
    o.erase(from);
    o[to] = std::move(moved);
  }
}

void event_to_core(json::object& o) {
  for (const auto& f : event_fields)
    rename(o, f.events, f.core);
  o["apiVersion"] = "v1";
}

void event_from_core(json::object& o) {
  for (const auto& f : event_fields)
    rename(o, f.core, f.events);
  o["apiVersion"] = "events.k8s.io/v1";
}

constexpr const char* metrics_note = "autoscaling.alpha.kubernetes.io/metrics";
constexpr const char* behavior_note = "autoscaling.alpha.kubernetes.io/behavior";
constexpr const char* conditions_note = "autoscaling.alpha.kubernetes.io/conditions";
constexpr const char* current_note = "autoscaling.alpha.kubernetes.io/current-metrics";

json::value cpu_metric(std::int64_t percent) {
  json::object target;
  target["type"] = "Utilization";
  target["averageUtilization"] = percent;
  json::object resource;
  resource["name"] = "cpu";
  resource["target"] = std::move(target);
  json::object m;
  m["type"] = "Resource";
  m["resource"] = std::move(resource);
  return m;
}

bool is_cpu(const json::value& m) {
  return jq::str(m, {"type"}) == "Resource" && jq::str(m, {"resource", "name"}) == "cpu" &&
         jq::maybe_num(m, {"resource", "target", "averageUtilization"});
}

/// Takes an annotation out and parses it.
json::value take_note(json::value& doc, const char* key) {
  const auto text = std::string(jq::str(doc, {"metadata", "annotations", key}));
  jq::erase(doc, {"metadata", "annotations", key});
  if (text.empty()) return nullptr;
  boost::system::error_code ec;
  auto v = json::parse(text, ec);
  return ec ? json::value(nullptr) : v;
}

void hpa_to_v2(json::value& doc) {
  auto metrics = take_note(doc, metrics_note);
  auto behavior = take_note(doc, behavior_note);
  auto conditions = take_note(doc, conditions_note);
  auto current = take_note(doc, current_note);
  json::array list = metrics.is_array() ? std::move(metrics.as_array()) : json::array{};
  auto& spec = jq::at(doc, {"spec"});
  if (const auto percent = jq::maybe_num(spec, {"targetCPUUtilizationPercentage"})) {
    list.push_back(cpu_metric(*percent));
    jq::erase(spec, {"targetCPUUtilizationPercentage"});
  }
  if (!list.empty()) jq::at(spec, {"metrics"}) = std::move(list);
  if (behavior.is_object()) jq::at(spec, {"behavior"}) = std::move(behavior);
  if (conditions.is_array()) jq::at(doc, {"status", "conditions"}) = std::move(conditions);
  if (current.is_array()) jq::at(doc, {"status", "currentMetrics"}) = std::move(current);
  jq::erase(doc, {"status", "currentCPUUtilizationPercentage"});
  jq::at(doc, {"apiVersion"}) = "autoscaling/v2";
}

void hpa_from_v2(json::value& doc) {
  json::array others;
  for (const auto& m : jq::arr(doc, {"spec", "metrics"})) {
    if (is_cpu(m) && !jq::find(doc, {"spec", "targetCPUUtilizationPercentage"}))
      jq::at(doc, {"spec", "targetCPUUtilizationPercentage"}) =
          jq::num(m, {"resource", "target", "averageUtilization"});
    else
      others.push_back(m);
  }
  jq::erase(doc, {"spec", "metrics"});
  const auto note = [&](const char* key, const json::value& v) {
    jq::at(doc, {"metadata", "annotations", key}) = json::serialize(v);
  };
  if (!others.empty()) note(metrics_note, others);
  if (const auto* b = jq::find(doc, {"spec", "behavior"})) note(behavior_note, *b);
  jq::erase(doc, {"spec", "behavior"});
  if (const auto* c = jq::find(doc, {"status", "conditions"})) note(conditions_note, *c);
  jq::erase(doc, {"status", "conditions"});
  for (const auto& m : jq::arr(doc, {"status", "currentMetrics"}))
    if (jq::str(m, {"resource", "name"}) == "cpu")
      if (const auto n = jq::maybe_num(m, {"resource", "current", "averageUtilization"}))
        jq::at(doc, {"status", "currentCPUUtilizationPercentage"}) = *n;
  if (const auto* c = jq::find(doc, {"status", "currentMetrics"})) note(current_note, *c);
  jq::erase(doc, {"status", "currentMetrics"});
  jq::at(doc, {"apiVersion"}) = "autoscaling/v1";
}

} // namespace

void to_stored(const schema::resource& from, json::value& doc) {
  if (from.group == "events.k8s.io" && doc.is_object())
    event_to_core(doc.as_object());
  else if (from.group == "autoscaling" && from.version == "v1")
    hpa_to_v2(doc);
  else
    return;
  if (const auto* r = schema::registry::get().find(from.storage_group, from.storage_version, from.plural))
    schema::reorder(doc, *r->body);
}

void from_stored(const schema::resource& to, json::value& doc) {
  if (to.group == "events.k8s.io" && doc.is_object())
    event_from_core(doc.as_object());
  else if (to.group == "autoscaling" && to.version == "v1")
    hpa_from_v2(doc);
  else
    return;
  schema::reorder(doc, *to.body);
}

} // namespace troupe::apiserver

#include "api/kinds/rules.hpp"

#include <algorithm>
#include <charconv>
#include <set>

namespace troupe::kinds {

namespace {

void check_node_requirement(field_errors& e, const json::value& r, const std::string& path) {
  const auto how = jq::str(r, {"operator"});
  const auto& values = jq::arr(r, {"values"});
  if (how == "In" || how == "NotIn") {
    if (values.empty())
      e.push_back(field::required(path + ".values", "must be specified when `operator` is 'In' or 'NotIn'"));
  } else if (how == "Exists" || how == "DoesNotExist") {
    if (!values.empty())
      e.push_back(
          field::forbidden(path + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
  } else if (how == "Gt" || how == "Lt") {
    if (values.size() != 1)
      e.push_back(field::required(path + ".values", "must be specified single value when `operator` is 'Lt' or 'Gt'"));
  }
  const auto key = jq::str(r, {"key"});
  if (!names::is_qualified(key)) check_name(e, path + ".key", key, names::qualified(key));
}

void check_node_term(field_errors& e, const json::value& term, const std::string& path) {
  const auto& expressions = jq::arr(term, {"matchExpressions"});
  for (std::size_t i = 0; i < expressions.size(); ++i)
    check_node_requirement(e, expressions[i], index(path + ".matchExpressions", i));
  const auto& fields = jq::arr(term, {"matchFields"});
  for (std::size_t i = 0; i < fields.size(); ++i) {
    const auto here = index(path + ".matchFields", i);
    if (const auto key = jq::str(fields[i], {"key"}); key != "metadata.name")
      e.push_back(field::invalid(here + ".key", text(key), "not a valid field selector key"));
    if (jq::arr(fields[i], {"values"}).size() != 1)
      e.push_back(field::required(here + ".values",
                                  "must be only one value when `operator` is 'In' or 'NotIn' for node field selector"));
  }
}

void check_weight(field_errors& e, const json::value& v, const std::string& path) {
  constexpr std::int64_t weight_max = 100;
  if (const auto w = jq::num(v, {"weight"}); w < 1 || w > weight_max)
    e.push_back(field::invalid(path + ".weight", w, "must be in the range 1-100"));
}

void check_pod_term(field_errors& e, const json::value& term, const std::string& path) {
  check_selector(e, jq::find(term, {"labelSelector"}), path + ".labelSelector");
  check_selector(e, jq::find(term, {"namespaceSelector"}), path + ".namespaceSelector");
  const auto& ns = jq::arr(term, {"namespaces"});
  for (std::size_t i = 0; i < ns.size(); ++i)
    if (ns[i].is_string())
      check_name(e, path + ".namespace", jq::view(ns[i].get_string()),
                 names::dns1123_label(jq::view(ns[i].get_string())));
  const auto key = jq::str(term, {"topologyKey"});
  if (key.empty()) return; // required: said by the schema check
  if (!names::is_qualified(key)) check_name(e, path + ".topologyKey", key, names::qualified(key));
}

void check_affinity(field_errors& e, const json::value& spec, const std::string& path) {
  const auto base = path + ".affinity.nodeAffinity";
  if (const auto* required =
          jq::find(spec, {"affinity", "nodeAffinity", "requiredDuringSchedulingIgnoredDuringExecution"});
      required && !required->is_null())
    check_node_selector(e, *required, base + ".requiredDuringSchedulingIgnoredDuringExecution");
  const auto& preferred =
      jq::arr(spec, {"affinity", "nodeAffinity", "preferredDuringSchedulingIgnoredDuringExecution"});
  for (std::size_t i = 0; i < preferred.size(); ++i) {
    const auto here = index(base + ".preferredDuringSchedulingIgnoredDuringExecution", i);
    check_weight(e, preferred[i], here);
    check_node_term(e, at(preferred[i], {"preference"}), here + ".preference");
  }
  for (auto kind : {"podAffinity", "podAntiAffinity"}) {
    const auto pods = path + ".affinity." + kind;
    const auto& must = jq::arr(spec, {"affinity", kind, "requiredDuringSchedulingIgnoredDuringExecution"});
    for (std::size_t i = 0; i < must.size(); ++i)
      check_pod_term(e, must[i], index(pods + ".requiredDuringSchedulingIgnoredDuringExecution", i));
    const auto& should = jq::arr(spec, {"affinity", kind, "preferredDuringSchedulingIgnoredDuringExecution"});
    for (std::size_t i = 0; i < should.size(); ++i) {
      const auto here = index(pods + ".preferredDuringSchedulingIgnoredDuringExecution", i);
      check_weight(e, should[i], here);
      check_pod_term(e, at(should[i], {"podAffinityTerm"}), here + ".podAffinityTerm");
    }
  }
}

void check_spread(field_errors& e, const json::value& spec, const std::string& path) {
  std::set<std::pair<std::string_view, std::string_view>> seen;
  const auto& list = jq::arr(spec, {"topologySpreadConstraints"});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto here = index(path + ".topologySpreadConstraints", i);
    if (const auto skew = jq::num(list[i], {"maxSkew"}); skew <= 0)
      e.push_back(field::invalid(here + ".maxSkew", skew, "must be greater than zero"));
    const auto key = jq::str(list[i], {"topologyKey"}), when = jq::str(list[i], {"whenUnsatisfiable"});
    if (!seen.insert({key, when}).second)
      e.push_back(field::duplicate(here + ".{topologyKey, whenUnsatisfiable}",
                                   text("{" + std::string{key} + ", " + std::string{when} + "}")));
    check_selector(e, jq::find(list[i], {"labelSelector"}), here + ".labelSelector");
  }
}

} // namespace

void check_node_selector(field_errors& e, const json::value& selector, const std::string& path) {
  const auto& terms = jq::arr(selector, {"nodeSelectorTerms"});
  // An empty list is said to be missing by the schema check.
  for (std::size_t i = 0; i < terms.size(); ++i)
    check_node_term(e, terms[i], index(path + ".nodeSelectorTerms", i));
}

void check_tolerations(field_errors& e, const json::array& tolerations, const std::string& path) {
  for (std::size_t i = 0; i < tolerations.size(); ++i) {
    const auto& t = tolerations[i];
    const auto here = index(path, i);
    const auto key = jq::str(t, {"key"}), how = jq::str(t, {"operator"}), value = jq::str(t, {"value"});
    if (!key.empty() && !names::is_qualified(key)) check_name(e, here + ".key", key, names::qualified(key));
    if (key.empty() && how != "Exists")
      e.push_back(
          field::invalid(here + ".operator", text(how),
                         "operator must be Exists when `key` is empty, which means \"match all values and all keys\""));
    if (jq::find(t, {"tolerationSeconds"}) && jq::str(t, {"effect"}) != "NoExecute")
      e.push_back(field::invalid(here + ".effect", at(t, {"effect"}),
                                 "effect must be 'NoExecute' when `tolerationSeconds` is set"));
    if (how.empty() || how == "Equal")
      check_name(e, here + ".operator", value, names::label_value(value));
    else if (how == "Exists" && !value.empty())
      e.push_back(field::invalid(here + ".operator", t, "value must be empty when `operator` is 'Exists'"));
  }
}

void check_scheduling(field_errors& e, const json::value& spec, const std::string& path) {
  check_labels(e, jq::obj(spec, {"nodeSelector"}), path + ".nodeSelector");
  check_affinity(e, spec, path);
  check_tolerations(e, jq::arr(spec, {"tolerations"}), path + ".tolerations");
  check_spread(e, spec, path);
  std::set<std::string_view> gates;
  const auto& list = jq::arr(spec, {"schedulingGates"});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto name = jq::str(list[i], {"name"});
    const auto here = index(path + ".schedulingGates", i);
    if (!names::is_qualified(name)) check_name(e, here, name, names::qualified(name));
    if (!gates.insert(name).second) e.push_back(field::duplicate(here, text(name)));
  }
}

} // namespace troupe::kinds

#include "api/meta/object_meta.hpp"
#include "api/table/cells.hpp"

#include <algorithm>
#include <set>

namespace troupe::table {

namespace {

void pod_template_row(row& r, const json::value& o) {
  r.name(o)
      .text(containers_text(o, {"template", "spec"}, "name"))
      .text(containers_text(o, {"template", "spec"}, "image"))
      .text(labels_text(jq::obj(o, {"template", "metadata", "labels"})));
}

std::string node_status(const json::value& o) {
  const auto* ready = condition(o, "Ready");
  std::string out = !ready ? "Unknown" : jq::str(*ready, {"status"}) == "True" ? "Ready" : "NotReady";
  if (jq::flag(o, {"spec", "unschedulable"})) out += ",SchedulingDisabled";
  return out;
}

std::string node_roles(const json::value& o) {
  constexpr std::string_view prefix = "node-role.kubernetes.io/";
  std::set<std::string> roles;
  for (const auto& [k, v] : meta::labels(o)) {
    const auto key = jq::view(k);
    if (key.starts_with(prefix) && key.size() > prefix.size()) roles.emplace(key.substr(prefix.size()));
    if (key == "kubernetes.io/role" && v.is_string() && !v.get_string().empty())
      roles.emplace(jq::view(v.get_string()));
  }
  const auto out = join({roles.begin(), roles.end()}, ",");
  return out.empty() ? "<none>" : out;
}

std::string_view node_address(const json::value& o, std::string_view type) {
  for (const auto& a : jq::arr(o, {"status", "addresses"}))
    if (jq::str(a, {"type"}) == type) return or_else(jq::str(a, {"address"}), "<none>");
  return "<none>";
}

void node_row(row& r, const json::value& o) {
  const auto info = [&](std::string_view k) { return jq::str(o, {"status", "nodeInfo", k}); };
  r.name(o)
      .text(node_status(o))
      .text(node_roles(o))
      .age(o)
      .text(info("kubeletVersion"))
      .text(node_address(o, "InternalIP"))
      .text(node_address(o, "ExternalIP"))
      .text(or_else(info("osImage"), "<unknown>"))
      .text(or_else(info("kernelVersion"), "<unknown>"))
      .text(or_else(info("containerRuntimeVersion"), "<unknown>"));
}

std::string_view trimmed(std::string_view s) {
  const auto from = s.find_first_not_of(" \t\r\n");
  if (from == s.npos) return {};
  return s.substr(from, s.find_last_not_of(" \t\r\n") - from + 1);
}

std::string lower(std::string_view s) {
  std::string out{s};
  std::transform(out.begin(), out.end(), out.begin(), [](unsigned char c) { return char(std::tolower(c)); });
  return out;
}

/// An Event of either group: each names the same fields in its own way.
void event_row(row& r, const json::value& o) {
  const auto either = [&](std::string_view core, std::string_view other) {
    const auto s = jq::str(o, {core});
    return s.empty() ? jq::str(o, {other}) : s;
  };
  const auto& about = jq::find(o, {"involvedObject"}) ? jq::obj(o, {"involvedObject"}) : jq::obj(o, {"regarding"});
  const json::value* kind = about.if_contains("kind");
  const json::value* name = about.if_contains("name");
  const json::value* path = about.if_contains("fieldPath");
  const auto view = [](const json::value* v) {
    return v && v->is_string() ? jq::view(v->get_string()) : std::string_view{};
  };
  std::string object = lower(view(kind));
  if (!view(name).empty()) object.append("/").append(view(name));

  const bool first_known = !either("firstTimestamp", "deprecatedFirstTimestamp").empty();
  const auto first = human_age(
      first_known ? either("firstTimestamp", "deprecatedFirstTimestamp") : jq::str(o, {"eventTime"}), r.now());
  auto last = first;
  auto count = jq::num(o, {"count"}, jq::num(o, {"deprecatedCount"}));
  if (jq::find(o, {"series"})) {
    last = human_age(jq::str(o, {"series", "lastObservedTime"}), r.now());
    count = jq::num(o, {"series", "count"});
  } else if (const auto t = either("lastTimestamp", "deprecatedLastTimestamp"); !t.empty()) {
    last = human_age(t, r.now());
  }
  const auto source = [&](std::string_view member) {
    const auto s = jq::str(o, {"source", member});
    return s.empty() ? jq::str(o, {"deprecatedSource", member}) : s;
  };
  std::string from{or_else(source("component"), either("reportingComponent", "reportingController"))};
  const auto host = or_else(source("host"), jq::str(o, {"reportingInstance"}));
  if (!host.empty()) from.append(", ").append(host);
  r.text(last)
      .text(jq::str(o, {"type"}))
      .text(jq::str(o, {"reason"}))
      .text(object)
      .text(view(path))
      .text(from)
      .text(trimmed(either("message", "note")))
      .text(first)
      .number(count == 0 ? 1 : count)
      .name(o);
}

void namespace_row(row& r, const json::value& o) { r.name(o).text(jq::str(o, {"status", "phase"})).age(o); }

void secret_row(row& r, const json::value& o) {
  r.name(o).text(jq::str(o, {"type"})).number(std::int64_t(jq::obj(o, {"data"}).size())).age(o);
}

void config_map_row(row& r, const json::value& o) {
  r.name(o).number(std::int64_t(jq::obj(o, {"data"}).size() + jq::obj(o, {"binaryData"}).size())).age(o);
}

void service_account_row(row& r, const json::value& o) {
  r.name(o).number(std::int64_t(jq::arr(o, {"secrets"}).size())).age(o);
}

void component_status_row(row& r, const json::value& o) {
  std::string_view status = "Unknown", message, error;
  for (const auto& c : jq::arr(o, {"conditions"})) {
    if (jq::str(c, {"type"}) != "Healthy") continue;
    status = jq::str(c, {"status"}) == "True" ? "Healthy" : "Unhealthy";
    message = jq::str(c, {"message"});
    error = jq::str(c, {"error"});
  }
  r.name(o).text(status).text(message).text(error);
}

void resource_quota_row(row& r, const json::value& o) {
  const auto& hard = jq::obj(o, {"status", "hard"});
  const auto& used = jq::obj(o, {"status", "used"});
  std::vector<std::string> requests, limits;
  for (const auto& [k, v] : hard) {
    const auto* have = used.if_contains(k);
    const auto amount = [](const json::value* q) { return q && q->is_string() ? jq::view(q->get_string()) : "0"; };
    auto text = std::string{jq::view(k)}.append(": ").append(amount(have)).append("/").append(amount(&v));
    (jq::view(k).starts_with("limits.") ? limits : requests).push_back(std::move(text));
  }
  std::sort(requests.begin(), requests.end());
  std::sort(limits.begin(), limits.end());
  r.name(o).age(o).text(join(requests, ", ")).text(join(limits, ", "));
}

constexpr row_rule rules[] = {
    {"", "pods", pod_row},
    {"", "podtemplates", pod_template_row},
    {"", "nodes", node_row},
    {"", "events", event_row},
    {"events.k8s.io", "events", event_row},
    {"", "namespaces", namespace_row},
    {"", "secrets", secret_row},
    {"", "configmaps", config_map_row},
    {"", "serviceaccounts", service_account_row},
    {"", "componentstatuses", component_status_row},
    {"", "resourcequotas", resource_quota_row},
};

} // namespace

std::span<const row_rule> core_rows() { return rules; }

} // namespace troupe::table

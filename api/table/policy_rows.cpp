#include "api/meta/int_or_string.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/quantity.hpp"
#include "api/meta/selector.hpp"
#include "api/table/cells.hpp"

namespace troupe::table {

namespace {

std::string bound(const json::value& o, std::string_view f) {
  const auto* v = jq::find(o, {"spec", f});
  return v ? int_or_string_text(*v) : "N/A";
}

void budget_row(row& r, const json::value& o) {
  r.name(o)
      .text(bound(o, "minAvailable"))
      .text(bound(o, "maxUnavailable"))
      .number(jq::num(o, {"status", "disruptionsAllowed"}))
      .age(o);
}

void binding_row(row& r, const json::value& o) {
  std::vector<std::string> users, groups, accounts;
  for (const auto& s : jq::arr(o, {"subjects"})) {
    const auto kind = jq::str(s, {"kind"});
    const std::string name{jq::str(s, {"name"})};
    if (kind == "User") users.push_back(name);
    if (kind == "Group") groups.push_back(name);
    if (kind == "ServiceAccount") accounts.push_back(std::string{jq::str(s, {"namespace"})} + "/" + name);
  }
  r.name(o)
      .text(std::string{jq::str(o, {"roleRef", "kind"})}.append("/").append(jq::str(o, {"roleRef", "name"})))
      .age(o)
      .text(join(users, ", "))
      .text(join(groups, ", "))
      .text(join(accounts, ", "));
}

void signing_request_row(row& r, const json::value& o) {
  std::string state = condition(o, "Denied") ? "Denied" : condition(o, "Approved") ? "Approved" : "Pending";
  if (condition(o, "Failed")) state += ",Failed";
  if (!jq::str(o, {"status", "certificate"}).empty()) state += ",Issued";
  const auto seconds = jq::maybe_num(o, {"spec", "expirationSeconds"});
  r.name(o)
      .age(o)
      .text(or_else(jq::str(o, {"spec", "signerName"}), "<none>"))
      .text(jq::str(o, {"spec", "username"}))
      .text(seconds ? human_duration(std::chrono::seconds{*seconds}) : "<none>")
      .text(state);
}

void lease_row(row& r, const json::value& o) { r.name(o).text(jq::str(o, {"spec", "holderIdentity"})).age(o); }

void priority_class_row(row& r, const json::value& o) {
  r.name(o)
      .number(jq::num(o, {"value"}))
      .boolean(jq::flag(o, {"globalDefault"}))
      .age(o)
      .text(jq::str(o, {"preemptionPolicy"}));
}

void runtime_class_row(row& r, const json::value& o) { r.name(o).text(jq::str(o, {"handler"})).age(o); }

void webhooks_row(row& r, const json::value& o) {
  r.name(o).number(std::int64_t(jq::arr(o, {"webhooks"}).size())).age(o);
}

void admission_policy_row(row& r, const json::value& o) {
  std::string param = "<unset>";
  if (const auto* k = jq::find(o, {"spec", "paramKind"}))
    param = std::string{jq::str(*k, {"apiVersion"})}.append("/").append(jq::str(*k, {"kind"}));
  r.name(o).number(std::int64_t(jq::arr(o, {"spec", "validations"}).size())).text(param).age(o);
}

void admission_binding_row(row& r, const json::value& o) {
  std::string param = "<unset>";
  if (const auto* p = jq::find(o, {"spec", "paramRef"})) {
    if (const auto n = jq::str(*p, {"name"}); !n.empty())
      param = std::string{or_else(jq::str(*p, {"namespace"}), "*")}.append("/").append(n);
    else if (const auto* s = jq::find(*p, {"selector"}))
      param = selector_text(s);
  }
  r.name(o).text(jq::str(o, {"spec", "policyName"})).text(param).age(o);
}

void flow_schema_row(row& r, const json::value& o) {
  const auto* dangling = condition(o, "Dangling");
  r.name(o)
      .text(jq::str(o, {"spec", "priorityLevelConfiguration", "name"}))
      .number(jq::num(o, {"spec", "matchingPrecedence"}))
      .text(or_else(jq::str(o, {"spec", "distinguisherMethod", "type"}), "<none>"))
      .age(o)
      .text(dangling ? jq::str(*dangling, {"status"}) : "?");
}

void priority_level_row(row& r, const json::value& o) {
  const auto number = [&](std::initializer_list<std::string_view> path) {
    const auto n = jq::maybe_num(o, path);
    if (n)
      r.number(*n);
    else
      r.text("<none>");
  };
  r.name(o).text(jq::str(o, {"spec", "type"}));
  number({"spec", "limited", "nominalConcurrencyShares"});
  number({"spec", "limited", "limitResponse", "queuing", "queues"});
  number({"spec", "limited", "limitResponse", "queuing", "handSize"});
  number({"spec", "limited", "limitResponse", "queuing", "queueLengthLimit"});
  r.age(o);
}

void api_service_row(row& r, const json::value& o) {
  std::string service = "Local";
  if (const auto* s = jq::find(o, {"spec", "service"}))
    service = std::string{jq::str(*s, {"namespace"})}.append("/").append(jq::str(*s, {"name"}));
  std::string available = "Unknown";
  if (const auto* c = condition(o, "Available")) {
    available = jq::str(*c, {"status"});
    if (available != "True") available.append(" (").append(jq::str(*c, {"reason"})).append(")");
  }
  r.name(o).text(service).text(available).age(o);
}

/// The server's generic two columns: no age, but the instant itself.
void created_at_row(row& r, const json::value& o) { r.name(o).text(jq::str(o, {"metadata", "creationTimestamp"})); }

void node_metrics_row(row& r, const json::value& o) {
  r.name(o).text(jq::str(o, {"usage", "cpu"})).text(jq::str(o, {"usage", "memory"})).text(jq::str(o, {"window"}));
}

void pod_metrics_row(row& r, const json::value& o) {
  quantity cpu, memory;
  for (const auto& c : jq::arr(o, {"containers"})) {
    cpu += quantity::parse_or_zero(jq::find(c, {"usage", "cpu"}));
    memory += quantity::parse_or_zero(jq::find(c, {"usage", "memory"}));
  }
  r.name(o).text(cpu.to_string()).text(memory.to_string()).text(jq::str(o, {"window"}));
}

constexpr row_rule rules[] = {
    {"policy", "poddisruptionbudgets", budget_row},
    {"rbac.authorization.k8s.io", "rolebindings", binding_row},
    {"rbac.authorization.k8s.io", "clusterrolebindings", binding_row},
    {"rbac.authorization.k8s.io", "roles", created_at_row},
    {"rbac.authorization.k8s.io", "clusterroles", created_at_row},
    {"", "limitranges", created_at_row},
    {"apiextensions.k8s.io", "customresourcedefinitions", created_at_row},
    {"certificates.k8s.io", "certificatesigningrequests", signing_request_row},
    {"coordination.k8s.io", "leases", lease_row},
    {"scheduling.k8s.io", "priorityclasses", priority_class_row},
    {"node.k8s.io", "runtimeclasses", runtime_class_row},
    {"admissionregistration.k8s.io", "mutatingwebhookconfigurations", webhooks_row},
    {"admissionregistration.k8s.io", "validatingwebhookconfigurations", webhooks_row},
    {"admissionregistration.k8s.io", "validatingadmissionpolicies", admission_policy_row},
    {"admissionregistration.k8s.io", "validatingadmissionpolicybindings", admission_binding_row},
    {"flowcontrol.apiserver.k8s.io", "flowschemas", flow_schema_row},
    {"flowcontrol.apiserver.k8s.io", "prioritylevelconfigurations", priority_level_row},
    {"apiregistration.k8s.io", "apiservices", api_service_row},
    {"metrics.k8s.io", "nodes", node_metrics_row},
    {"metrics.k8s.io", "pods", pod_metrics_row},
};

} // namespace

std::span<const row_rule> policy_rows() { return rules; }

} // namespace troupe::table

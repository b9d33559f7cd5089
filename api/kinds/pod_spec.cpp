#include "api/kinds/rules.hpp"

#include <algorithm>
#include <set>

namespace troupe::kinds {

namespace {

constexpr std::int64_t seconds_max = 2147483647;

void check_dns(field_errors& e, const json::value& spec, const std::string& path) {
  const auto here = path + ".dnsConfig";
  const auto& servers = jq::arr(spec, {"dnsConfig", "nameservers"});
  constexpr std::size_t servers_max = 3, searches_max = 32;
  if (jq::str(spec, {"dnsPolicy"}) == "None") {
    if (!jq::find(spec, {"dnsConfig"}))
      e.push_back(field::required(here, "must provide `dnsConfig` when `dnsPolicy` is None"));
    else if (servers.empty())
      e.push_back(
          field::required(here + ".nameservers", "must provide at least one DNS nameserver when `dnsPolicy` is None"));
  }
  if (servers.size() > servers_max)
    e.push_back(field::invalid(here + ".nameservers", servers, "must not have more than 3 nameservers"));
  for (std::size_t i = 0; i < servers.size(); ++i) {
    const auto s = servers[i].is_string() ? jq::view(servers[i].get_string()) : std::string_view{};
    if (!names::is_ip(s))
      e.push_back(field::invalid(index(here + ".nameservers", i), servers[i],
                                 "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
  }
  if (const auto& searches = jq::arr(spec, {"dnsConfig", "searches"}); searches.size() > searches_max)
    e.push_back(field::invalid(here + ".searches", searches, "must not have more than 32 search paths"));
}

void check_form(field_errors& e, const json::value& spec, const std::string& path, std::string_view member,
                names::faults (*rule)(std::string_view)) {
  if (const auto s = jq::str(spec, {member}); !s.empty()) check_name(e, path + "." + std::string{member}, s, rule(s));
}

void check_host_aliases(field_errors& e, const json::value& spec, const std::string& path) {
  const auto& list = jq::arr(spec, {"hostAliases"});
  for (std::size_t i = 0; i < list.size(); ++i) {
    const auto here = index(path + ".hostAliases", i);
    const auto ip = jq::str(list[i], {"ip"});
    if (!names::is_ip(ip))
      e.push_back(
          field::invalid(here + ".ip", text(ip), "must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"));
    const auto& hosts = jq::arr(list[i], {"hostnames"});
    for (const auto& h : hosts)
      if (h.is_string())
        check_name(e, here + ".hostnames", jq::view(h.get_string()),
                   names::dns1123_subdomain(jq::view(h.get_string())));
  }
}

} // namespace

void check_pod_spec(field_errors& e, const json::value& spec, const std::string& path, pod_spec_use use) {
  check_volumes(e, spec, path);
  check_containers(e, spec, path);
  if (const auto n = jq::maybe_num(spec, {"activeDeadlineSeconds"}); n && (*n < 1 || *n > seconds_max))
    e.push_back(field::invalid(path + ".activeDeadlineSeconds", *n, "must be between 1 and 2147483647, inclusive"));
  if (const auto n = jq::maybe_num(spec, {"terminationGracePeriodSeconds"});
      n && *n < 0 && use == pod_spec_use::template_)
    e.push_back(field::invalid(path + ".terminationGracePeriodSeconds", *n, "must be greater than or equal to 0"));
  check_form(e, spec, path, "nodeName", names::dns1123_subdomain);
  check_form(e, spec, path, "serviceAccountName", names::dns1123_subdomain);
  check_form(e, spec, path, "hostname", names::dns1123_label);
  check_form(e, spec, path, "subdomain", names::dns1123_label);
  check_form(e, spec, path, "priorityClassName", names::dns1123_subdomain);
  check_form(e, spec, path, "runtimeClassName", names::dns1123_subdomain);
  check_form(e, spec, path, "schedulerName", names::qualified);
  check_scheduling(e, spec, path);
  check_dns(e, spec, path);
  check_host_aliases(e, spec, path);
  const auto& gates = jq::arr(spec, {"readinessGates"});
  for (std::size_t i = 0; i < gates.size(); ++i) {
    const auto type = jq::str(gates[i], {"conditionType"});
    if (!names::is_qualified(type))
      check_name(e, index(path + ".readinessGates", i) + ".conditionType", type, names::qualified(type));
  }
  if (jq::flag(spec, {"hostPID"}) && jq::flag(spec, {"shareProcessNamespace"}))
    e.push_back(field::invalid(path + ".shareProcessNamespace", true,
                               "ShareProcessNamespace and HostPID cannot both be enabled"));
  constexpr std::int64_t id_max = 2147483647;
  for (auto f : {"runAsUser", "runAsGroup", "fsGroup"})
    if (const auto id = jq::maybe_num(spec, {"securityContext", f}); id && (*id < 0 || *id > id_max))
      e.push_back(field::invalid(path + ".securityContext." + f, *id, "must be between 0 and 2147483647, inclusive"));
}

void check_pod_template(field_errors& e, const json::value& tmpl, const std::string& path) {
  check_labels(e, jq::obj(tmpl, {"metadata", "labels"}), path + ".labels");
  check_annotations(e, jq::obj(tmpl, {"metadata", "annotations"}), path + ".annotations");
  check_pod_spec(e, at(tmpl, {"spec"}), path + ".spec", pod_spec_use::template_);
  if (!jq::arr(tmpl, {"spec", "ephemeralContainers"}).empty())
    e.push_back(
        field::forbidden(path + ".spec.ephemeralContainers", "ephemeral containers not allowed in pod template"));
}

void mirror_service_account(json::value& spec) {
  if (!spec.is_object()) return;
  const std::string name{jq::str(spec, {"serviceAccountName"})};
  const std::string old{jq::str(spec, {"serviceAccount"})};
  if (name.empty() && !old.empty()) spec.as_object()["serviceAccountName"] = old;
  if (!name.empty()) spec.as_object()["serviceAccount"] = name;
}

} // namespace troupe::kinds

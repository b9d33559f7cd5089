#include "actors/apiserver/own_endpoints.hpp"

#include <algorithm>
#include <map>

namespace troupe::apiserver {

namespace {

constexpr std::string_view slices_table = "endpointslices.discovery.k8s.io";

json::value doc(std::string_view text) { return json::parse(json::string_view(text.data(), text.size())); }

std::uint16_t own_port(const services& s) {
  return static_cast<std::uint16_t>(std::stoi(s.server_address.substr(s.server_address.rfind(':') + 1)));
}

std::map<std::uint16_t, std::vector<std::string>> by_port(const std::vector<api_address>& up) {
  std::map<std::uint16_t, std::vector<std::string>> out;
  for (const auto& a : up)
    out[a.port].push_back(a.ip);
  return out;
}

json::array https_port(std::uint16_t port) {
  return {json::object{{"name", "https"}, {"port", port}, {"protocol", "TCP"}}};
}

/// The first port has the plain name, so that a cluster whose masters agree on one has one slice.
std::string slice_name(std::uint16_t port, bool first) {
  return first ? "kubernetes" : "kubernetes-" + std::to_string(port);
}

json::value endpoints(const std::vector<api_address>& up) {
  auto out = doc(R"({"kind":"Endpoints","apiVersion":"v1","metadata":{"name":"kubernetes","namespace":"default",
    "labels":{"endpointslice.kubernetes.io/skip-mirror":"true"}}})");
  json::array subsets;
  for (const auto& [port, ips] : by_port(up)) {
    json::array addresses;
    for (const auto& ip : ips)
      addresses.push_back(json::object{{"ip", ip}});
    subsets.push_back(json::object{{"addresses", std::move(addresses)}, {"ports", https_port(port)}});
  }
  jq::at(out, {"subsets"}) = std::move(subsets);
  return out;
}

json::value slice(const std::string& name, std::uint16_t port, const std::vector<std::string>& ips) {
  auto out = doc(R"({"kind":"EndpointSlice","apiVersion":"discovery.k8s.io/v1","metadata":{"namespace":"default",
    "labels":{"kubernetes.io/service-name":"kubernetes"}},"addressType":"IPv4"})");
  jq::at(out, {"metadata", "name"}) = name;
  json::array list;
  for (const auto& ip : ips) {
    json::array one;
    one.push_back(json::string(ip));
    list.push_back(json::object{{"addresses", std::move(one)}, {"conditions", json::object{{"ready", true}}}});
  }
  jq::at(out, {"endpoints"}) = std::move(list);
  jq::at(out, {"ports"}) = https_port(port);
  return out;
}

} // namespace

std::vector<api_address> master_addresses(const services& s, const store::view& state,
                                          const std::set<store::member_id>& down) {
  auto rows = list_masters(state);
  if (rows.empty()) rows = s.options.founders;
  std::vector<api_address> out;
  for (const auto& m : rows)
    if (!down.count(m.id)) out.push_back({m.address, m.api_port});
  if (rows.empty()) out.push_back({s.options.advertise_address, own_port(s)});
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<json::value> own_service_objects(const services& s, const std::vector<api_address>& up) {
  std::vector<json::value> out;
  const auto ip = s.service_ips.first_service();
  auto service = doc(R"({"kind":"Service","apiVersion":"v1","metadata":{"name":"kubernetes","namespace":"default",
    "labels":{"component":"apiserver","provider":"kubernetes"}},
    "spec":{"type":"ClusterIP","ipFamilies":["IPv4"],"ipFamilyPolicy":"SingleStack","sessionAffinity":"None",
            "internalTrafficPolicy":"Cluster","ports":[{"name":"https","protocol":"TCP","port":443}]}})");
  jq::at(service, {"spec", "clusterIP"}) = ip;
  jq::at(service, {"spec", "clusterIPs"}) = json::array{json::value(ip)};
  jq::at(service, {"spec", "ports"}).as_array()[0].as_object()["targetPort"] = own_port(s);
  out.push_back(std::move(service));
  out.push_back(endpoints(up));
  bool first = true;
  for (const auto& [port, ips] : by_port(up))
    out.push_back(slice(slice_name(port, std::exchange(first, false)), port, ips));
  return out;
}

void erase_old_slices(store::txn& change, const store::view& state, const std::vector<api_address>& up) {
  std::set<std::string> wanted{"kubernetes"};
  bool first = true;
  for (const auto& [port, ips] : by_port(up))
    wanted.insert(slice_name(port, std::exchange(first, false)));
  state.scan(slices_table, "default", [&](const store::object_ptr& o) {
    const auto* of = o->meta().label("kubernetes.io/service-name");
    if (!of || *of != "kubernetes" || !o->name.starts_with("kubernetes") || wanted.count(o->name)) return true;
    change.compares.push_back({{std::string(slices_table), o->ns, o->name}, o->mod});
    change.erases.push_back({{std::string(slices_table), o->ns, o->name}});
    return true;
  });
}

} // namespace troupe::apiserver

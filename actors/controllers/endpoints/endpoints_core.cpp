#include "actors/controllers/endpoints/endpoints_core.hpp"

#include "actors/controllers/limits.hpp"
#include "api/meta/object_meta.hpp"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>

namespace troupe::ctl {

namespace {

constexpr std::string_view service_label = "kubernetes.io/service-name";
constexpr std::string_view managed_label = "endpointslice.kubernetes.io/managed-by";
constexpr std::string_view headless_label = "service.kubernetes.io/headless";
constexpr std::string_view manager = "endpointslice-controller.k8s.io";

bool headless(const item& s) { return jq::str(s.doc, {"spec", "clusterIP"}) == "None"; }
bool is_v6(std::string_view ip) { return ip.find(':') != std::string_view::npos; }

/// The pod's number for a Service port, 0 when it has no container port of that name.
std::int64_t resolve_port(const json::value& port, const pod_facts& p) {
  auto target = jq::find(port, {"targetPort"});
  if (!target || target->is_null()) return jq::num(port, {"port"});
  if (auto n = jq::maybe_num(port, {"targetPort"}); n) return *n ? *n : jq::num(port, {"port"});
  auto name = jq::str(port, {"targetPort"});
  auto protocol = jq::str(port, {"protocol"}, "TCP");
  for (const auto& c : p.ports)
    if (c.name == name && c.protocol == protocol) return c.number;
  return 0;
}

/// Ports of one pod as a slice carries them.
json::array slice_ports(const item& service, const pod_facts& p) {
  json::array out;
  for (const auto& port : jq::arr(service.doc, {"spec", "ports"})) {
    auto n = resolve_port(port, p);
    if (!n) continue;
    json::object e{{"name", jq::str(port, {"name"})}, {"port", n}, {"protocol", jq::str(port, {"protocol"}, "TCP")}};
    if (auto app = jq::str(port, {"appProtocol"}); !app.empty()) e["appProtocol"] = app;
    out.emplace_back(std::move(e));
  }
  return out;
}

/// A finished pod serves nothing; one without an address not yet.
bool counts(const item& p) { return !p.pod.finished() && !p.pod.ips.empty() && !p.pod.ip.empty(); }

json::object target_ref(const item& p) {
  return {{"kind", "Pod"}, {"name", p.name()}, {"namespace", p.ns()}, {"uid", p.uid}};
}

bool named_host(const item& service, const pod_facts& p) {
  return !p.hostname.empty() && p.subdomain == service.name();
}

json::value slice_endpoint(const endpoints_input& in, const item& p, std::string_view ip) {
  auto publish = jq::flag(in.service.doc, {"spec", "publishNotReadyAddresses"});
  auto serving = p.pod.ready;
  json::object e;
  json::array addresses;
  addresses.emplace_back(ip);
  e["addresses"] = std::move(addresses);
  e["conditions"] =
      json::object{{"ready", publish || (serving && !p.deleting)}, {"serving", serving}, {"terminating", p.deleting}};
  if (named_host(in.service, p.pod)) e["hostname"] = p.pod.hostname;
  e["targetRef"] = target_ref(p);
  if (!p.pod.node.empty()) {
    e["nodeName"] = p.pod.node;
    if (auto zone = in.zone ? in.zone(p.pod.node) : std::string{}; !zone.empty()) e["zone"] = zone;
  }
  return e;
}

json::object slice_labels(const item& service) {
  json::object labels;
  for (const auto& [k, v] : meta::labels(service.doc))
    if (k != service_label && k != managed_label && k != headless_label) labels[k] = v;
  if (headless(service)) labels[headless_label] = "";
  labels[service_label] = service.name();
  labels[managed_label] = manager;
  return labels;
}

/// Same value whatever the order of keys, with absent and null alike.
bool alike(const json::value& a, const json::value& b) {
  if (a.is_object() && b.is_object()) {
    auto one_way = [](const json::object& x, const json::object& y) {
      return std::all_of(x.begin(), x.end(), [&](const auto& f) {
        if (f.value().is_null()) return true;
        auto it = y.find(f.key());
        return it != y.end() && alike(f.value(), it->value());
      });
    };
    return one_way(a.get_object(), b.get_object()) && one_way(b.get_object(), a.get_object());
  }
  if (a.is_array() && b.is_array()) {
    const auto &x = a.get_array(), &y = b.get_array();
    return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(), alike);
  }
  return a == b;
}

/// Endpoints of one port set, by pod uid and address.
struct group {
  json::array ports;
  std::map<std::string, json::value> endpoints;
};

std::string endpoint_key(const json::value& e) {
  std::string k{jq::str(e, {"targetRef", "uid"})};
  const auto& a = jq::arr(e, {"addresses"});
  if (!a.empty() && a.front().is_string()) k.append(1, '/').append(std::string_view{a.front().get_string()});
  return k;
}

class family_plan {
public:
  family_plan(const endpoints_input& in, std::string_view type, outcome& out) : in_(in), type_(type), out_(out) {}

  void run() {
    collect();
    std::vector<item_ptr> stale;
    for (const auto& s : in_.slices) {
      if (jq::str(s->doc, {"addressType"}) != type_ || s->deleting) continue;
      auto ports = jq::find(s->doc, {"ports"});
      auto it = groups_.find(ports ? ports_key(*ports) : ports_key(json::array{}));
      if (it == groups_.end())
        stale.push_back(s);
      else
        slices_[it->first].push_back(s);
    }
    for (auto& [key, g] : groups_)
      fill(g, slices_[key]);
    for (const auto& s : stale)
      remove(*s);
  }

private:
  static std::string ports_key(const json::value& ports) {
    std::vector<std::string> parts;
    if (auto a = ports.if_array())
      for (const auto& p : *a)
        parts.push_back(std::string{jq::str(p, {"name"})} + "/" + std::string{jq::str(p, {"protocol"})} + "/" +
                        std::to_string(jq::num(p, {"port"})) + "/" + std::string{jq::str(p, {"appProtocol"})});
    std::sort(parts.begin(), parts.end());
    std::string k;
    for (const auto& p : parts)
      k.append(p).append(1, ';');
    return k;
  }

  void collect() {
    for (const auto& p : in_.pods) {
      if (!counts(*p)) continue;
      if (p->deleting && !p->pod.ready && p->pod.phase != "Running") continue;
      for (const auto& ip : p->pod.ips) {
        if (is_v6(ip) != (type_ == "IPv6")) continue;
        auto ports = slice_ports(in_.service, p->pod);
        auto& g = groups_[ports_key(ports)];
        if (g.ports.empty()) g.ports = std::move(ports);
        auto e = slice_endpoint(in_, *p, ip);
        auto key = endpoint_key(e);
        g.endpoints.emplace(std::move(key), std::move(e));
        break;
      }
    }
    if (groups_.empty()) { // an empty slice says that the Service is known and has nobody
      pod_facts nobody;
      auto ports = slice_ports(in_.service, nobody);
      groups_[ports_key(json::array{})].ports = {};
    }
  }

  void fill(group& g, std::vector<item_ptr>& existing) {
    std::sort(existing.begin(), existing.end(), [](const auto& a, const auto& b) { return a->name() < b->name(); });
    std::vector<json::array> kept(existing.size());
    std::set<std::string> placed;
    for (std::size_t i = 0; i < existing.size(); ++i)
      for (const auto& e : jq::arr(existing[i]->doc, {"endpoints"})) {
        auto key = endpoint_key(e);
        auto it = g.endpoints.find(key);
        if (it != g.endpoints.end() && placed.insert(key).second) kept[i].push_back(it->second);
      }
    std::vector<const json::value*> fresh;
    for (const auto& [key, e] : g.endpoints)
      if (!placed.contains(key)) fresh.push_back(&e);
    std::size_t next = 0;
    // Slices that change anyway take newcomers first, so that untouched ones stay unwritten.
    std::vector<std::size_t> order(existing.size());
    for (std::size_t i = 0; i < order.size(); ++i)
      order[i] = i;
    std::stable_partition(order.begin(), order.end(),
                          [&](std::size_t i) { return !alike(kept[i], jq::arr(existing[i]->doc, {"endpoints"})); });
    for (auto i : order)
      while (next < fresh.size() && kept[i].size() < limits::slice_endpoints_max)
        kept[i].push_back(*fresh[next++]);
    bool any = next < fresh.size();
    for (const auto& k : kept)
      any = any || !k.empty();
    bool placeholder = any; // without any endpoint one empty slice stays
    for (std::size_t i = 0; i < existing.size(); ++i) {
      if (kept[i].empty() && placeholder) {
        remove(*existing[i]);
        continue;
      }
      if (kept[i].empty()) placeholder = true;
      update(*existing[i], g, std::move(kept[i]));
    }
    while (next < fresh.size()) {
      json::array endpoints;
      while (next < fresh.size() && endpoints.size() < limits::slice_endpoints_max)
        endpoints.push_back(*fresh[next++]);
      create(g, std::move(endpoints));
      placeholder = true;
    }
    if (!placeholder) create(g, {});
  }

  void create(const group& g, json::array endpoints) {
    json::array owners;
    owners.emplace_back(meta::controller_reference(in_.service.doc));
    json::object m{{"generateName", in_.service.name() + "-"}, {"namespace", in_.service.ns()}};
    m["labels"] = slice_labels(in_.service);
    m["ownerReferences"] = std::move(owners);
    json::object doc{{"apiVersion", "discovery.k8s.io/v1"}, {"kind", "EndpointSlice"}, {"addressType", type_}};
    doc["metadata"] = std::move(m);
    doc["endpoints"] = std::move(endpoints);
    doc["ports"] = g.ports;
    out_.actions.push_back(act::create(refs::endpoint_slices, in_.service.ns(), std::move(doc)));
  }

  void update(const item& s, const group& g, json::array endpoints) {
    auto labels = slice_labels(in_.service);
    json::value ports = g.ports;
    auto have_ports = jq::arr(s.doc, {"ports"});
    if (alike(endpoints, jq::arr(s.doc, {"endpoints"})) && alike(labels, meta::labels(s.doc)) &&
        ports_key(ports) == ports_key(have_ports))
      return;
    auto doc = s.doc;
    jq::at(doc, {"metadata", "labels"}) = std::move(labels);
    jq::at(doc, {"endpoints"}) = std::move(endpoints);
    jq::at(doc, {"ports"}) = std::move(ports);
    out_.actions.push_back(act::update(refs::endpoint_slices, std::move(doc)));
  }

  void remove(const item& s) { out_.actions.push_back(act::remove(refs::endpoint_slices, s.ns(), s.name(), s.uid)); }

  const endpoints_input& in_;
  std::string_view type_;
  outcome& out_;
  std::map<std::string, group> groups_;
  std::map<std::string, std::vector<item_ptr>> slices_;
};

} // namespace

outcome endpoint_slices_look(const endpoints_input& in) {
  outcome out;
  std::set<std::string_view> types;
  for (const auto& f : jq::arr(in.service.doc, {"spec", "ipFamilies"}))
    if (f.is_string()) types.insert(std::string_view{f.get_string()});
  if (types.empty()) types.insert(is_v6(jq::str(in.service.doc, {"spec", "clusterIP"})) ? "IPv6" : "IPv4");
  for (auto t : types)
    family_plan{in, t, out}.run();
  for (const auto& s : in.slices)
    if (!types.contains(jq::str(s->doc, {"addressType"})) && !s->deleting)
      out.actions.push_back(act::remove(refs::endpoint_slices, s->ns(), s->name(), s->uid));
  return out;
}

namespace {

json::value endpoint_address(const endpoints_input& in, const item& p) {
  json::object a{{"ip", p.pod.ip}};
  if (named_host(in.service, p.pod)) a["hostname"] = p.pod.hostname;
  if (!p.pod.node.empty()) a["nodeName"] = p.pod.node;
  a["targetRef"] = target_ref(p);
  return a;
}

struct subset {
  json::array ports, ready, not_ready;
};

json::array make_subsets(const endpoints_input& in, bool& truncated) {
  auto publish = jq::flag(in.service.doc, {"spec", "publishNotReadyAddresses"});
  std::map<std::string, subset> by_ports;
  auto v6 = false;
  if (const auto& f = jq::arr(in.service.doc, {"spec", "ipFamilies"}); !f.empty() && f.front().is_string())
    v6 = f.front().get_string() == "IPv6";
  std::size_t total = 0;
  for (const auto& p : in.pods) {
    if (!counts(*p) || is_v6(p->pod.ip) != v6 || (p->deleting && !publish)) continue;
    if (total >= limits::endpoints_addresses_max) {
      truncated = true;
      break;
    }
    auto ports = slice_ports(in.service, p->pod);
    if (ports.empty() && !headless(in.service)) continue;
    for (auto& e : ports)
      if (jq::str(e, {"name"}).empty()) jq::erase(e, {"name"});
    auto& s = by_ports[json::serialize(ports)];
    s.ports = std::move(ports);
    (publish || p->pod.ready ? s.ready : s.not_ready).push_back(endpoint_address(in, *p));
    ++total;
  }
  json::array out;
  for (auto& [key, s] : by_ports) {
    json::object o;
    if (!s.ready.empty()) o["addresses"] = std::move(s.ready);
    if (!s.not_ready.empty()) o["notReadyAddresses"] = std::move(s.not_ready);
    if (!s.ports.empty()) o["ports"] = std::move(s.ports);
    out.emplace_back(std::move(o));
  }
  return out;
}

} // namespace

outcome endpoints_look(const endpoints_input& in) {
  outcome out;
  bool truncated = false;
  auto subsets = make_subsets(in, truncated);
  json::object labels = meta::labels(in.service.doc);
  if (headless(in.service)) labels[headless_label] = "";
  const auto& s = in.service;
  if (!in.endpoints) {
    json::object m{{"name", s.name()}, {"namespace", s.ns()}};
    if (!labels.empty()) m["labels"] = std::move(labels);
    if (truncated) m["annotations"] = json::object{{"endpoints.kubernetes.io/over-capacity", "truncated"}};
    json::object doc{{"apiVersion", "v1"}, {"kind", "Endpoints"}};
    doc["metadata"] = std::move(m);
    if (!subsets.empty()) doc["subsets"] = std::move(subsets);
    out.actions.push_back(act::create(refs::endpoints, s.ns(), std::move(doc)));
    return out;
  }
  const auto& have = in.endpoints->doc;
  if (alike(subsets, jq::arr(have, {"subsets"})) && alike(labels, meta::labels(have))) return out;
  auto doc = have;
  jq::at(doc, {"metadata", "labels"}) = std::move(labels);
  if (subsets.empty())
    jq::erase(doc, {"subsets"});
  else
    jq::at(doc, {"subsets"}) = std::move(subsets);
  out.actions.push_back(act::update(refs::endpoints, std::move(doc)));
  return out;
}

} // namespace troupe::ctl

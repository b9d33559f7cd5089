#include "net/dns/dns_table.hpp"

#include "net/packet/address.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace troupe::net {

namespace {

std::string lower(std::string_view text) {
  std::string out{text};
  for (auto& c : out)
    c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return out;
}

/// 10.1.2.3 -> 10-1-2-3
std::string dashed(std::string address) {
  std::replace(address.begin(), address.end(), '.', '-');
  return address;
}

/// Cuts the last label off: "a.b.c" -> "c", leaving "a.b".
std::string_view pop_last(std::string_view& labels) {
  auto dot = labels.rfind('.');
  auto last = dot == labels.npos ? labels : labels.substr(dot + 1);
  labels = dot == labels.npos ? std::string_view{} : labels.substr(0, dot);
  return last;
}

dns_answer answer_of(dns_answer::kind k) {
  dns_answer out;
  out.what = k;
  return out;
}

bool wants(dns_type asked, dns_type have) { return asked == have || asked == dns_type::any; }

dns_record address_record(std::string_view name, std::uint32_t address) {
  dns_record r;
  r.name = name;
  r.type = dns_type::a;
  r.address = address;
  return r;
}

dns_record name_record(std::string_view name, dns_type type, std::string target) {
  dns_record r;
  r.name = name;
  r.type = type;
  r.target = std::move(target);
  return r;
}

dns_record service_record(std::string_view name, std::string target, std::uint16_t port) {
  auto r = name_record(name, dns_type::srv, std::move(target));
  r.port = port;
  return r;
}

using ports_ptr = std::shared_ptr<const std::vector<dns_port>>;

ports_ptr lower_ports(const ports_ptr& ports) {
  if (!ports) return nullptr;
  auto out = std::make_shared<std::vector<dns_port>>(*ports);
  for (auto& p : *out) {
    p.name = lower(p.name);
    p.protocol = lower(p.protocol);
  }
  return out;
}

bool same_port(const dns_port& p, std::string_view name, std::string_view protocol) {
  return p.name == name && p.protocol == protocol;
}

} // namespace

/// A Service made ready for answers: text lowered, addresses parsed.
struct dns_table::entry {
  struct endpoint {
    std::uint32_t address = 0;
    std::string hostname; // first label of its name
    std::shared_ptr<const std::vector<dns_port>> ports;
  };
  std::string ns, full; // "web.ns.svc.cluster.local"
  std::uint32_t address = 0;
  bool headless = false;
  std::string external_name;
  std::vector<dns_port> ports;
  std::vector<endpoint> endpoints;
  std::unordered_map<std::string, std::vector<std::size_t>, text_hash, std::equal_to<>> by_hostname;
};

dns_table::dns_table(std::string domain, std::string_view pod_cidr) : domain_(lower(domain)), dotted_('.' + domain_) {
  if (auto p = parse_prefix(pod_cidr)) {
    pods_checked_ = true;
    pods_base_ = p->base;
    pods_length_ = p->length;
  }
}

void dns_table::put(const dns_service& s) {
  auto e = std::make_shared<entry>();
  e->ns = lower(s.ns);
  auto key = lower(s.name) + '.' + e->ns;
  e->full = key + ".svc" + dotted_;
  e->external_name = lower(s.external_name);
  if (!e->external_name.empty() && e->external_name.back() == '.') e->external_name.pop_back();
  e->headless = s.headless() && e->external_name.empty();
  if (auto a = parse_ipv4(s.cluster_ip)) e->address = *a;
  for (const auto& p : s.ports)
    e->ports.push_back({lower(p.name), lower(p.protocol), p.port});
  ports_ptr given, lowered; // endpoints of one slice share their ports
  for (const auto& x : s.endpoints) {
    if (x.ports != given) {
      given = x.ports;
      lowered = lower_ports(x.ports);
    }
    auto a = parse_ipv4(x.address);
    if (!a) continue;
    auto host = x.hostname.empty() ? dashed(x.address) : lower(x.hostname);
    e->by_hostname[host].push_back(e->endpoints.size());
    e->endpoints.push_back({*a, std::move(host), lowered});
  }
  forget(key);
  if (e->address != 0) reverse_.emplace(e->address, e->full);
  for (const auto& x : e->endpoints)
    reverse_.emplace(x.address, x.hostname + '.' + e->full);
  ++namespaces_[e->ns];
  services_[key] = std::move(e);
}

void dns_table::forget(const std::string& key) {
  auto at = services_.find(key);
  if (at == services_.end()) return;
  const auto& e = *at->second;
  auto erase_reverse = [&](std::uint32_t address, const std::string& name) {
    auto [begin, end] = reverse_.equal_range(address);
    for (auto i = begin; i != end; ++i)
      if (i->second == name) {
        reverse_.erase(i);
        return;
      }
  };
  if (e.address != 0) erase_reverse(e.address, e.full);
  for (const auto& x : e.endpoints)
    erase_reverse(x.address, x.hostname + '.' + e.full);
  if (auto ns = namespaces_.find(e.ns); ns != namespaces_.end() && --ns->second == 0) namespaces_.erase(ns);
  services_.erase(at);
}

void dns_table::remove(const std::string& ns, const std::string& name) { forget(lower(name) + '.' + lower(ns)); }

namespace {
/// The namespace object itself counts as one reference, kept apart from those of its Services.
constexpr std::uint32_t namespace_object = 1u << 31;
} // namespace

void dns_table::put_namespace(const std::string& ns) { namespaces_[lower(ns)] |= namespace_object; }

void dns_table::remove_namespace(const std::string& ns) {
  auto at = namespaces_.find(lower(ns));
  if (at == namespaces_.end()) return;
  at->second &= ~namespace_object;
  if (at->second == 0) namespaces_.erase(at);
}

void dns_table::apply(const dns_change& c) {
  if (c.put) put(*c.put);
  if (c.removed) remove(c.removed->first, c.removed->second);
  if (c.namespace_put) put_namespace(*c.namespace_put);
  if (c.namespace_removed) remove_namespace(*c.namespace_removed);
}

void dns_table::clear() {
  services_.clear();
  namespaces_.clear();
  reverse_.clear();
}

dns_answer dns_table::lookup(std::string_view name, dns_type type) const {
  using kind = dns_answer::kind;
  if (name == domain_) return answer_of(kind::nodata);
  if (name.ends_with(dotted_)) {
    auto labels = name.substr(0, name.size() - dotted_.size());
    if (labels.starts_with('.') || labels.find("..") != labels.npos) return answer_of(kind::nxdomain);
    auto area = pop_last(labels);
    if (area == "svc") return lookup_service(labels, name, type);
    if (area == "pod") return lookup_pod(labels, name, type);
    if (area != "dns-version" || !labels.empty()) return answer_of(kind::nxdomain);
    auto out = answer_of(type == dns_type::txt || type == dns_type::any ? kind::found : kind::nodata);
    if (out.what == kind::found) out.records.push_back(name_record(name, dns_type::txt, "1.1.0"));
    return out;
  }
  if (name.ends_with(".in-addr.arpa")) return lookup_reverse(name, type);
  return {};
}

dns_answer dns_table::lookup_service(std::string_view labels, std::string_view full, dns_type type) const {
  using kind = dns_answer::kind;
  if (labels.empty()) return answer_of(kind::nodata); // svc.cluster.local
  auto ns = pop_last(labels);
  if (!namespaces_.contains(ns)) return answer_of(kind::nxdomain);
  if (labels.empty()) return answer_of(kind::nodata);
  auto service = pop_last(labels);
  auto at = services_.find(std::string{service} + '.' + std::string{ns});
  if (at == services_.end()) return answer_of(kind::nxdomain);
  const auto& e = *at->second;
  auto out = answer_of(kind::found);
  auto add_target = [&](const entry::endpoint& x, std::uint16_t port) {
    auto host = x.hostname + '.' + e.full;
    out.records.push_back(service_record(full, host, port));
    out.additional.push_back(address_record(host, x.address));
  };
  // Records of the ports that `fits` accepts: one target with the cluster address, or one per endpoint.
  auto add_ports = [&](auto fits) {
    bool any = false;
    if (!e.headless) {
      for (const auto& p : e.ports)
        if (fits(p)) {
          out.records.push_back(service_record(full, e.full, p.port));
          any = true;
        }
      if (any && e.address != 0) out.additional.push_back(address_record(e.full, e.address));
      return any;
    }
    for (const auto& x : e.endpoints)
      if (x.ports)
        for (const auto& p : *x.ports)
          if (fits(p)) {
            add_target(x, p.port);
            any = true;
          }
    return any || std::any_of(e.ports.begin(), e.ports.end(), fits);
  };

  if (labels.empty()) {
    if (!e.external_name.empty()) {
      out.records.push_back(name_record(full, dns_type::cname, e.external_name));
      return out;
    }
    // A headless Service without endpoints does not exist, as in CoreDNS.
    if (e.headless && e.endpoints.empty()) return answer_of(kind::nxdomain);
    if (wants(type, dns_type::a)) {
      if (!e.headless && e.address != 0) out.records.push_back(address_record(full, e.address));
      if (e.headless)
        for (const auto& x : e.endpoints)
          out.records.push_back(address_record(full, x.address));
    }
    if (wants(type, dns_type::srv)) add_ports([](const dns_port&) { return true; });
    if (out.records.empty()) out.what = kind::nodata;
    return out;
  }
  if (!e.external_name.empty()) return answer_of(kind::nxdomain);

  auto first = labels;
  auto protocol = pop_last(first);
  if (protocol.starts_with("_")) {
    // _http._tcp.web… or the bare _tcp.web…, which exists for the sake of the former.
    auto has = [&](auto fits) {
      if (std::any_of(e.ports.begin(), e.ports.end(), fits)) return true;
      for (const auto& x : e.endpoints)
        if (x.ports && std::any_of(x.ports->begin(), x.ports->end(), fits)) return true;
      return false;
    };
    auto wire = protocol.substr(1);
    if (first.empty())
      return answer_of(has([&](const dns_port& p) { return p.protocol == wire; }) ? kind::nodata : kind::nxdomain);
    if (!first.starts_with("_") || first.find('.') != first.npos) return answer_of(kind::nxdomain);
    auto port = first.substr(1);
    if (!add_ports([&](const dns_port& p) { return same_port(p, port, wire); })) return answer_of(kind::nxdomain);
    if (!wants(type, dns_type::srv)) out = answer_of(kind::nodata);
    if (out.records.empty()) out.what = kind::nodata;
    return out;
  }

  // hostname.web… or 10-1-2-3.web…
  auto host = e.by_hostname.find(labels);
  if (host == e.by_hostname.end()) return answer_of(kind::nxdomain);
  for (auto i : host->second) {
    const auto& x = e.endpoints[i];
    if (wants(type, dns_type::a)) out.records.push_back(address_record(full, x.address));
    if (wants(type, dns_type::srv) && x.ports)
      for (const auto& p : *x.ports)
        out.records.push_back(service_record(full, std::string{full}, p.port));
  }
  if (out.records.empty()) out.what = kind::nodata;
  return out;
}

dns_answer dns_table::lookup_pod(std::string_view labels, std::string_view full, dns_type type) const {
  using kind = dns_answer::kind;
  if (labels.empty()) return answer_of(kind::nodata);
  auto ns = pop_last(labels);
  if (!namespaces_.contains(ns)) return answer_of(kind::nxdomain);
  if (labels.empty()) return answer_of(kind::nodata);
  auto text = std::string{labels};
  if (std::count(text.begin(), text.end(), '-') != 3 || text.find('.') != text.npos) return answer_of(kind::nxdomain);
  std::replace(text.begin(), text.end(), '-', '.');
  auto address = parse_ipv4(text);
  if (!address) return answer_of(kind::nxdomain);
  if (pods_checked_ && !ipv4_prefix{pods_base_, pods_length_}.contains(*address)) return answer_of(kind::nxdomain);
  auto out = answer_of(kind::nodata);
  if (!wants(type, dns_type::a)) return out;
  out.what = kind::found;
  out.records.push_back(address_record(full, *address));
  return out;
}

dns_answer dns_table::lookup_reverse(std::string_view name, dns_type type) const {
  auto labels = name.substr(0, name.size() - std::string_view{".in-addr.arpa"}.size());
  std::string forward;
  while (!labels.empty()) {
    auto dot = labels.rfind('.');
    forward += labels.substr(dot == labels.npos ? 0 : dot + 1);
    labels = dot == labels.npos ? std::string_view{} : labels.substr(0, dot);
    if (!labels.empty()) forward += '.';
  }
  auto address = parse_ipv4(forward);
  if (!address) return {};
  auto [begin, end] = reverse_.equal_range(*address);
  if (begin == end) return {}; // someone else's address: forwarded
  auto out = answer_of(dns_answer::kind::nodata);
  if (!wants(type, dns_type::ptr)) return out;
  out.what = dns_answer::kind::found;
  for (auto i = begin; i != end; ++i)
    out.records.push_back(name_record(name, dns_type::ptr, i->second));
  std::sort(out.records.begin(), out.records.end(), [](const auto& a, const auto& b) { return a.target < b.target; });
  return out;
}

} // namespace troupe::net

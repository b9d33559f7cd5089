#include "actors/kubelet/spec/dns_planner.hpp"

#include "api/meta/object_meta.hpp"

#include <algorithm>
#include <sstream>

namespace troupe::kubelet {

namespace {

constexpr std::size_t nameservers_max = 3, searches_max = 32, hostname_bytes_max = 63;

struct resolv {
  std::vector<std::string> nameservers, searches, options;
};

resolv parse(const std::string& text) {
  resolv r;
  std::istringstream lines{text};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words{line};
    std::string key, word;
    words >> key;
    if (key == "search" || key == "domain") r.searches.clear();
    while (words >> word) {
      if (word[0] == '#' || word[0] == ';') break;
      if (key == "nameserver") r.nameservers.push_back(word);
      if (key == "search" || key == "domain") r.searches.push_back(word == "." ? word : word);
      if (key == "options") r.options.push_back(word);
    }
  }
  return r;
}

void add_once(std::vector<std::string>& list, std::string s) {
  if (std::find(list.begin(), list.end(), s) == list.end()) list.push_back(std::move(s));
}

/// `name:value` replaces an option of the same name.
void set_option(std::vector<std::string>& options, const std::string& name, const std::string& value) {
  std::erase_if(options, [&](const std::string& o) { return o.substr(0, o.find(':')) == name; });
  options.push_back(value.empty() ? name : name + ":" + value);
}

void apply_config(const json::value& pod, resolv& r) {
  std::vector<std::string> servers;
  for (const auto& n : jq::arr(pod, {"spec", "dnsConfig", "nameservers"}))
    add_once(servers, std::string{n.as_string()});
  for (auto& n : servers)
    add_once(r.nameservers, n);
  for (const auto& s : jq::arr(pod, {"spec", "dnsConfig", "searches"}))
    add_once(r.searches, std::string{s.as_string()});
  for (const auto& o : jq::arr(pod, {"spec", "dnsConfig", "options"}))
    set_option(r.options, std::string{jq::str(o, {"name"})}, std::string{jq::str(o, {"value"})});
}

resolv cluster_first(const json::value& pod, const dns_setup& setup, resolv host) {
  resolv r;
  r.nameservers = {setup.cluster_dns};
  auto svc = "svc." + setup.cluster_domain;
  r.searches = {std::string{meta::ns(pod)} + "." + svc, svc, setup.cluster_domain};
  for (auto& s : host.searches)
    add_once(r.searches, std::move(s));
  r.options = {"ndots:5"};
  return r;
}

std::string join(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& w : words)
    out += " " + w;
  return out;
}

} // namespace

std::string plan_resolv_conf(const json::value& pod, const dns_setup& setup) {
  auto policy = jq::str(pod, {"spec", "dnsPolicy"}, "ClusterFirst");
  bool host_network = jq::flag(pod, {"spec", "hostNetwork"});
  bool cluster = policy == "ClusterFirstWithHostNet" || (policy == "ClusterFirst" && !host_network);
  auto host = parse(setup.host_resolv_conf);
  resolv r;
  if (policy != "None") r = cluster && !setup.cluster_dns.empty() ? cluster_first(pod, setup, host) : host;
  apply_config(pod, r);
  if (r.nameservers.size() > nameservers_max) r.nameservers.resize(nameservers_max);
  if (r.searches.size() > searches_max) r.searches.resize(searches_max);
  std::string out;
  if (!r.searches.empty()) out += "search" + join(r.searches) + "\n";
  for (const auto& n : r.nameservers)
    out += "nameserver " + n + "\n";
  if (!r.options.empty()) out += "options" + join(r.options) + "\n";
  return out;
}

namespace {
std::string short_hostname(const json::value& pod) {
  auto name = jq::str(pod, {"spec", "hostname"});
  std::string h{name.empty() ? meta::name(pod) : name};
  if (h.size() > hostname_bytes_max) h.resize(hostname_bytes_max);
  while (!h.empty() && (h.back() == '-' || h.back() == '.'))
    h.pop_back();
  return h;
}

/// Fully qualified when the pod has a subdomain; else empty.
std::string qualified(const json::value& pod, std::string_view cluster_domain) {
  auto sub = jq::str(pod, {"spec", "subdomain"});
  if (sub.empty()) return {};
  return short_hostname(pod) + "." + std::string{sub} + "." + std::string{meta::ns(pod)} + ".svc." +
         std::string{cluster_domain};
}

std::string alias_lines(const json::value& pod) {
  std::string out;
  for (const auto& a : jq::arr(pod, {"spec", "hostAliases"})) {
    out += std::string{jq::str(a, {"ip"})};
    for (const auto& h : jq::arr(a, {"hostnames"}))
      out += "\t" + std::string{h.as_string()};
    out += "\n";
  }
  if (out.empty()) return out;
  return "\n# Entries added by HostAliases.\n" + out;
}
} // namespace

std::string plan_hostname(const json::value& pod, std::string_view cluster_domain, std::string_view node_hostname) {
  if (jq::flag(pod, {"spec", "hostNetwork"})) return std::string{node_hostname};
  if (jq::flag(pod, {"spec", "setHostnameAsFQDN"}))
    if (auto q = qualified(pod, cluster_domain); !q.empty()) return q;
  return short_hostname(pod);
}

std::string plan_hosts(const json::value& pod, std::string_view pod_ip, std::string_view cluster_domain,
                       std::string_view host_hosts) {
  if (jq::flag(pod, {"spec", "hostNetwork"}))
    return "# Kubernetes-managed hosts file (host network).\n" + std::string{host_hosts} + alias_lines(pod);
  std::string out = "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost "
                    "ip6-loopback\nfe00::0\tip6-localnet\nfe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\n"
                    "fe00::2\tip6-allrouters\n";
  if (!pod_ip.empty()) {
    out += std::string{pod_ip} + "\t";
    if (auto q = qualified(pod, cluster_domain); !q.empty()) out += q + "\t";
    out += short_hostname(pod) + "\n";
  }
  return out + alias_lines(pod);
}

} // namespace troupe::kubelet

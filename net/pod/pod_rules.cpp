#include "net/pod/pod_rules.hpp"

#include "net/packet/iptables.hpp"
#include "net/packet/nft.hpp"

#include <cctype>

namespace troupe::net {

namespace {

std::string input_chain(const pod_network_config& c) { return c.chain_prefix + "-IN"; }
std::string forward_chain(const pod_network_config& c) { return c.chain_prefix + "-FWD"; }
std::string masquerade_chain(const pod_network_config& c) { return c.chain_prefix + "-OUT"; }

bool has(const std::string& saved, const std::string& line) { return saved.find("\n" + line + "\n") != saved.npos; }

result<void> accept_forwarding(const pod_network_config& c, iptables::backend b) {
  auto saved = iptables::save(b, "filter");
  if (!saved) return saved.error();
  return iptables::restore(b, pod_filter_text(c, has(*saved, "-A FORWARD -j " + forward_chain(c)),
                                              has(*saved, "-A INPUT -j " + input_chain(c))));
}

result<void> masquerade_by_iptables(const pod_network_config& c) {
  auto b = iptables::pick();
  if (!b) return b.error();
  auto saved = iptables::save(*b, "nat");
  if (!saved) return saved.error();
  if (auto done = iptables::restore(*b, pod_nat_text(c, has(*saved, "-A POSTROUTING -j " + masquerade_chain(c))));
      !done)
    return done;
  return accept_forwarding(c, *b);
}

} // namespace

std::string pod_table_name(const pod_network_config& c) {
  std::string out = c.chain_prefix + "-pods";
  for (auto& x : out)
    x = static_cast<char>(std::tolower(static_cast<unsigned char>(x)));
  return out;
}

std::string pod_table_text(const pod_network_config& c) {
  auto table = "table ip " + pod_table_name(c);
  return table + "\ndelete " + table + "\n" + table + " {\n" +
         "  chain postrouting {\n    type nat hook postrouting priority 100;\n" + "    ip saddr " + c.pod_cidr +
         " ip daddr != { " + c.cluster_cidr + ", 224.0.0.0/4 } oifname != \"" + c.bridge + "\" masquerade\n  }\n" +
         // Loopback addresses are routable on the bridge for node ports; only answers may use that.
         "  chain input {\n    type filter hook input priority 0;\n" + "    iifname \"" + c.bridge +
         "\" ip daddr 127.0.0.0/8 ct state != { established, related } drop\n  }\n}\n";
}

std::string pod_nat_text(const pod_network_config& c, bool jump_exists) {
  auto chain = masquerade_chain(c);
  std::string out = "*nat\n:" + chain + " - [0:0]\n";
  if (!jump_exists) out += "-I POSTROUTING -j " + chain + "\n";
  out += "-A " + chain + " -d 224.0.0.0/4 -j RETURN\n";
  return out + "-A " + chain + " -s " + c.pod_cidr + " ! -d " + c.cluster_cidr + " ! -o " + c.bridge +
         " -j MASQUERADE\nCOMMIT\n";
}

std::string pod_filter_text(const pod_network_config& c, bool forward_jump_exists, bool input_jump_exists) {
  auto forward = forward_chain(c), input = input_chain(c);
  std::string out = "*filter\n:" + forward + " - [0:0]\n:" + input + " - [0:0]\n";
  if (!forward_jump_exists) out += "-I FORWARD -j " + forward + "\n";
  if (!input_jump_exists) out += "-I INPUT -j " + input + "\n";
  out += "-A " + forward + " -i " + c.bridge + " -j ACCEPT\n";
  out += "-A " + forward + " -o " + c.bridge + " -j ACCEPT\n";
  out += "-A " + input + " -i " + c.bridge + " -d 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED -j DROP\n";
  // Services that end on this host (DNS, the API) are open to pods; everything else is the host firewall's business.
  out += "-A " + input + " -i " + c.bridge + " -m conntrack --ctstate DNAT -j ACCEPT\n";
  return out + "COMMIT\n";
}

result<void> load_pod_rules(const pod_network_config& c) {
  if (!nft::available()) return masquerade_by_iptables(c);
  if (auto done = nft::run(pod_table_text(c)); !done) return done;
  for (auto b : iptables::in_use())
    if (auto done = accept_forwarding(c, b); !done) return done;
  return {};
}

result<void> remove_pod_rules(const pod_network_config& c) {
  if (nft::available()) {
    auto table = "table ip " + pod_table_name(c);
    if (auto done = nft::run(table + "\ndelete " + table + "\n"); !done) return done;
  }
  for (const auto& prefix : {input_chain(c), forward_chain(c), masquerade_chain(c)})
    if (auto done = iptables::remove_prefix(prefix); !done) return done;
  return {};
}

} // namespace troupe::net

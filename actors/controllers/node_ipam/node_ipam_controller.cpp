#include "actors/controllers/node_ipam/node_ipam_controller.hpp"

#include "api/meta/object_meta.hpp"
#include "net/packet/address.hpp"

#include <algorithm>
#include <vector>

namespace troupe::ctl {

namespace {

std::string_view cidr_of(const item_ptr& node) { return jq::str(node->doc, {"spec", "podCIDR"}); }

bool overlap(const net::ipv4_prefix& a, const net::ipv4_prefix& b) { return a.contains(b.base) || b.contains(a.base); }

} // namespace

std::optional<std::string> free_pod_cidr(std::string_view cluster_cidr, int bits, const std::set<std::string>& taken) {
  const auto whole = net::parse_prefix(cluster_cidr);
  if (!whole || whole->length > bits || bits > 30) return std::nullopt;
  std::vector<net::ipv4_prefix> held;
  for (const auto& t : taken)
    if (auto p = net::parse_prefix(t)) held.push_back(*p);
  const std::uint64_t count = std::uint64_t{1} << (bits - whole->length);
  for (std::uint64_t i = 0; i < count; ++i) {
    const net::ipv4_prefix candidate{whole->base + static_cast<std::uint32_t>(i << (32 - bits)), bits};
    if (std::none_of(held.begin(), held.end(), [&](const auto& h) { return overlap(h, candidate); }))
      return net::to_text(candidate);
  }
  return std::nullopt;
}

void node_ipam_controller::observe(const change& c, const cluster_cache& cache, sys_micros) {
  if (c.table != "nodes") return;
  if (!c.after) {
    if (c.before) promised_.erase(c.before->name());
    // One network is free again: those that got none may have it.
    cache.each("nodes", [&](const item_ptr& n) {
      if (cidr_of(n).empty()) queue.add(n->name());
    });
    return;
  }
  if (cidr_of(c.after).empty())
    queue.add(c.after->name());
  else
    promised_.erase(c.after->name());
}

outcome node_ipam_controller::reconcile(const std::string& key, const world& w) {
  outcome out;
  const auto node = w.cache.get("nodes", {}, key);
  if (!node || node->deleting || !cidr_of(node).empty()) return out;
  std::set<std::string> taken;
  w.cache.each("nodes", [&](const item_ptr& n) { taken.emplace(cidr_of(n)); });
  for (const auto& [name, cidr] : promised_)
    if (name != key) taken.insert(cidr);
  const auto given = free_pod_cidr(cluster_cidr_, bits_, taken);
  if (!given) {
    out.notes.push_back({node->doc, "Warning", "CIDRNotAvailable",
                         "Node " + key + " gets no pod network: every /" + std::to_string(bits_) + " of " +
                             cluster_cidr_ + " is taken; remove Nodes that are gone"});
    return out;
  }
  promised_[key] = *given;
  out.actions.push_back(act::merge(refs::nodes, {}, key,
                                   {{"metadata", {{"resourceVersion", meta::resource_version(node->doc)}}},
                                    {"spec", {{"podCIDR", *given}, {"podCIDRs", json::array{json::value(*given)}}}}}));
  return out;
}

} // namespace troupe::ctl

#include "net/pod/peer_routes.hpp"

#include "net/packet/address.hpp"

#include <algorithm>

namespace troupe::net {

namespace {
bool same_network(const peer_route& a, const peer_route& b) {
  return a.destination == b.destination && a.prefix == b.prefix;
}
} // namespace

route_changes plan_routes(const std::vector<peer_route>& have, const std::vector<peer_route>& want,
                          const std::string& cluster_cidr) {
  route_changes out;
  const auto cluster = parse_prefix(cluster_cidr);
  if (!cluster) return out;
  const auto inside = [&](const peer_route& r) {
    return r.prefix >= cluster->length && cluster->contains(r.destination);
  };
  for (const auto& w : want)
    if (inside(w) && std::find(have.begin(), have.end(), w) == have.end()) out.set.push_back(w);
  for (const auto& h : have)
    if (inside(h) && std::none_of(want.begin(), want.end(), [&](const auto& w) { return same_network(h, w); }))
      out.remove.push_back(h);
  return out;
}

result<void> keep_peer_routes(const std::vector<peer_route>& want, const std::string& cluster_cidr) {
  auto link = route_link::open();
  if (!link) return link.error();
  auto have = link->peer_routes();
  if (!have) return have.error();
  const auto changes = plan_routes(*have, want, cluster_cidr);
  result<void> out;
  const auto note = [&](result<void> r) {
    if (!r && out) out = std::move(r);
  };
  for (const auto& r : changes.remove)
    note(link->remove_peer_route(r));
  for (const auto& r : changes.set)
    note(link->set_peer_route(r));
  return out;
}

} // namespace troupe::net

#include "actors/node/route_keeper.hpp"

#include "net/packet/address.hpp"
#include "store/state_machine.hpp"
#include "store/txn_codec.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::node;

namespace {

std::shared_ptr<const store::state_view> nodes_of(store::state_machine& machine) {
  store::txn t;
  const auto add = [&](const std::string& name, const std::string& address, const std::string& range) {
    json::object status{{"addresses", json::array{json::object{{"type", "InternalIP"}, {"address", address}}}}};
    const json::object doc{
        {"metadata", json::object{{"name", name}}}, {"spec", json::object{{"podCIDR", range}}}, {"status", status}};
    t.puts.push_back({{"nodes", "", name}, json::serialize(doc)});
  };
  add("laptop", "192.0.2.7", "10.244.0.0/24");
  add("w1", "10.200.0.2", "10.244.1.0/24");
  add("w2", "10.200.0.3", "10.244.2.0/24");
  const store::log_entry e{store::log_index{1}, store::log_term{1}, store::entry_kind::change,
                           std::make_shared<const std::string>(store::encode_txn(t))};
  std::vector<store::change_record> changes;
  REQUIRE(machine.apply(e, changes).ok);
  return machine.snapshot();
}

std::vector<std::string> gateways(const std::vector<net::peer_route>& routes) {
  std::vector<std::string> out;
  for (const auto& r : routes)
    out.push_back(net::to_text(r.gateway));
  return out;
}

} // namespace

TEST_CASE("a node has a route to the pods of every neighbour") {
  store::state_machine machine;
  CHECK(gateways(wanted_routes(*nodes_of(machine), "laptop", "")) ==
        std::vector<std::string>{"10.200.0.2", "10.200.0.3"});
}

TEST_CASE("a node in a namespace has none to a node outside: that is behind its default route") {
  store::state_machine machine;
  CHECK(gateways(wanted_routes(*nodes_of(machine), "w1", "10.200.0.0/24")) == std::vector<std::string>{"10.200.0.3"});
}

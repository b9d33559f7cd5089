#include "net/pod/peer_routes.hpp"

#include <doctest/doctest.h>

using namespace troupe::net;

namespace {
constexpr std::uint32_t ip(unsigned a, unsigned b, unsigned c, unsigned d) { return a << 24 | b << 16 | c << 8 | d; }
const peer_route one{ip(10, 244, 1, 0), 24, ip(10, 200, 0, 5)};
const peer_route two{ip(10, 244, 2, 0), 24, ip(10, 200, 0, 6)};
} // namespace

TEST_CASE("routes that are missing are set, those nobody wants are removed, the rest is left alone") {
  const auto c = plan_routes({one}, {two}, "10.244.0.0/16");
  CHECK(c.set == std::vector{two});
  CHECK(c.remove == std::vector{one});
  const auto none = plan_routes({one, two}, {two, one}, "10.244.0.0/16");
  CHECK(none.set.empty());
  CHECK(none.remove.empty());
}

TEST_CASE("a network that moved behind another node is replaced, not removed") {
  auto moved = one;
  moved.gateway = two.gateway;
  const auto c = plan_routes({one}, {moved}, "10.244.0.0/16");
  CHECK(c.set == std::vector{moved});
  CHECK(c.remove.empty());
}

TEST_CASE("routes outside the cluster's range belong to another cluster") {
  const auto c = plan_routes({one}, {}, "10.245.0.0/16");
  CHECK(c.remove.empty());
  CHECK(plan_routes({}, {one}, "10.245.0.0/16").set.empty());
  CHECK(plan_routes({one}, {two}, "nonsense").set.empty());
}

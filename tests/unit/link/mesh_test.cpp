#include "actors/link/mesh_limits.hpp"
#include "actors/link/mesh_messages.hpp"
#include "actors/link/mesh_table.hpp"
#include "tests/unit/link/mesh_lab.hpp"

#include <caf/actor_registry.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/local_actor.hpp>
#include <doctest/doctest.h>

#include <unistd.h>

#include <atomic>
#include <set>

using namespace troupe;
using namespace troupe::test;

TEST_CASE("a node is named by a drawn number, not by its process id") {
  lab_master one{1};
  CHECK(node_name_is_drawn(*one.system));
  CHECK_FALSE(to_string(one.system->node()).ends_with("#" + std::to_string(::getpid())));
}

TEST_CASE("two masters exchange parcels in both directions, in order") {
  lab_master one{1}, two{2};
  REQUIRE(link_all({&one, &two}));
  for (int i = 0; i < 200; ++i) {
    one.send(2, "to two " + std::to_string(i), static_cast<std::uint64_t>(i + 1));
    two.send(1, "to one " + std::to_string(i), static_cast<std::uint64_t>(i + 1));
  }
  REQUIRE(one.box->wait_for(200));
  REQUIRE(two.box->wait_for(200));
  for (int i = 0; i < 200; ++i) {
    CHECK(payload_of(*two.box->at(static_cast<std::size_t>(i))) == "to two " + std::to_string(i));
    CHECK(payload_of(*one.box->at(static_cast<std::size_t>(i))) == "to one " + std::to_string(i));
  }
  CHECK(one.status(2).links == 1);
  CHECK(one.status(2).sent_parcels == 200);
  CHECK(one.status(2).received_parcels == 200);
}

TEST_CASE("each of three masters is linked with each other over one session per pair") {
  lab_master one{1}, two{2}, three{3};
  REQUIRE(link_all({&one, &two, &three}));
  const std::vector<lab_master*> all{&one, &two, &three};
  for (auto* from : all)
    for (auto* to : all)
      if (from != to) from->send(to->member, "from " + from->name);
  for (auto* m : all) {
    REQUIRE(m->box->wait_for(2));
    std::set<std::string> got{payload_of(*m->box->at(0)), payload_of(*m->box->at(1))};
    CHECK(got.size() == 2);
    CHECK_FALSE(got.contains("from " + m->name));
  }
  // A first try may meet a heartbeat of BASP and be made again; of the links there is one per pair.
  CHECK(three.mesh->listener().established >= 2);
  CHECK(one.status(3).links == 1);
  CHECK(two.status(3).links == 1);
  CHECK(one.mesh->listener().established == 0);
}

TEST_CASE("a parcel larger than a part arrives whole, between small ones") {
  lab_master one{1}, two{2};
  REQUIRE(link_all({&one, &two}));
  std::string large(3'000'000, 'x');
  for (std::size_t i = 0; i < large.size(); ++i)
    large[i] = static_cast<char>('a' + i % 23);
  one.send(2, "before");
  one.send(2, large);
  one.send(2, "after");
  REQUIRE(two.box->wait_for(3));
  CHECK(payload_of(*two.box->at(0)) == "before");
  CHECK(payload_of(*two.box->at(1)) == large);
  CHECK(payload_of(*two.box->at(2)) == "after");
}

TEST_CASE("a peer that was killed and is back is linked again, with a new handle, and parcels flow") {
  lab_master one{1};
  auto two = std::make_unique<lab_master>(2);
  const auto port = two->mesh->port();
  REQUIRE(link_all({&one, two.get()}));
  one.send(2, "first life");
  REQUIRE(two->box->wait_for(1));
  for (int life = 2; life <= 4; ++life) {
    two.reset();
    REQUIRE(one.wait_linked(2, false));
    one.send(2, "lost"); // nobody is there
    two = std::make_unique<lab_master>(2, [&](mesh_options& o) { o.port = port; });
    two->start({one.address(), two->address()});
    REQUIRE(one.wait_linked(2));
    REQUIRE(two->wait_linked(1));
    one.send(2, "life " + std::to_string(life));
    two->send(1, "life " + std::to_string(life));
    REQUIRE(two->box->wait_for(1));
    REQUIRE(one.box->wait_for(static_cast<std::size_t>(life - 1)));
    CHECK(payload_of(*two->box->at(0)) == "life " + std::to_string(life));
  }
  CHECK(one.status(2).links == 4);
}

TEST_CASE("the dialing side may be killed and come back as well") {
  auto one = std::make_unique<lab_master>(1);
  lab_master two{2};
  REQUIRE(link_all({one.get(), &two}));
  const auto address = one->address();
  one.reset();
  REQUIRE(two.wait_linked(1, false));
  one = std::make_unique<lab_master>(1);
  one->start({two.address()});
  REQUIRE(two.wait_linked(1));
  REQUIRE(one->wait_linked(2));
  two.send(1, "welcome back");
  REQUIRE(one->box->wait_for(1));
}

namespace {
/// As a broken or hostile peer has it: by its number in the registry.
caf::actor gateway_of(caf::actor_system& sys) {
  for (caf::actor_id id = 1; id < 100; ++id) {
    auto found = sys.registry().get(id);
    auto* local = found ? dynamic_cast<caf::local_actor*>(found->get()) : nullptr;
    if (local && std::string(local->name()) == "mesh-gateway") return caf::actor_cast<caf::actor>(found);
  }
  return nullptr;
}
} // namespace

TEST_CASE("a gateway that is killed by somebody is started again and its links are made anew") {
  lab_master one{1}, two{2};
  REQUIRE(link_all({&one, &two}));
  for (auto* victim : {&one, &two}) {
    auto links = one.status(2).links;
    {
      auto gateway = gateway_of(*victim->system);
      REQUIRE(gateway);
      caf::anon_send_exit(gateway, caf::exit_reason::kill);
    }
    REQUIRE(eventually([&] { return one.status(2).links > links && one.status(2).connected; }));
    REQUIRE(two.wait_linked(1));
    const auto had = one.box->size();
    one.send(2, "again");
    two.send(1, "again");
    REQUIRE(one.box->wait_for(had + 1));
    REQUIRE(two.box->wait_for(had + 1));
  }
  CHECK(eventually([&] { return one.status(2).round_trip.count() > 0 && two.status(1).round_trip.count() > 0; }));
}

TEST_CASE("peers can be added, moved and removed while running") {
  lab_master one{1}, two{2}, three{3};
  one.start({});
  two.start({one.address()});
  three.start({one.address()});
  CHECK(one.mesh->peers().empty());
  one.mesh->set_peers({two.address()});
  REQUIRE(one.wait_linked(2));
  one.mesh->set_peers({two.address(), three.address()});
  REQUIRE(one.wait_linked(3));
  CHECK(one.status(2).links == 1); // not disturbed
  one.mesh->set_peers({three.address()});
  REQUIRE(two.wait_linked(1, false));
  CHECK(one.mesh->peers().size() == 1);
  CHECK(one.status(3).links == 1);
}

TEST_CASE("a dial that meets a heartbeat of BASP is given up whole and made again") {
  const basp_timing hectic{std::chrono::milliseconds(2), std::chrono::milliseconds(2000)};
  lab_master one{1, {}, hectic}, two{2, {}, hectic};
  REQUIRE(link_all({&one, &two}));
  for (int i = 0; i < 10; ++i) {
    one.mesh->set_peers({});
    REQUIRE(two.wait_linked(1, false));
    one.mesh->set_peers({two.address()});
    REQUIRE(one.wait_linked(2));
    REQUIRE(two.wait_linked(1));
  }
}

TEST_CASE("a member that left the group is hung up on after a while, and dialed again when it is back in") {
  lab_master one{1}, two{2};
  REQUIRE(link_all({&one, &two}));
  one.mesh->members({store::member_id{1}, store::member_id{2}});
  one.mesh->members({store::member_id{1}});
  REQUIRE(one.wait_linked(2, false));
  CHECK(one.status(2).last_error == "it is no member of the group any more");
  one.mesh->members({store::member_id{1}, store::member_id{2}});
  REQUIRE(one.wait_linked(2));
}

TEST_CASE("what one peer does not take is bounded: beyond the backlog parcels are dropped and counted") {
  mesh_config config{{}};
  caf::actor_system system{config};
  auto got = std::make_shared<std::atomic<std::size_t>>(0);
  auto theirs = system.spawn(
      [got](caf::event_based_actor*) -> caf::behavior { return {[got](const mesh::part& p) { *got += p.last; }}; });
  mesh::peer_entry peer{{.member = store::member_id{2}, .name = "m2"}};
  peer.link_up(7, {}, theirs);
  const std::string block(1 << 20, 'b');
  for (int i = 0; i < 64; ++i)
    peer.send(*parcel_of(1, 2, block));
  const auto full = peer.status();
  CHECK(full.backlog_bytes <= limits::mesh::backlog_bytes);
  CHECK(full.backlog_bytes >= limits::mesh::backlog_bytes - (2u << 20));
  CHECK(full.dropped_parcels + full.sent_parcels == 64);
  CHECK(full.sent_parcels == 15); // each is a little more than a MiB
  REQUIRE(eventually([&] { return *got == full.sent_parcels; }));
  peer.taken(7, full.sent_bytes);
  CHECK(peer.status().backlog_bytes == 0);
  peer.send(*parcel_of(1, 2, "after the flood"));
  CHECK(peer.status().dropped_parcels == full.dropped_parcels);
  REQUIRE(eventually([&] { return *got == full.sent_parcels + 1; }));
  peer.link_down(7, "the test ends");
}

#include "tests/unit/raft/group_lab.hpp"

#include "store/rocks_backend.hpp"

#include <doctest/doctest.h>

using namespace std::chrono_literals;
using troupe::member_command;
using troupe::store::member_id;

namespace {
/// A linearizable read on `at` is confirmed within `patience` and finds `name`.
bool reads(group_lab& lab, member_id at, const std::string& name, std::chrono::milliseconds patience) {
  bool seen = false;
  lab.members[at].raft.group->read_barrier([&](const troupe::status& s) {
    seen = s.code == 0 && lab.members[at].raft.state->current()->get("t", "", name);
  });
  lab.run(patience);
  return seen;
}
} // namespace

TEST_CASE("three founders elect one leader and apply the same entries") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  REQUIRE(lead);
  const auto ticket = lab.propose(lead, "a");
  lab.run(200ms);
  CHECK(lab.answers(lead)[ticket].ok);
  for (auto& [id, m] : lab.members)
    CHECK(m.raft.state->current()->get("t", "", "a") != nullptr);
  CHECK(lab.same_everywhere());
}

TEST_CASE("a write asked of a follower is answered there, where its next read sees it") {
  group_lab lab(3);
  const auto at = lab.follower();
  const auto ticket = lab.propose(at, "a");
  bool answered = false;
  for (int i = 0; i < 100 && !answered; ++i) {
    lab.run(10ms);
    auto got = lab.answers(at);
    answered = got.contains(ticket);
    if (answered) CHECK(got[ticket].ok);
    if (answered) CHECK(lab.members[at].raft.state->current()->get("t", "", "a") != nullptr);
  }
  CHECK(answered);
}

TEST_CASE("a write under way when the leader dies goes to the next leader by itself and happens once") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto at = lab.follower();
  lab.cut.insert(lead);
  const auto ticket = lab.propose(at, "a");
  lab.run(50ms);
  CHECK_FALSE(lab.answers(at).contains(ticket));
  lab.run(4s);
  auto got = lab.answers(at);
  REQUIRE(got.contains(ticket));
  CHECK(got[ticket].ok); // had it happened twice, the compare would have failed
  lab.cut.clear();
  lab.run(2s);
  CHECK(lab.same_everywhere());
}

TEST_CASE("without a majority writes are refused with a reason, and reads at any revision go on") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  lab.propose(lead, "a");
  lab.run(200ms);
  lab.answers(lead);
  std::set<member_id> others;
  for (auto& [id, m] : lab.members)
    if (id != lead) others.insert(id);
  for (auto id : others)
    lab.kill(id);
  const auto before = lab.parcels;
  const auto ticket = lab.propose(lead, "b");
  lab.run(12s);
  auto got = lab.answers(lead);
  REQUIRE(got.contains(ticket));
  CHECK((got[ticket].error.code == 504 || got[ticket].error.code == 503)); // it was in the log already, or not
  const auto late = lab.propose(lead, "c");
  lab.run(6s);
  got = lab.answers(lead);
  REQUIRE(got.contains(late));
  CHECK(got[late].error.code == 503);
  CHECK(got[late].error.retry_after_s == 1);
  CHECK(lab.members[lead].raft.state->current()->get("t", "", "a") != nullptr);
  CHECK(lab.parcels == before); // nobody to talk to: counted at delivery
  troupe::status why = troupe::status::none();
  lab.members[lead].raft.group->read_barrier([&](const troupe::status& s) { why = s; });
  lab.run(5s);
  CHECK(why.code == 503);
}

TEST_CASE("a follower whose disk is full refuses writes at once, goes on with reads, and heals by itself") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto at = lab.follower();
  auto& disk = *lab.members[at].disk;
  for (const bool seen_in_time : {true, false}) {
    CAPTURE(seen_in_time);
    disk.is_full = true;
    disk.looks_full = seen_in_time;
    const auto name = seen_in_time ? std::string("a") : std::string("b");
    const auto other = lab.propose(lead, name);
    lab.run(200ms);
    CHECK(lab.answers(lead)[other].ok);
    const auto refused = lab.propose(at, name + "-refused");
    lab.run(200ms);
    auto got = lab.answers(at);
    REQUIRE(got.contains(refused));
    CHECK(got[refused].error.code == 507);
    // What the others committed is read here, too, however much it is.
    for (int i = 0; i < 40; ++i) {
      const auto more = lab.propose(lead, name + std::to_string(i));
      lab.run(20ms);
      REQUIRE(lab.answers(lead)[more].ok);
    }
    CHECK(reads(lab, at, name + "39", 500ms));
    disk.is_full = disk.looks_full = false;
    lab.run(1s);
    const auto healed = lab.propose(at, name + "-healed");
    lab.run(200ms);
    CHECK(lab.answers(at)[healed].ok);
    CHECK(lab.same_everywhere());
    CHECK(lab.members[lead].raft.state->current()->get("t", "", name + "-refused") == nullptr);
  }
}

TEST_CASE(
    "a follower whose disk fails refuses writes, goes on with reads and stays in service; a leader lets another lead") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto at = lab.follower();
  lab.members[at].disk->fails = true;
  const auto other = lab.propose(lead, "a");
  lab.run(200ms);
  CHECK(lab.answers(lead)[other].ok);
  const auto refused = lab.propose(at, "b");
  CHECK(reads(lab, at, "a", 300ms));
  const auto why = lab.answers(at)[refused].error;
  CHECK(why.code == 503);
  CHECK(why.message.find("takes no writes") != std::string::npos);
  lab.members[at].disk->fails = false;
  lab.run(1s);
  const auto healed = lab.propose(at, "c");
  lab.run(200ms);
  CHECK(lab.answers(at)[healed].ok);
  lab.members[lead].disk->fails = true;
  const auto meanwhile = lab.propose(at, "d");
  lab.run(4s);
  CHECK(lab.answers(at)[meanwhile].ok);
  CHECK(lab.await_leader() != lead);
  CHECK(reads(lab, lead, "d", 300ms)); // in a term that its disk does not know
  lab.members[lead].disk->fails = false;
  lab.run(1s);
  CHECK(lab.same_everywhere());
}

TEST_CASE("what a full disk could not take is not said to be on it, wherever the healed member stops") {
  for (int writes = 0; writes < 4; ++writes) {
    CAPTURE(writes);
    group_lab lab(3);
    const auto lead = lab.await_leader();
    const auto at = lab.follower();
    lab.members[at].disk->is_full = true;
    for (int i = 0; i < 12; ++i) { // more than one group's bytes
      const auto ticket = lab.propose(lead, "large" + std::to_string(i), 0, 0, 1'000'000);
      lab.run(100ms);
      REQUIRE(lab.answers(lead)[ticket].ok);
    }
    lab.run(1s);
    CHECK(lab.same_everywhere());
    auto& disk = *lab.members[at].disk;
    disk.is_full = false;
    disk.fills_after = writes;
    lab.run(2s);
    CHECK(disk.is_full);
    CHECK_FALSE(disk.ran_ahead);
    lab.kill(at);
    lab.start(at); // throws if what it finds does not fit together
    lab.run(2s);
    CHECK(lab.same_everywhere());
  }
}

TEST_CASE("a leader whose disk looks full refuses with 507 and lets another lead, which takes what others forwarded") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto at = lab.follower();
  for (const bool of_another : {false, true}) {
    CAPTURE(of_another);
    auto& disk = *lab.members[lead].disk;
    disk.looks_full = true;
    const auto first = lab.propose(of_another ? at : lead, of_another ? "a" : "b");
    lab.run(300ms);
    if (of_another)
      CHECK(lab.answers(at)[first].ok);
    else
      CHECK(lab.answers(lead)[first].error.code == 507);
    const auto next = lab.await_leader();
    CHECK(next != lead);
    const auto ticket = lab.propose(next, "c" + std::to_string(of_another));
    lab.run(200ms);
    CHECK(lab.answers(next)[ticket].ok);
    disk.looks_full = false;
    const auto healed = lab.propose(lead, "d" + std::to_string(of_another));
    lab.run(200ms);
    CHECK(lab.answers(lead)[healed].ok);
    if (of_another) break;
    REQUIRE(lab.command(next, {member_command::op::transfer, lead}, 3s).code == 0);
  }
  CHECK(lab.same_everywhere());
}

TEST_CASE(
    "where all disks look full everybody says 507, and the leadership moves ever more seldom, until there is room") {
  group_lab lab(3);
  lab.await_leader();
  for (auto& [id, m] : lab.members)
    m.disk->looks_full = true;
  const auto terms_in = [&](std::chrono::seconds d) {
    const auto before = lab.members[lab.await_leader()].raft.group->now().term.v;
    for (auto left = d; left.count() > 0; left -= 1s)
      for (auto& [id, m] : lab.members) {
        const auto refused = lab.propose(id, "a");
        lab.run(1s / 3 + 1ms);
        CHECK(lab.answers(id)[refused].error.code == 507);
      }
    return lab.members[lab.await_leader()].raft.group->now().term.v - before;
  };
  CHECK(terms_in(60s) <= 15); // each of three at 0, 5, 15, 35 s and so on
  terms_in(300s);
  CHECK(terms_in(60s) <= 3);
  // The last one to be asked has room.
  const auto lead = lab.await_leader();
  const auto at =
      std::prev(lab.members.end())->first == lead ? lab.members.begin()->first : std::prev(lab.members.end())->first;
  lab.members[at].disk->looks_full = false;
  std::map<std::uint64_t, troupe::store::txn_result> got;
  std::uint64_t ticket = 0;
  for (int i = 0; i < 900 && !got[ticket].ok; ++i) {
    ticket = lab.propose(at, "b" + std::to_string(i));
    lab.run(1s);
    got = lab.answers(at);
  }
  CHECK(got[ticket].ok);
  CHECK(lab.await_leader() == at);
}

TEST_CASE("a leader that finds its disk full lets another lead") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  auto& disk = *lab.members[lead].disk;
  disk.is_full = true;
  const auto at = lab.follower();
  const auto ticket = lab.propose(at, "b");
  lab.run(4s);
  CHECK(lab.answers(at)[ticket].ok);
  CHECK(lab.await_leader() != lead);
  for (int i = 0; i < 40; ++i) { // more than the first append of the new leader
    const auto more = lab.propose(at, "more" + std::to_string(i), 0, 0, 20'000);
    lab.run(20ms);
    REQUIRE(lab.answers(at)[more].ok);
  }
  CHECK(reads(lab, lead, "more39", 1s));
  disk.is_full = false;
  lab.run(1s);
  const auto healed = lab.propose(lead, "c");
  lab.run(200ms);
  CHECK(lab.answers(lead)[healed].ok);
  CHECK(lab.same_everywhere());
}

TEST_CASE("a member whose disk has room for term and vote alone votes, and its reads go on") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto at = lab.follower();
  auto& disk = *lab.members[at].disk;
  disk.is_full = disk.takes_votes = true;
  const auto first = lab.propose(lead, "a");
  lab.run(200ms);
  REQUIRE(lab.answers(lead)[first].ok);
  lab.kill(lead);
  lab.run(5s);
  const auto next = lab.await_leader(); // by the vote of `at`, there is no other
  CHECK(next != at);
  disk.is_full = false;
  lab.run(2s);
  const auto healed = lab.propose(at, "b");
  lab.run(500ms);
  CHECK(lab.answers(at)[healed].ok);
  lab.kill(at);
  lab.start(at); // the refused write was older than the vote
  lab.run(2s);
  lab.start(lead);
  lab.run(2s);
  CHECK(lab.same_everywhere());
}

TEST_CASE("a linearizable read on a follower waits for what was acknowledged elsewhere") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto at = lab.follower();
  const auto ticket = lab.propose(lead, "a");
  lab.run(60ms);
  REQUIRE(lab.answers(lead)[ticket].ok);
  bool seen = false, called = false;
  lab.members[at].raft.group->read_barrier([&](const troupe::status& s) {
    called = true;
    seen = s.code == 0 && lab.members[at].raft.state->current()->get("t", "", "a");
  });
  lab.run(500ms);
  CHECK(called);
  CHECK(seen);
}

TEST_CASE("a new member takes the whole state, catches up and becomes a voter") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  for (int i = 0; i < 50; ++i)
    lab.propose(lead, "k" + std::to_string(i));
  lab.run(500ms);
  lab.start(member_id{4}, true);
  lab.run(3s);
  CHECK(lab.leader() == lead); // a stranger disturbs nobody
  CHECK(lab.command(lead, {member_command::op::add_learner, member_id{4}}, 5s).code == 0);
  lab.run(1s);
  CHECK(lab.members[member_id{4}].raft.state->current()->get("t", "", "k49") != nullptr);
  CHECK(lab.command(lead, {member_command::op::promote, member_id{4}}, 5s).code == 0);
  const auto ticket = lab.propose(member_id{4}, "from-4");
  lab.run(500ms);
  CHECK(lab.answers(member_id{4})[ticket].ok);
  CHECK(lab.command(lab.leader(), {member_command::op::remove, member_id{1}}, 5s).code == 0);
  CHECK(lab.command(lab.await_leader(), {member_command::op::remove, member_id{1}}, 5s).code == 409);
}

TEST_CASE("leadership is handed over on demand and before a planned stop") {
  group_lab lab(3);
  const auto first = lab.await_leader();
  const auto to = lab.follower();
  CHECK(lab.command(first, {member_command::op::transfer, to}, 3s).code == 0);
  lab.run(200ms);
  CHECK(lab.leader() == to);
  bool stopped = false;
  auto asker = lab.system.spawn([&, raft = lab.members[to].raft.raft](caf::event_based_actor* self) {
    self->request(raft, 30s, troupe::flush_and_stop::value).then([&](bool ok) { stopped = ok; }, [](caf::error&) {});
  });
  lab.run(300ms); // far less than an election takes
  CHECK(stopped);
  CHECK(lab.leader() != to);
  CHECK(lab.leader());
  caf::anon_send_exit(asker, caf::exit_reason::kill);
}

TEST_CASE("a write fenced for a term that is over is refused wherever it is asked") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto term = lab.members[lead].raft.group->now().term.v;
  const auto good = lab.propose(lead, "a", 0, term);
  lab.run(200ms);
  CHECK(lab.answers(lead)[good].ok);
  lab.command(lead, {member_command::op::transfer, lab.follower()}, 3s);
  lab.run(300ms);
  const auto late = lab.propose(lead, "b", 0, term);
  lab.run(500ms);
  CHECK(lab.answers(lead)[late].error.code == 409);
}

TEST_CASE("a member whose store was condemned takes everything from the others before it votes") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto at = lab.follower();
  for (int i = 0; i < 20; ++i)
    lab.propose(lead, "k" + std::to_string(i));
  lab.run(500ms);
  lab.kill(at);
  {
    auto disk = troupe::store::rocks_backend::open({lab.dir() + "/" + std::to_string(at.v), "c", at, {}, 0});
    REQUIRE(disk.has_value());
    REQUIRE((*disk)->condemn("for a test").has_value());
    (*disk)->close();
  }
  lab.start(at);
  CHECK(lab.members[at].raft.state->current()->get("t", "", "k0") == nullptr);
  lab.run(3s);
  CHECK(lab.members[at].raft.state->current()->get("t", "", "k19") != nullptr);
  CHECK(lab.same_everywhere());
  // It counts again: with one of the others away, the group still works.
  lab.kill(lab.await_leader());
  REQUIRE(lab.await_leader());
  const auto ticket = lab.propose(lab.leader(), "after");
  lab.run(1s);
  CHECK(lab.answers(lab.leader())[ticket].ok);
}

TEST_CASE("members that restart remember their votes and what was committed") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  const auto ticket = lab.propose(lead, "a");
  lab.run(200ms);
  REQUIRE(lab.answers(lead)[ticket].ok);
  for (std::uint64_t id = 1; id <= 3; ++id)
    lab.kill(member_id{id});
  for (std::uint64_t id = 1; id <= 3; ++id)
    lab.start(member_id{id});
  REQUIRE(lab.await_leader());
  lab.run(500ms);
  for (auto& [id, m] : lab.members)
    CHECK(m.raft.state->current()->get("t", "", "a") != nullptr);
}

namespace {

/// Changes one stored object behind the member's back, as failing memory or a bug in apply would.
void falsify(const std::string& dir, member_id who) {
  using namespace troupe::store;
  auto disk = rocks_backend::open({dir + "/" + std::to_string(who.v), "c", who, {}, 0});
  REQUIRE(disk.has_value());
  state_machine machine;
  auto found = (*disk)->recover(machine);
  REQUIRE(found.has_value());
  const auto was = machine.get({"t", "", "k3"});
  REQUIRE(was);
  auto other = std::make_shared<object>();
  other->name = was->name;
  other->bytes = R"({"not":"so"})";
  other->mod = was->mod;
  other->created = was->created;
  write_group g;
  g.changes.push_back({std::make_shared<const std::string>("t"), event_type::modified, other, was});
  g.applied = found->applied;
  REQUIRE((*disk)->write(g).has_value());
  REQUIRE((*disk)->close().has_value());
}

} // namespace

TEST_CASE("a member whose state differs is found by its hash, leaves service loudly and is made whole by the others") {
  group_lab lab(3);
  const auto lead = lab.await_leader();
  for (int i = 0; i < 5; ++i)
    lab.propose(lead, "k" + std::to_string(i));
  lab.run(500ms);
  const auto at = lab.follower();
  lab.run(31s); // objects reach the disk beside the log
  lab.kill(at);
  falsify(lab.dir(), at);
  lab.start(at);
  lab.run(1s);
  REQUIRE_FALSE(lab.same_everywhere());
  lab.propose(lab.await_leader(), "new"); // an idle group has nothing to compare
  lab.run(45s);
  CHECK(lab.members[at].raft.group->now().out_of_service.find("differs from the majority's") != std::string::npos);
  lab.kill(at);
  lab.start(at);
  lab.run(3s);
  CHECK(lab.same_everywhere());
  CHECK(lab.members[at].raft.group->now().out_of_service.empty());
}

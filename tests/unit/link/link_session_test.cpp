// Workers and masters over real sessions: what a worker sees, may do, and lives through.
#include "actors/link/link_limits.hpp"
#include "actors/support/feed.hpp"
#include "tests/support/api_lab.hpp"
#include "tests/unit/link/link_lab.hpp"

#include <doctest/doctest.h>

#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <atomic>
#include <deque>
#include <set>
#include <thread>

using namespace troupe;
using namespace troupe::link;
using namespace std::chrono_literals;
using test::comes_true;
using test::lab_door;
using test::lab_worker;
using test::link_lab;
using test::request_of;

namespace {

std::string map_text(const std::string& name, const std::string& value = "1") {
  return R"({"metadata":{"name":")" + name + R"("},"data":{"k":")" + value + R"("}})";
}
std::string secret_text(const std::string& name) {
  return R"({"metadata":{"name":")" + name + R"("},"stringData":{"k":"v"}})";
}
std::string mounts(const std::string& secret) {
  return R"("volumes":[{"name":"s","secret":{"secretName":")" + secret + R"("}}],)";
}
std::string service_text(const std::string& name, const std::string& label = "0") {
  return R"({"metadata":{"name":")" + name + R"(","labels":{"n":")" + label +
         R"("}},"spec":{"clusterIP":"None","ports":[{"port":80}]}})";
}

struct seen_event {
  store::event_type type;
  store::revision rev;
  std::string name, bytes;
  friend bool operator==(const seen_event&, const seen_event&) = default;
};

std::vector<seen_event> history(const store::watch_hub& hub, std::string_view table, store::revision after) {
  std::vector<seen_event> out;
  for (const auto& e : hub.pull(table, after, 100000).events)
    out.push_back({e->type, e->rev, e->current->name, std::string(e->current->bytes)});
  return out;
}

/// Everything a worker may see is what the master has.
bool equal(const link_lab& lab, const lab_worker& w, std::string_view table) {
  auto lines = [&](const store::view& v) {
    std::vector<std::string> out;
    v.scan(table, {}, [&](const store::object_ptr& o) {
      out.push_back(o->ns + "/" + o->name + "@" + std::to_string(o->mod) + std::string(o->bytes));
      return true;
    });
    return out;
  };
  return lines(*lab.raft.state->current()) == lines(*w.link.state->current());
}

} // namespace

TEST_CASE("a worker sees what happens at the master: the same bytes in the same order at the same revisions") {
  link_lab lab;
  lab_door m1(lab, "m1");
  lab.make("services", "default", service_text("before"));
  lab_worker w(lab, "w1", {m1.address()});
  w.link.ready.wait();
  const auto from = w.link.state->current()->rev();
  CHECK(w.sees("services", "default", "before"));
  CHECK(w.sees("namespaces", "", "kube-system"));
  for (int i = 0; i < 50; ++i) {
    lab.make("services", "default", service_text("s" + std::to_string(i)));
    if (i % 3 == 0) lab.call(verb::delete_, "services", "default", "s" + std::to_string(i));
    lab.make("configmaps", "default", map_text("c" + std::to_string(i)));
  }
  REQUIRE(comes_true([&] { return equal(lab, w, "services"); }));
  CHECK(history(*w.link.hub, "services", from) == history(*lab.raft.hub, "services", from));
  CHECK(w.link.state->current()->count("configmaps", "") == 0); // none of its pods refers to one
  CHECK(m1.sessions->connected() == std::vector<std::string>{"w1"});
  CHECK(w.link.link->status().active == "m1");
}

TEST_CASE("a worker sees its own pods and what they refer to, and nothing else of these kinds") {
  link_lab lab;
  lab_door m1(lab, "m1");
  lab.make("secrets", "default", secret_text("mine"));
  lab.make("secrets", "default", secret_text("theirs"));
  lab.pod("p0", "w1", mounts("mine"));
  lab_worker w(lab, "w1", {m1.address()});
  w.link.ready.wait();
  CHECK(w.sees("pods", "default", "p0"));
  CHECK(w.sees("secrets", "default", "mine"));
  CHECK_FALSE(w.sees("secrets", "default", "theirs"));
  lab.pod("p1", "w2", mounts("theirs"));
  lab.pod("p2", "w1", mounts("late"));
  REQUIRE(comes_true([&] { return w.sees("pods", "default", "p2"); }));
  CHECK_FALSE(w.sees("pods", "default", "p1"));
  CHECK_FALSE(w.sees("secrets", "default", "theirs"));
  lab.make("secrets", "default", secret_text("late"));
  REQUIRE(comes_true([&] { return w.sees("secrets", "default", "late"); }));
  lab.call(verb::delete_, "pods", "default", "p0", R"({"gracePeriodSeconds":0})");
  REQUIRE(comes_true([&] { return !w.sees("secrets", "default", "mine"); }));
  CHECK_FALSE(w.sees("pods", "default", "p0"));
}

TEST_CASE("what a node may not do is refused by the master, whatever the request says") {
  link_lab lab;
  lab_door m1(lab, "m1");
  lab.make("secrets", "default", secret_text("mine"));
  lab.make("secrets", "default", secret_text("theirs"));
  lab.pod("own", "w1", mounts("mine"));
  lab.pod("other", "w2", mounts("theirs"));
  lab_worker w(lab, "w1", {m1.address()});
  w.link.ready.wait();
  const std::string status = R"({"status":{"phase":"Running"}})";
  CHECK(w.call(request_of(verb::patch, "pods", "default", "own", status, "status"))->code == 200);
  auto denied = w.call(request_of(verb::patch, "pods", "default", "other", status, "status"));
  CHECK(denied->code == 403);
  CHECK(denied->error->message.find("system:node:w1") != std::string::npos);
  CHECK(w.call(request_of(verb::get, "secrets", "default", "mine"))->code == 200);
  CHECK(w.call(request_of(verb::get, "secrets", "default", "theirs"))->code == 403);
  CHECK(w.call(request_of(verb::list, "secrets", "", ""))->code == 403);
  CHECK(w.call(request_of(verb::create, "pods", "default", "", "{}"))->code >= 400);
  CHECK(w.call(request_of(verb::watch, "pods", "default", ""))->code == 400);
  // Each component is itself: the proxy may not touch pods, the dns may not read secrets, nobody is an administrator.
  auto as = [&](const char* user, request r) {
    r.who.user = user;
    r.who.groups = {"system:masters"};
    return w.call(std::move(r))->code;
  };
  CHECK(as("system:kube-proxy", request_of(verb::get, "pods", "default", "own")) == 403);
  CHECK(as("system:troupe-dns", request_of(verb::get, "secrets", "default", "mine")) == 403);
  CHECK(as("system:troupe-dns", request_of(verb::get, "services", "default", "kubernetes")) == 200);
  CHECK(as("kubernetes-admin", request_of(verb::get, "secrets", "default", "mine")) == 403);
  // The fence of a leader is no worker's to claim.
  auto r = request_of(verb::patch, "pods", "default", "own", status, "status");
  r.fence_term = 999;
  CHECK(w.call(std::move(r))->code == 200);
}

TEST_CASE("a session that is cut again and again loses, repeats and reorders nothing") {
  link_lab lab;
  lab_door m1(lab, "m1");
  test::relay wire(m1.address().port);
  lab_worker w(lab, "w1", {{"m1", "127.0.0.1", wire.port()}});
  w.link.ready.wait();
  // A component that follows services through the mirror, as they do on a master.
  std::map<std::string, store::revision> told;
  std::vector<std::string> faults;
  store::revision last = 0;
  int syncs = 0;
  feed f(w.link.state, w.link.hub, "services", [] {});
  auto drain = [&] {
    auto sync = [&](const store::view& v) {
      ++syncs;
      told.clear();
      v.scan("services", {}, [&](const store::object_ptr& o) { return told[o->name] = o->mod, true; });
    };
    auto event = [&](const store::event& e) {
      if (e.rev < last) faults.push_back("backward at " + e.current->name);
      last = e.rev;
      if (e.type == store::event_type::deleted) {
        if (!told.erase(e.current->name)) faults.push_back("deleted twice: " + e.current->name);
      } else if (auto& mod = told[e.current->name]; mod >= e.current->mod) {
        faults.push_back("repeated: " + e.current->name);
      } else {
        mod = e.current->mod;
      }
    };
    while (f.drain(sync, event)) {
    }
  };
  for (int i = 0; i < 120; ++i) {
    const auto name = "s" + std::to_string(i);
    lab.make("services", "default", service_text(name));
    lab.call(verb::patch, "services", "default", name, R"({"metadata":{"labels":{"n":"1"}}})");
    if (i % 2) lab.call(verb::delete_, "services", "default", name);
    if (i % 15 == 7) {
      const auto before = w.link.link->status().switches;
      wire.cut();
      if (i % 2) REQUIRE(comes_true([&] { return w.link.link->status().switches > before; }));
    }
    drain();
  }
  REQUIRE(comes_true([&] {
    drain();
    return equal(lab, w, "services");
  }));
  drain();
  CHECK(faults == std::vector<std::string>{});
  CHECK(told.size() == lab.raft.state->current()->count("services", ""));
  CHECK(syncs == 1); // the component never had to begin again
  CHECK(w.link.link->status().switches >= 4);
}

TEST_CASE("when a master dies, calls and watches go on at another within about a second") {
  link_lab lab;
  auto m1 = std::make_unique<lab_door>(lab, "m1");
  auto m2 = std::make_unique<lab_door>(lab, "m2");
  lab_worker w(lab, "w1", {m1->address(), m2->address()});
  w.link.ready.wait();
  REQUIRE(comes_true([&] { return w.link.link->status().open.size() == 2; }));
  REQUIRE(comes_true([&] { return w.link.link->status().relists == 7; }));
  const auto active = w.link.link->status().active;
  const auto relists = w.link.link->status().relists;
  (active == "m1" ? m1 : m2).reset();
  lab.make("services", "default", service_text("after"));
  const auto begun = std::chrono::steady_clock::now();
  CHECK(w.call(request_of(verb::get, "services", "default", "after"))->code < 500);
  REQUIRE(comes_true([&] { return w.sees("services", "default", "after"); }));
  MESSAGE("switched after ms: ",
          std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() - begun).count());
  const auto now = w.link.link->status();
  CHECK(now.active != active);
  CHECK(now.relists - relists == 3); // pods, configmaps, secrets: small; the rest went on from where it was
}

TEST_CASE("a master that only falls silent is left, too") {
  link_lab lab;
  lab_door m1(lab, "m1"), m2(lab, "m2");
  test::relay r1(m1.address().port), r2(m2.address().port);
  lab_worker w(lab, "w1", {{"m1", "127.0.0.1", r1.port()}, {"m2", "127.0.0.1", r2.port()}});
  w.link.ready.wait();
  REQUIRE(comes_true([&] { return w.link.link->status().open.size() == 2; }));
  const auto active = w.link.link->status().active;
  (active == "m1" ? r1 : r2).pause(true);
  lab.make("services", "default", service_text("after"));
  REQUIRE(comes_true([&] { return w.sees("services", "default", "after"); }));
  CHECK(w.link.link->status().active != active);
  CHECK(w.link.link->status().last_failure.find("nothing was heard") != std::string::npos);
}

namespace {

/// A member's board: up to date, or asked and without an answer yet.
struct lab_board {
  lab_board() { set(true); }
  void set(bool up_to_date) {
    group_status s;
    s.leader = store::member_id{1};
    s.alone = s.serving = up_to_date;
    board->set(s);
    if (!up_to_date) return;
    for (const auto& passed : board->take_readers())
      passed(status::none());
  }
  std::shared_ptr<group_board> board = std::make_shared<group_board>();
};

} // namespace

TEST_CASE("a worker waits for a master that lags behind what it has seen: a revision never goes backward") {
  link_lab lab;
  lab_board b1, b2;
  auto m1 = std::make_unique<lab_door>(lab, "m1", b1.board);
  auto m2 = std::make_unique<lab_door>(lab, "m2", b2.board);
  lab_worker w(lab, "w1", {m1->address(), m2->address()});
  w.link.ready.wait();
  REQUIRE(comes_true([&] { return w.link.link->status().open.size() == 2; }));
  const bool first = w.link.link->status().active == "m1";
  auto& leading = first ? m1 : m2;
  auto& lagging = first ? m2 : m1;
  auto& board = first ? b2 : b1;
  lagging->view->hold();
  board.set(false);
  lab.make("services", "default", service_text("seen"));
  REQUIRE(comes_true([&] { return w.sees("services", "default", "seen"); }));
  const auto rev = w.link.state->current()->rev();
  leading.reset();
  REQUIRE(comes_true([&] { return w.link.link->status().active == lagging->name; }));
  CHECK(w.link.state->current()->rev() == rev);
  CHECK(w.sees("services", "default", "seen"));
  lagging->view->release();
  board.set(true);
  lab.make("services", "default", service_text("later"));
  REQUIRE(comes_true([&] { return w.sees("services", "default", "later"); }));
  CHECK(w.link.state->current()->rev() > rev);
  CHECK(w.link.link->status().starts_over == 0);
}

TEST_CASE("a worker that has seen more than the newest state there is reads everything anew, and says so once") {
  link_lab lab;
  auto m1 = std::make_unique<lab_door>(lab, "m1");
  lab.make("services", "default", service_text("kept"));
  lab.pod("p", "w1");
  lab_worker w(lab, "w1", {m1->address()});
  w.link.ready.wait();
  std::atomic<int> told{0};
  w.link.link->on_start_over([&] { ++told; });
  lab_door m2(lab, "m2"); // its state is the newest, whatever others have seen
  m2.view->hold();
  m1->sessions->set_masters({m1->address(), m2.address()});
  REQUIRE(comes_true([&] { return w.link.link->status().open.size() == 2; }));
  lab.make("services", "default", service_text("undone"));
  lab.call(verb::delete_, "pods", "default", "p", R"({"gracePeriodSeconds":0})");
  REQUIRE(comes_true([&] { return w.sees("services", "default", "undone"); }));
  REQUIRE(comes_true([&] { return !w.sees("pods", "default", "p"); }));
  const auto rev = w.link.state->current()->rev();
  m1.reset();
  REQUIRE(comes_true([&] { return told == 1; }));
  CHECK(w.link.state->current()->rev() < rev);
  CHECK(w.sees("services", "default", "kept"));
  CHECK_FALSE(w.sees("services", "default", "undone"));
  CHECK(w.sees("pods", "default", "p"));
  m2.view->release();
  lab.make("services", "default", service_text("later"));
  REQUIRE(comes_true([&] { return w.sees("services", "default", "later"); }));
  CHECK(told == 1);
  CHECK(w.link.link->status().starts_over == 1);
}

TEST_CASE("masters that come and go are learned of") {
  link_lab lab;
  lab_door m1(lab, "m1"), m2(lab, "m2");
  lab_worker w(lab, "w1", {m1.address()});
  w.link.ready.wait();
  m1.sessions->set_masters({m1.address(), m2.address()}); // where the others are is learned
  REQUIRE(comes_true([&] { return w.link.link->status().open.size() == 2; }));
  CHECK(w.link.link->status().active == "m1");
  m1.sessions->set_masters({m2.address()}); // m1 leaves the group
  m1.sessions->stop();
  REQUIRE(comes_true([&] { return w.link.link->status().active == "m2"; }));
  REQUIRE(comes_true([&] { return w.link.link->status().open.size() == 1; }));
}

TEST_CASE("a worker that knows nothing begins only where the newest state is known") {
  link_lab lab;
  lab.pod("p", "w1");
  auto stranded = std::make_shared<group_board>(); // it believes in its leader and gets no answer from it
  group_status s;
  s.leader = store::member_id{1};
  stranded->set(s);
  lab_door m1(lab, "m1", stranded);
  lab_worker w(lab, "w1", {m1.address()});
  REQUIRE(comes_true([&] { return w.link.link->status().active == "m1"; }));
  lab.make("services", "default", service_text("s"));
  CHECK(w.call(request_of(verb::get, "services", "default", "s"))->code == 200); // calls are the API's matter
  CHECK(w.link.ready.wait_for(0s) == std::future_status::timeout);
  CHECK(w.link.state->current()->rev() == 0);
  lab_door m2(lab, "m2");
  m1.sessions->set_masters({m1.address(), m2.address()});
  w.link.ready.wait();
  CHECK(w.link.link->status().active == "m2");
  CHECK(w.sees("pods", "default", "p"));
}

TEST_CASE("a master that knows no leader is left for one that does") {
  link_lab lab;
  auto board = std::make_shared<group_board>();
  group_status s;
  s.leader = store::member_id{1};
  s.serving = true;
  board->set(s);
  lab_door m1(lab, "m1", board);
  lab_worker w(lab, "w1", {m1.address()});
  w.link.ready.wait();
  lab_door m2(lab, "m2");
  m1.sessions->set_masters({m1.address(), m2.address()});
  REQUIRE(comes_true([&] { return w.link.link->status().open.size() == 2; }));
  CHECK(w.link.link->status().active == "m1");
  s.leader = store::member_id{};
  s.serving = false;
  board->set(s);
  REQUIRE(comes_true([&] { return w.link.link->status().active == "m2"; }));
}

TEST_CASE("without a master, calls end with 503 and what the worker knew stays") {
  link_lab lab;
  auto m1 = std::make_unique<lab_door>(lab, "m1");
  lab.pod("p", "w1");
  lab_worker w(lab, "w1", {m1->address()});
  w.link.ready.wait();
  m1.reset();
  auto r = w.call(request_of(verb::get, "pods", "default", "p"));
  CHECK(r->code == 503);
  CHECK(r->error->message.find("no master of the cluster can be reached") != std::string::npos);
  CHECK(w.sees("pods", "default", "p"));
}

TEST_CASE("who has no business with a master is told why") {
  link_lab lab;
  lab_door m1(lab, "m1");
  auto try_as = [&](const std::string& cert, const std::string& name, const std::string& cluster) {
    link_client_options o;
    o.address = "127.0.0.1";
    o.port = m1.address().port;
    o.tls = lab.node_tls(cert);
    o.name = name;
    o.cluster_id = cluster;
    return open_link_client(o);
  };
  CHECK(
      try_as("w1", "w1", "ffffff").error().message.find("belongs to cluster ffffff, but master m1 to cluster abc123") !=
      std::string::npos);
  CHECK(try_as("w2", "w1", "abc123").error().message.find("certificate of node w2") != std::string::npos);
  auto first = try_as("w1", "w1", "abc123");
  REQUIRE(first.has_value());
  CHECK(try_as("w1", "w1", "abc123").error().message.find("names must differ") != std::string::npos);
  first->reset();
  REQUIRE(comes_true([&] { return try_as("w1", "w1", "abc123").has_value(); })); // the name is free again
}

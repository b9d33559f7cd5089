// The worker's copy of the cluster: atomic steps, revisions that only grow, and no deletion missed over a switch.
#include "actors/link/mirror.hpp"
#include "actors/support/feed.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::link;
using store::event_type;

namespace {

store::object_ptr object(std::string ns, std::string name, store::revision mod, store::revision created = 1) {
  auto o = std::make_shared<store::object>();
  o->ns = std::move(ns);
  o->name = std::move(name);
  o->mod = mod;
  o->created = created;
  o->bytes = "{}";
  return o;
}

void tell(mirror& m, const std::string& table, std::vector<store::object_ptr> objects) {
  REQUIRE(m.on(table_begin{table}).has_value());
  if (!objects.empty()) REQUIRE(m.on(table_objects{std::move(objects)}).has_value());
  REQUIRE(m.on(table_end{}).has_value());
}

/// What a component sees: a feed over the mirror, without an actor.
struct watcher {
  watcher(mirror& m, std::string table) : f(m.state(), m.hub(), std::move(table), [this] { ++wakes; }) {}
  std::vector<std::string> drain() {
    std::vector<std::string> out;
    auto sync = [&](const store::view& v) {
      v.scan(f.table(), {}, [&](const store::object_ptr& o) {
        out.push_back("have " + o->name + "@" + std::to_string(o->mod));
        return true;
      });
    };
    auto event = [&](const store::event& e) {
      static constexpr const char* words[] = {"added ", "modified ", "deleted "};
      out.push_back(words[static_cast<int>(e.type)] + e.current->name + "@" + std::to_string(e.rev));
    };
    while (f.drain(sync, event)) {
    }
    return out;
  }
  feed f;
  int wakes = 0;
};

using lines = std::vector<std::string>;

} // namespace

TEST_CASE("nothing is visible before its commit, and everything at once with it") {
  mirror m;
  m.begin();
  tell(m, "pods", {object("a", "p", 5)});
  tell(m, "secrets", {object("a", "s", 2)});
  CHECK(m.cursor() == 0);
  CHECK(m.state()->current()->rev() == 0);
  REQUIRE(m.on(feed_commit{9}).has_value());
  CHECK(m.cursor() == 9);
  auto v = m.state()->current();
  CHECK(v->rev() == 9);
  CHECK(v->get("pods", "a", "p"));
  CHECK(v->get("secrets", "a", "s"));
}

TEST_CASE("a component that came too early learns of the first state as events") {
  mirror m;
  watcher w(m, "pods");
  CHECK(w.drain() == lines{});
  tell(m, "pods", {object("a", "p", 5), object("a", "q", 3)});
  REQUIRE(m.on(feed_commit{9}).has_value());
  CHECK(w.wakes > 0);
  CHECK(w.drain() == lines{"added p@9", "added q@9"});
}

TEST_CASE("events come in order with the cluster's revisions") {
  mirror m;
  tell(m, "services", {object("a", "s", 3)});
  REQUIRE(m.on(feed_commit{9}).has_value());
  watcher w(m, "services");
  CHECK(w.drain() == lines{"have s@3"});
  REQUIRE(m.on(feed_events{{{event_type::modified, "services", 11, object("a", "s", 11)},
                            {event_type::added, "services", 12, object("a", "t", 12, 12)}}})
              .has_value());
  CHECK(w.drain() == lines{});
  REQUIRE(m.on(feed_commit{15}).has_value());
  CHECK(w.drain() == lines{"modified s@11", "added t@12"});
  REQUIRE(m.on(feed_events{{{event_type::deleted, "services", 16, object("a", "s", 16)}}}).has_value());
  REQUIRE(m.on(feed_commit{16}).has_value());
  CHECK(w.drain() == lines{"deleted s@16"});
  CHECK(m.state()->current()->count("services", "") == 1);
}

TEST_CASE("a table told anew becomes the difference, and an object of the same name is another object") {
  mirror m;
  tell(m, "pods", {object("a", "gone", 2), object("a", "new-self", 3, 3), object("a", "same", 4), object("b", "x", 5)});
  REQUIRE(m.on(feed_commit{10}).has_value());
  watcher w(m, "pods");
  (void)w.drain();
  m.begin();
  tell(m, "pods",
       {object("a", "came", 12, 12), object("a", "new-self", 14, 13), object("a", "same", 4), object("b", "x", 15)});
  REQUIRE(m.on(feed_commit{20}).has_value());
  CHECK(w.drain() ==
        lines{"added came@20", "deleted gone@20", "deleted new-self@20", "added new-self@20", "modified x@20"});
  CHECK(m.state()->current()->rev() == 20);
}

TEST_CASE("a feed that breaks off leaves nothing behind") {
  mirror m;
  tell(m, "pods", {object("a", "p", 2)});
  REQUIRE(m.on(feed_commit{10}).has_value());
  REQUIRE(m.on(table_begin{"pods"}).has_value());
  CHECK_FALSE(m.on(feed_events{}).has_value());
  m.begin(); // the next master
  REQUIRE(m.on(feed_events{{{event_type::added, "services", 11, object("a", "s", 11)}}}).has_value());
  REQUIRE(m.on(feed_commit{11}).has_value());
  CHECK(m.state()->current()->get("pods", "a", "p"));
  CHECK(m.state()->current()->get("services", "a", "s"));
}

TEST_CASE("an object that was seen ahead of its event is not told twice") {
  mirror m;
  tell(m, "pods", {});
  REQUIRE(m.on(feed_commit{10}).has_value());
  watcher w(m, "secrets");
  (void)w.drain();
  // Granted by a pod's event at 11, read from a newer view; its own event comes later.
  REQUIRE(m.on(feed_events{{{event_type::added, "secrets", 11, object("a", "s", 13)}}}).has_value());
  REQUIRE(m.on(feed_commit{11}).has_value());
  REQUIRE(m.on(feed_events{{{event_type::modified, "secrets", 13, object("a", "s", 13)},
                            {event_type::modified, "secrets", 14, object("a", "s", 14)}}})
              .has_value());
  REQUIRE(m.on(feed_commit{14}).has_value());
  CHECK(w.drain() == lines{"added s@11", "modified s@14"});
}

TEST_CASE("a state that was put back replaces everything at once, at a lower revision") {
  mirror m;
  tell(m, "pods", {object("a", "p", 5), object("a", "same", 6)});
  tell(m, "services", {object("a", "s", 4)});
  REQUIRE(m.on(feed_commit{90}).has_value());
  m.start_over();
  CHECK(m.cursor() == 0);
  CHECK(m.state()->current()->rev() == 90); // visible until the new one is whole
  CHECK_FALSE(m.on(feed_events{{{event_type::added, "pods", 91, object("a", "q", 91)}}}).has_value());
  m.begin();
  tell(m, "pods", {object("a", "back", 3), object("a", "same", 6)});
  tell(m, "services", {});
  CHECK(m.cursor() == 0);
  CHECK(m.state()->current()->get("pods", "a", "p"));
  REQUIRE(m.on(feed_commit{20}).has_value());
  CHECK(m.cursor() == 20);
  CHECK(m.state()->current()->rev() == 20);
  CHECK(m.state()->current()->get("pods", "a", "back"));
  CHECK_FALSE(m.state()->current()->get("pods", "a", "p"));
  CHECK(m.state()->current()->count("services", "") == 0);
  watcher late(m, "pods");
  CHECK(late.drain() == lines{"have back@3", "have same@6"});
  REQUIRE(m.on(feed_events{{{event_type::modified, "pods", 21, object("a", "same", 21)}}}).has_value());
  REQUIRE(m.on(feed_commit{21}).has_value());
  CHECK(late.drain() == lines{"modified same@21"});
}

TEST_CASE("a state that was put back may have another object at the same revision, and stand higher") {
  mirror m;
  auto mine = std::make_shared<store::object>();
  mine->ns = "a", mine->name = "x", mine->mod = mine->created = 7, mine->bytes = "old";
  tell(m, "pods", {mine});
  REQUIRE(m.on(feed_commit{10}).has_value());
  watcher early(m, "pods");
  (void)early.drain();
  m.start_over();
  auto theirs = std::make_shared<store::object>();
  theirs->ns = "a", theirs->name = "x", theirs->mod = theirs->created = 7, theirs->bytes = "new";
  tell(m, "pods", {theirs});
  REQUIRE(m.on(feed_commit{30}).has_value());
  CHECK(m.state()->current()->get("pods", "a", "x")->bytes == "new");
  CHECK(early.drain() == lines{"have x@7"}); // whoever was behind begins anew
}

TEST_CASE("a mirror that holds nothing has nothing to start over with") {
  mirror m;
  m.start_over();
  watcher w(m, "pods");
  (void)w.drain();
  tell(m, "pods", {object("a", "p", 5)});
  REQUIRE(m.on(feed_commit{9}).has_value());
  CHECK(w.drain() == lines{"added p@9"});
}

TEST_CASE("what makes no sense is refused") {
  mirror m;
  CHECK_FALSE(m.on(table_objects{{object("a", "x", 1)}}).has_value());
  CHECK_FALSE(m.on(table_end{}).has_value());
  REQUIRE(m.on(table_begin{"pods"}).has_value());
  CHECK_FALSE(m.on(table_begin{"nodes"}).has_value());
  REQUIRE(m.on(table_objects{{object("a", "b", 1)}}).has_value());
  CHECK_FALSE(m.on(table_objects{{object("a", "a", 1)}}).has_value());
  CHECK_FALSE(m.on(feed_commit{5}).has_value());
  m.begin();
  REQUIRE(m.on(feed_commit{5}).has_value());
  CHECK_FALSE(m.on(feed_commit{4}).has_value());
  CHECK_FALSE(m.on(feed_events{{{event_type::added, "pods", 5, object("a", "x", 5)}}}).has_value());
  REQUIRE(m.on(feed_events{{{event_type::added, "pods", 8, object("a", "x", 8)}}}).has_value());
  CHECK_FALSE(m.on(feed_events{{{event_type::added, "pods", 7, object("a", "y", 7)}}}).has_value());
  CHECK_FALSE(m.on(feed_commit{7}).has_value());
}

// Which master a worker asks, and what becomes of its calls when that one is lost: without sockets, in virtual time.
#include "actors/link/cluster_link_core.hpp"
#include "actors/link/link_limits.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace troupe;
using namespace troupe::link;
using namespace std::chrono_literals;
using core = cluster_link_core;

namespace {

request_ptr ask_for(verb what, std::string name, const char* body = nullptr) {
  auto r = std::make_shared<request>();
  r->what = what;
  r->name = std::move(name);
  if (body) r->body = std::make_shared<const json::value>(json::parse(body));
  return r;
}

struct lab {
  core c{1};
  core::instant now{};
  std::vector<std::pair<std::uint64_t, message>> sent;
  std::map<std::uint64_t, response_ptr> answers;

  template <class Fn>
  void with(Fn fn) {
    core::effects out;
    fn(out);
    for (auto& e : out)
      if (auto* m = std::get_if<core::to_master>(&e)) {
        sent.emplace_back(m->session, m->what);
      } else {
        auto& a = std::get<core::to_caller>(e);
        CHECK_FALSE(answers.contains(a.ticket)); // once
        answers[a.ticket] = a.what;
      }
  }
  void open(std::uint64_t id, const std::string& name, bool serving = true) {
    with([&](auto& o) { c.opened(id, name, {serving, serving ? "" : "no leader", 0}, now, o); });
  }
  void lose(std::uint64_t id) {
    with([&](auto& o) { c.lost(id, "gone", now, o); });
  }
  void state(std::uint64_t id, bool serving) {
    with([&](auto& o) { c.state(id, {serving, "", 0}, now, o); });
  }
  void ask(std::uint64_t ticket, request_ptr r) {
    with([&](auto& o) { c.ask(ticket, component::self, std::move(r), now, o); });
  }
  void advance(std::chrono::milliseconds d) {
    for (; d.count() > 0; d -= 100ms) {
      now += 100ms;
      with([&](auto& o) { c.tick(now, o); });
    }
  }
  template <class T>
  std::vector<std::pair<std::uint64_t, T>> take() {
    std::vector<std::pair<std::uint64_t, T>> out;
    for (auto& [id, m] : sent)
      if (auto* t = std::get_if<T>(&m)) out.emplace_back(id, *t);
    std::erase_if(sent, [](const auto& s) { return std::holds_alternative<T>(s.second); });
    return out;
  }
  void answer(std::uint64_t session, std::uint64_t id, int code = 200) {
    auto r = std::make_shared<response>();
    r->code = code;
    with([&](auto& o) { c.answered(session, id, r, o); });
  }
};

} // namespace

TEST_CASE("the first master is asked, and the feed begins there with nothing") {
  lab l;
  l.open(1, "m1");
  CHECK(l.c.active_name() == "m1");
  auto subs = l.take<subscribe>();
  REQUIRE(subs.size() == 1);
  CHECK(subs[0].second.cursor == 0);
  CHECK(subs[0].second.credit == limits::link::feed_credit_bytes);
  l.open(2, "m2");
  CHECK(l.c.active_name() == "m1"); // stays
  CHECK(l.c.open_names() == std::vector<std::string>{"m1", "m2"});
}

TEST_CASE("a lost master: the feed goes on elsewhere at the same place, reads are repeated, writes are not") {
  lab l;
  l.open(1, "m1");
  l.open(2, "m2");
  auto first = l.take<subscribe>().front().second;
  CHECK(l.c.feed_begun(1, {first.epoch, 99}));
  l.with([&](auto& o) { l.c.took(100, 41, o); });
  l.ask(10, ask_for(verb::get, "a"));
  l.ask(11, ask_for(verb::create, "b", R"({"metadata":{"name":"b"}})"));
  l.ask(12, ask_for(verb::update, "c", R"({"metadata":{"name":"c","resourceVersion":"5"}})"));
  l.ask(13, ask_for(verb::update, "d", R"({"metadata":{"name":"d"}})"));
  l.ask(14, ask_for(verb::patch, "e", R"({"status":{}})"));
  l.ask(15, ask_for(verb::delete_, "f", R"({"preconditions":{"uid":"u"}})"));
  l.ask(16, ask_for(verb::delete_, "g"));
  CHECK(l.take<call>().size() == 7);
  l.lose(1);
  CHECK(l.c.active_name() == "m2");
  auto again = l.take<subscribe>();
  REQUIRE(again.size() == 1);
  CHECK(again[0].first == 2);
  CHECK(again[0].second.cursor == 41);
  CHECK(again[0].second.tables == 99);
  CHECK(again[0].second.epoch != first.epoch);
  std::vector<std::string> repeated;
  for (const auto& [session, c] : l.take<call>()) {
    CHECK(session == 2);
    repeated.push_back(c.req->name);
  }
  CHECK(repeated == std::vector<std::string>{"a", "c", "f"});
  for (std::uint64_t t : {11, 13, 14, 16}) {
    REQUIRE(l.answers.contains(t));
    CHECK(l.answers[t]->code == 504);
    CHECK(l.answers[t]->error->message.find("not known") != std::string::npos);
  }
  CHECK(l.answers.size() == 4);
}

TEST_CASE("an answer of a session that is over, or of another, counts for nothing") {
  lab l;
  l.open(1, "m1");
  l.ask(10, ask_for(verb::get, "a"));
  const auto id = l.take<call>().front().second.id;
  l.answer(2, id);
  CHECK(l.answers.empty());
  l.answer(1, id);
  CHECK(l.answers.at(10)->code == 200);
  l.answer(1, id);
}

TEST_CASE("without any master calls wait a while, then say why nobody can be asked") {
  lab l;
  l.c.failed("m1 at 10.0.0.1:6444: connection refused");
  l.ask(1, ask_for(verb::get, "a"));
  l.advance(4000ms);
  CHECK(l.answers.empty());
  l.ask(2, ask_for(verb::create, "b", "{}"));
  l.advance(1500ms);
  REQUIRE(l.answers.contains(1));
  CHECK(l.answers[1]->code == 503);
  CHECK(l.answers[1]->error->message ==
        "no master of the cluster can be reached from this node; m1 at 10.0.0.1:6444: connection refused");
  CHECK_FALSE(l.answers.contains(2));
  l.open(7, "m1"); // what still waits is asked now
  CHECK(l.take<call>().size() == 1);
}

TEST_CASE("a master that knows no leader is left for one that does, and not for one that does not") {
  lab l;
  l.open(1, "m1");
  l.open(2, "m2");
  const auto active = l.c.active();
  const std::uint64_t other = 3 - active;
  l.state(other, false);
  l.state(active, false);
  CHECK(l.c.active() == active); // nobody is better
  l.state(other, true);
  CHECK(l.c.active() == other);
  CHECK(l.take<unsubscribe>().front().first == active);
  CHECK(l.take<subscribe>().back().first == other);
}

TEST_CASE("a master that lags behind what the node has seen is left after a while") {
  lab l;
  l.open(1, "m1");
  l.open(2, "m2");
  const auto active = l.c.active();
  l.advance(2500ms);
  CHECK(l.c.active() != active);
  const auto s = l.take<subscribe>().back();
  CHECK(s.first == l.c.active());
  CHECK(l.c.feed_begun(s.first, {s.second.epoch, 1}));
  CHECK_FALSE(l.c.feed_begun(active, {s.second.epoch, 1}));
  const auto now_active = l.c.active();
  l.advance(20000ms);
  CHECK(l.c.active() == now_active);
}

TEST_CASE("a node whose cursor is none of the cluster's history asks for everything, there and elsewhere") {
  lab l;
  l.open(1, "m1");
  l.open(2, "m2");
  const auto active = l.c.active();
  const std::uint64_t other = 3 - active;
  auto first = l.take<subscribe>().back().second;
  l.c.feed_begun(active, {first.epoch, 99});
  l.with([&](auto& o) { l.c.took(100, 41, o); });
  l.lose(active);
  const auto resumed = l.take<subscribe>().back().second;
  CHECK(resumed.cursor == 41);
  bool heeded = true;
  l.with([&](auto& o) { heeded = l.c.start_over(other, {first.epoch, 0, 7}, l.now, o); });
  CHECK_FALSE(heeded); // of an earlier feed
  CHECK(l.take<subscribe>().empty());
  l.with([&](auto& o) { heeded = l.c.start_over(other, {resumed.epoch, 0, 7}, l.now, o); });
  CHECK(heeded);
  const auto anew = l.take<subscribe>().back();
  CHECK(anew.first == other);
  CHECK(anew.second.cursor == 0);
  CHECK(anew.second.tables == 0);
  CHECK_FALSE(l.c.following(other));
  CHECK(l.c.feed_begun(other, {anew.second.epoch, 99}));
  l.with([&](auto& o) { l.c.took(100, 0, o); }); // the mirror counts nothing before the first commit
  l.open(active + 10, "m1");
  l.lose(other);
  CHECK(l.take<subscribe>().back().second.cursor == 0);
}

TEST_CASE("credit goes back as the feed is taken in") {
  lab l;
  l.open(1, "m1");
  const auto s = l.take<subscribe>().front().second;
  l.c.feed_begun(1, {s.epoch, 1});
  std::int64_t given = 0;
  for (int i = 0; i < 100; ++i) {
    l.with([&](auto& o) { l.c.took(65536, 5, o); });
    for (const auto& [id, c] : l.take<credit>())
      given += c.bytes;
  }
  CHECK(given <= 100 * 65536);
  CHECK(given >= 100 * 65536 - limits::link::feed_credit_bytes / 4);
}

TEST_CASE("too many calls are refused, and a call that is never answered ends") {
  lab l;
  for (std::uint64_t i = 0; i <= limits::link::calls_waiting_max; ++i)
    l.ask(i, ask_for(verb::get, "a"));
  REQUIRE(l.answers.size() == 1);
  CHECK(l.answers.begin()->second->code == 429);
  lab m;
  m.open(1, "m1");
  m.ask(1, ask_for(verb::get, "a"));
  m.advance(limits::link::answer_patience + 200ms);
  CHECK(m.answers.at(1)->code == 504);
}

TEST_CASE("whatever happens, every call is answered exactly once") {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937 random{seed};
    lab l;
    std::uint64_t session = 1, ticket = 1;
    std::vector<std::uint64_t> open;
    for (int step = 0; step < 200; ++step) {
      switch (random() % 6) {
      case 0:
        if (open.size() < 3)
          l.open(session, "m" + std::to_string(session % 3), random() % 4 != 0), open.push_back(session++);
        break;
      case 1:
        if (!open.empty() && random() % 3 == 0) {
          const auto at = random() % open.size();
          l.lose(open[at]);
          open.erase(open.begin() + static_cast<std::ptrdiff_t>(at));
        }
        break;
      case 2: l.ask(ticket++, ask_for(random() % 2 ? verb::get : verb::create, "x", "{}")); break;
      case 3:
        for (const auto& [id, c] : l.take<call>())
          if (random() % 3) l.answer(id, c.id);
        break;
      case 4:
        if (!open.empty()) l.state(open[random() % open.size()], random() % 2);
        break;
      default: l.advance(std::chrono::milliseconds(100 * (random() % 5)));
      }
      CHECK(l.c.calls() + l.answers.size() == ticket - 1);
    }
    l.with([&](auto& o) { l.c.stop(o); });
    CHECK(l.answers.size() == ticket - 1);
  }
}

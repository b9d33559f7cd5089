// Watches that keep their promises, and each way to break one.
#include "tests/unit/sim/history_builder.hpp"

#include <doctest/doctest.h>

using namespace troupe::sim;
using namespace troupe::sim::test;
using kind = watch_step::kind;

namespace {

std::string judge_of(const history_builder& b) { return verdict(watch_guarantees(), b.h); }
bool mentions(const std::string& what, const std::string& part) { return what.find(part) != std::string::npos; }

/// Five revisions of pods, the third of which touches two keys; the watcher knows the first from its list.
history_builder table() {
  history_builder b;
  b.changed(1, "a");
  b.changed(2, "b");
  b.changed(3, "c");
  b.changed(3, "d");
  b.changed(5, "a"); // 4 was of another table
  b.watch(kind::listed, 1);
  return b;
}

} // namespace

TEST_CASE("a watcher that gets everything in order is content") {
  auto b = table();
  b.event(2, "b");
  b.event(3, "c", 2);
  b.event(3, "d", 2);
  b.watch(kind::bookmark, 4);
  b.watch(kind::resumed, 4);
  b.event(5, "a", 3);
  b.watch(kind::bookmark, 9);
  CHECK(judge_of(b) == "");
}

TEST_CASE("what is missing is found by the next event, by a bookmark, by a resumption, and at the end") {
  auto b = table();
  b.event(3, "c");
  CHECK(mentions(judge_of(b), "never MODIFIED of key"));
  b = table();
  b.watch(kind::bookmark, 2);
  CHECK(mentions(judge_of(b), "bookmark 2 but never"));
  b = table();
  b.watch(kind::resumed, 3);
  CHECK(mentions(judge_of(b), "resumes behind revision 3"));
  b = table();
  b.event(2, "b");
  CHECK(judge_of(b) == "");
  b.h.end.healed = true;
  b.h.end.healed_at = b.h.end.converge_within = std::chrono::seconds(1);
  b.h.end.converged_at = b.h.end.healed_at;
  CHECK(mentions(judge_of(b), "never got"));
}

TEST_CASE("repeated, reordered, altered and invented events are found") {
  auto b = table();
  b.event(2, "b");
  b.event(2, "b");
  CHECK(mentions(judge_of(b), "again or out of order"));
  b = table();
  b.event(3, "d");
  CHECK(judge_of(b) != "");
  b = table();
  b.event(2, "b").content = 6;
  CHECK(mentions(judge_of(b), "another type or content"));
  b = table();
  b.event(2, "b").type = troupe::store::event_type::added;
  CHECK(mentions(judge_of(b), "another type or content"));
  b = table();
  b.event(2, "c");
  CHECK(mentions(judge_of(b), "was due"));
  b = table();
  b.watch(kind::listed, 5);
  b.event(6, "z");
  CHECK(mentions(judge_of(b), "nobody wrote"));
}

TEST_CASE("a transaction arrives whole") {
  auto b = table();
  b.event(2, "b");
  b.event(3, "c", 2);
  b.event(3, "d", 3);
  CHECK(mentions(judge_of(b), "in two parts"));
  b = table();
  b.event(2, "b");
  b.event(3, "c", 2);
  b.watch(kind::resumed, 3);
  CHECK(mentions(judge_of(b), "never got MODIFIED"));
  b = table(); // the connection broke: what was not whole is asked for again
  b.event(2, "b");
  b.event(3, "c", 2);
  b.watch(kind::resumed, 2);
  b.event(3, "c", 3);
  b.event(3, "d", 3);
  CHECK(judge_of(b) == "");
}

TEST_CASE("bookmarks and lists do not run back") {
  auto b = table();
  b.event(2, "b");
  b.watch(kind::bookmark, 1);
  CHECK(mentions(judge_of(b), "after it had seen revision 2"));
  b = table();
  b.event(2, "b");
  b.watch(kind::too_old, 2);
  b.watch(kind::listed, 1);
  CHECK(mentions(judge_of(b), "list of revision 1"));
  b = table();
  b.watch(kind::too_old, 1);
  b.event(2, "b");
  CHECK(mentions(judge_of(b), "before a list"));
  b = table();
  b.watch(kind::too_old, 1);
  b.watch(kind::listed, 5);
  b.watch(kind::bookmark, 5);
  CHECK(judge_of(b) == "");
}

TEST_CASE("watchers are judged one by one") {
  auto b = table();
  b.watch(kind::listed, 3, 2);
  b.event(5, "a", 1, 2);
  b.event(2, "b", 1, 1);
  CHECK(judge_of(b) == "");
}

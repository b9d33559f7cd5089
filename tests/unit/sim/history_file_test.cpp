// Recorded files of real processes, good and bad.
#include "tests/sim/checkers/history_file.hpp"

#include <doctest/doctest.h>

#include <sstream>

using namespace troupe::sim;

namespace {

const char* good = R"({"op":"create","key":"a","value":"v1","start_ns":10,"end_ns":20,"outcome":"ok","client":1,"rev":5}
{"op":"cas","key":"a","value":"v2","expected":"v1","start_ns":30,"end_ns":40,"outcome":"ok","client":1,"rev":6}
{"op":"cas","key":"a","value":"v3","expected":"v1","start_ns":35,"end_ns":50,"outcome":"differs","found":"v2","client":2}
{"op":"put","key":"a","value":"v4","start_ns":60,"outcome":"unknown","client":2}
{"op":"get","key":"a","value":"v2","start_ns":70,"end_ns":80,"outcome":"ok","client":1}
{"op":"get","key":"a","value":"v4","start_ns":90,"end_ns":95,"outcome":"ok","client":1}
{"op":"delete","key":"a","start_ns":96,"end_ns":99,"outcome":"ok","client":1,"rev":8}
{"op":"get","key":"a","value":null,"start_ns":100,"end_ns":110,"outcome":"ok","client":1}
{"watcher":"w","rev":4,"type":"LISTED"}
{"watcher":"w","rev":5,"key":"a","type":"ADDED","value":"v1"}
{"watcher":"w","rev":6,"key":"a","type":"MODIFIED","value":"v2"}
{"watcher":"w","rev":6,"type":"RESUMED"}
{"watcher":"w","rev":7,"key":"a","type":"MODIFIED","value":"v4"}
{"watcher":"w","rev":8,"key":"a","type":"DELETED"}
{"watcher":"w","rev":9,"type":"BOOKMARK"}
)";

struct verdict_of {
  recorded_run run;
  std::vector<violation> all;
  explicit verdict_of(const std::string& text) {
    std::istringstream in(text);
    run = read_history(in);
    REQUIRE_MESSAGE(run.error.empty(), run.error);
    all = judged(run);
  }
};

std::string with(std::string what, const std::string& by) {
  std::string text = good;
  const auto at = text.find(what);
  REQUIRE(at != std::string::npos);
  return text.replace(at, what.size(), by);
}

} // namespace

TEST_CASE("a good file has no violation") {
  const verdict_of v(good);
  CHECK_MESSAGE(v.all.empty(), v.all[0].what);
  CHECK(v.run.operations == 8);
  CHECK(v.run.unknown == 1);
  CHECK(v.run.events == 4);
}

TEST_CASE("a stale read is found, with its lines") {
  const verdict_of v(with(R"("value":"v4","start_ns":90)", R"("value":"v1","start_ns":90)"));
  REQUIRE(!v.all.empty());
  CHECK(v.all[0].property == "linearizability");
  const auto lines = lines_in(v.run, v.all[0]);
  CHECK(std::find(lines.begin(), lines.end(), 6u) != lines.end());
}

TEST_CASE("a lost event is found by its revision, and without revisions by its value") {
  const auto cut = with("{\"watcher\":\"w\",\"rev\":6,\"key\":\"a\",\"type\":\"MODIFIED\",\"value\":\"v2\"}\n", "");
  REQUIRE(!verdict_of(cut).all.empty());
  CHECK(verdict_of(cut).all[0].property == "watch guarantees");
  std::string bare;
  for (int i = 1; i <= 3; ++i) {
    const auto n = std::to_string(i);
    bare += R"({"op":"put","key":"k","value":"v)" + n + R"(","start_ns":)" + n + R"(0,"end_ns":)" + n +
            R"(5,"outcome":"ok","client":1})" + "\n";
    if (i != 2) bare += R"({"watcher":1,"rev":)" + n + R"(,"key":"k","type":"MODIFIED","value":"v)" + n + "\"}\n";
  }
  REQUIRE(!verdict_of(bare).all.empty());
  CHECK(verdict_of(bare).all[0].what.find("never given to watcher") != std::string::npos);
}

TEST_CASE("watchers that were given different things are found") {
  const verdict_of v(std::string(good) + R"({"watcher":"x","rev":7,"key":"a","type":"MODIFIED","value":"v9"})");
  REQUIRE(!v.all.empty());
  CHECK(v.all[0].what.find("different events of revision 7") != std::string::npos);
}

TEST_CASE("lines that cannot be read are named") {
  for (const char* bad :
       {"nonsense", "{}", R"({"op":"get"})", R"({"op":"eat","key":"a","outcome":"ok"})",
        R"({"op":"get","key":"a","outcome":"ok","start_ns":5,"end_ns":4})", R"({"watcher":1,"type":"odd"})"}) {
    std::istringstream in(std::string(good) + bad);
    const auto run = read_history(in);
    CHECK_MESSAGE(run.error.starts_with("line 16 "), bad << ": " << run.error);
  }
}

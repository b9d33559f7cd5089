#include "store/tree.hpp"

#include <doctest/doctest.h>

#include <map>
#include <random>

using namespace troupe::store;

namespace {

using model = std::map<std::pair<std::string, std::string>, revision>;

object_ptr make(const std::string& ns, const std::string& name, revision mod) {
  auto o = std::make_shared<object>();
  o->ns = ns;
  o->name = name;
  o->mod = mod;
  return o;
}

bool same(const tree& t, const model& m) {
  if (!t.intact() || t.size() != m.size()) return false;
  auto it = m.begin();
  bool equal = true;
  t.visit({}, {}, false, [&](const object_ptr& o) {
    equal = equal && it != m.end() && it->first.first == o->ns && it->first.second == o->name && it->second == o->mod;
    ++it;
    return equal;
  });
  return equal && it == m.end();
}

} // namespace

TEST_CASE("a tree holds what a std::map holds, and old snapshots never change") {
  for (unsigned seed = 1; seed <= 12; ++seed) {
    std::mt19937_64 rng(seed);
    tree t;
    model m;
    tree::stamp now = 1;
    std::vector<std::pair<tree, model>> kept;
    const unsigned keys = 10u << (seed % 8);
    for (int i = 0; i < 6000; ++i) {
      const std::string ns = "ns" + std::to_string(rng() % 3), name = std::to_string(rng() % keys);
      // Phases of growth and of decline, so that splits and joins both happen.
      if (rng() % 10 < ((i / 1500) % 2 ? 3u : 7u)) {
        auto before = t.put(make(ns, name, static_cast<revision>(i) + 1), now);
        auto it = m.find({ns, name});
        REQUIRE((before ? before->mod : 0) == (it == m.end() ? 0 : it->second));
        m[{ns, name}] = static_cast<revision>(i) + 1;
      } else {
        auto before = t.erase(ns, name, now);
        REQUIRE(!!before == (m.erase({ns, name}) == 1));
      }
      if (rng() % 20 == 0) ++now; // a batch ends: what was published is shared from here on
      if (rng() % 1000 == 0) {
        kept.emplace_back(t, m);
        ++now;
      }
    }
    REQUIRE(same(t, m));
    for (const auto& [old_tree, old_model] : kept)
      REQUIRE(same(old_tree, old_model));
    for (const auto& [key, mod] : m)
      REQUIRE(t.get(key.first, key.second)->mod == mod);
  }
}

TEST_CASE("rank counts what lies before, and a visit resumes behind a key") {
  tree t;
  for (int i = 0; i < 1000; ++i)
    t.put(make("ns", std::to_string(1000 + i), 1), 1);
  CHECK(t.rank("ns", "1000") == 0);
  CHECK(t.rank("ns", "1500") == 500);
  CHECK(t.rank("nz", "") == 1000);
  std::string first;
  t.visit("ns", "1500", true, [&](const object_ptr& o) { return first = o->name, false; });
  CHECK(first == "1501");
  t.visit("ns", "1500", false, [&](const object_ptr& o) { return first = o->name, false; });
  CHECK(first == "1500");
}

TEST_CASE("appending in order keeps nodes nearly full") {
  tree t;
  for (int i = 0; i < 10000; ++i)
    t.put(make("", std::to_string(100000 + i), 1), 1);
  CHECK(t.intact());
  CHECK(t.size() == 10000);
}

#include "store/state_machine.hpp"

#include <doctest/doctest.h>

#include <random>
#include <set>

using namespace troupe;
using namespace troupe::store;

namespace {

log_entry entry(std::uint64_t index, const txn& t, std::uint64_t term = 1) {
  return {log_index{index}, log_term{term}, entry_kind::change, std::make_shared<const std::string>(encode_txn(t))};
}
txn put_txn(const std::string& name, const std::string& doc) {
  auto v = json::parse(doc);
  auto [bytes, at] = encode_for_put(v);
  txn t;
  t.puts.push_back({{"pods", "default", name}, bytes, at});
  return t;
}
txn erase_txn(const std::string& name) {
  txn t;
  t.erases.push_back({{"pods", "default", name}});
  return t;
}

} // namespace

TEST_CASE("the revision is spliced into metadata and nowhere else") {
  const char* doc = R"({"data":{"metadata":{"resourceVersion":"keep"},"x":"\"resourceVersion\":\""},)"
                    R"("metadata":{"labels":{"resourceVersion":"keep"},"name":"a","resourceVersion":"17"},"z":1})";
  state_machine m;
  std::vector<change_record> changes;
  auto r = m.apply(entry(1, put_txn("a", doc)), changes);
  REQUIRE(r.ok);
  auto back = r.written[0]->parse();
  CHECK(jq::str(back, {"metadata", "resourceVersion"}) == "1");
  CHECK(jq::str(back, {"metadata", "labels", "resourceVersion"}) == "keep");
  CHECK(jq::str(back, {"data", "metadata", "resourceVersion"}) == "keep");
  CHECK(r.written[0]->bytes.text().substr(r.written[0]->rv_offset, 2) == "1\"");
}

TEST_CASE("an erased object's last state carries the deletion's revision") {
  state_machine m;
  std::vector<change_record> changes;
  for (std::uint64_t i = 1; i <= 99; ++i)
    m.apply(entry(i, put_txn("a", R"({"metadata":{"name":"a"},"kind":"Pod"})")), changes);
  changes.clear();
  auto r = m.apply(entry(100, erase_txn("a")), changes);
  REQUIRE(r.ok);
  CHECK(r.rev == 100);
  REQUIRE(changes.size() == 1);
  CHECK(changes[0].what == event_type::deleted);
  CHECK(changes[0].previous->mod == 99);
  CHECK(changes[0].current->bytes == R"({"metadata":{"name":"a","resourceVersion":"100"},"kind":"Pod"})");
}

TEST_CASE("what changes nothing costs no revision") {
  state_machine m;
  std::vector<change_record> changes;
  auto r = m.apply(entry(1, erase_txn("absent")), changes);
  CHECK(r.ok);
  CHECK(r.rev == 0);
  CHECK(changes.empty());
  log_entry garbage{log_index{2}, log_term{1}, entry_kind::change, std::make_shared<const std::string>("\x01garbage")};
  r = m.apply(garbage, changes);
  CHECK_FALSE(r.ok);
  CHECK(r.error.code == 500);
  CHECK(m.rev() == 0);
}

TEST_CASE("all operations of one transaction share a revision and are atomic") {
  state_machine m;
  std::vector<change_record> changes;
  txn t = put_txn("a", "{}");
  t.puts.push_back({{"nodes", "", "n"}, "{}", std::string::npos});
  t.compares.push_back({{"pods", "default", "b"}, 0});
  auto r = m.apply(entry(1, t), changes);
  REQUIRE(r.ok);
  CHECK(changes.size() == 2);
  CHECK(changes[0].current->mod == changes[1].current->mod);
  t.compares.push_back({{"nodes", "", "n"}, 7});
  r = m.apply(entry(2, t), changes);
  CHECK_FALSE(r.ok);
  CHECK(r.failed_compare == 1);
  CHECK(r.current->mod == 1);
  CHECK(changes.size() == 2);
}

TEST_CASE("two machines fed the same log hold the same state, whenever they publish") {
  for (unsigned seed = 1; seed <= 5; ++seed) {
    std::mt19937_64 rng(seed);
    state_machine a, b;
    std::vector<change_record> ca, cb;
    for (std::uint64_t i = 1; i <= 2000; ++i) {
      const auto name = std::to_string(rng() % 100);
      txn t = rng() % 3 ? put_txn(name, R"({"n":)" + std::to_string(rng() % 1000) + "}") : erase_txn(name);
      if (rng() % 4 == 0) t.compares.push_back({{"pods", "default", name}, rng() % (i + 1)});
      const auto e = entry(i, t);
      a.apply(e, ca);
      b.apply(e, cb);
      if (rng() % 7 == 0) a.snapshot();
    }
    CHECK(a.rev() == b.rev());
    CHECK(a.snapshot()->hash() == b.snapshot()->hash());
    CHECK(ca.size() == cb.size());
  }
}

TEST_CASE("views scan in order, resume, and count by namespace") {
  state_machine m;
  std::vector<change_record> changes;
  std::uint64_t i = 0;
  for (const char* ns : {"b", "a", "ab"})
    for (int k = 0; k < 50; ++k) {
      txn t;
      t.puts.push_back({{"pods", ns, "p" + std::to_string(100 + k)}, "{}", std::string::npos});
      m.apply(entry(++i, t), changes);
    }
  auto v = m.snapshot();
  CHECK(v->count("pods", "") == 150);
  CHECK(v->count("pods", "a") == 50);
  CHECK(v->count("pods", "c") == 0);
  std::vector<std::string> seen;
  auto collect = [&](const object_ptr& o) {
    seen.push_back(o->ns + "/" + o->name);
    return seen.size() < 3;
  };
  v->scan("pods", "", "a", "p149", collect);
  CHECK(seen == std::vector<std::string>{"ab/p100", "ab/p101", "ab/p102"});
  seen.clear();
  v->scan("pods", "a", "a", "p148", collect);
  CHECK(seen == std::vector<std::string>{"a/p149"});
  CHECK(v->tables() == std::vector<std::string>{"pods"});
  CHECK(v->get("pods", "a", "p100"));
  CHECK_FALSE(v->get("nodes", "a", "p100"));
}

TEST_CASE("a transaction survives encoding, and no prefix of it decodes") {
  txn t = put_txn("a", R"({"metadata":{}})");
  t.compares.push_back({{"pods", "default", "a"}, 1234567});
  t.erases.push_back({{"nodes", "", "n"}});
  t.fence_term = 9;
  const auto bytes = encode_txn(t);
  txn_ref back;
  REQUIRE(decode_txn(bytes, back));
  CHECK(back.fence_term == 9);
  CHECK(back.compares[0].mod == 1234567);
  CHECK(back.puts[0].bytes == t.puts[0].bytes);
  CHECK(back.puts[0].rv_offset == t.puts[0].rv_offset);
  CHECK(back.erases[0].name == "n");
  for (std::size_t n = 0; n < bytes.size(); ++n)
    CHECK_FALSE(decode_txn(std::string_view(bytes).substr(0, n), back));
}

TEST_CASE("metadata is read from the bytes once it is asked for") {
  object o;
  o.bytes = R"({"metadata":{"uid":"u","labels":{"b":"2","a":"1"},"deletionTimestamp":"2026-01-01T00:00:00Z",)"
            R"("ownerReferences":[{"uid":"x"},{"uid":"y"}]},"spec":{"nodeName":"n1"}})";
  CHECK(o.meta().uid == "u");
  CHECK(*o.meta().label("a") == "1");
  CHECK(o.meta().label("c") == nullptr);
  CHECK(o.meta().deleting);
  CHECK(o.meta().node_name == "n1");
  CHECK(o.meta().owner_uids == std::vector<std::string>{"x", "y"});
  object broken;
  broken.bytes = "{";
  CHECK(broken.meta().uid.empty());
}

TEST_CASE("the hash tells states apart that differ in one bit, one boundary or one number") {
  const auto hash_of = [](const std::string& table, object_ptr o, revision rev) {
    state_machine m;
    m.load(table, std::move(o));
    m.set_revision(rev);
    return m.snapshot()->hash();
  };
  const auto make = [](const std::string& ns, const std::string& name, const std::string& bytes, revision mod,
                       revision created) {
    auto o = std::make_shared<object>();
    o->ns = ns;
    o->name = name;
    o->bytes = bytes;
    o->mod = mod;
    o->created = created;
    return o;
  };
  std::set<std::uint64_t> seen;
  std::size_t made = 0;
  const auto add = [&](std::uint64_t h) {
    seen.insert(h);
    ++made;
  };
  add(hash_of("pods", make("ab", "c", "", 1, 1), 5));
  add(hash_of("pods", make("a", "bc", "", 1, 1), 5));
  add(hash_of("pod", make("sab", "c", "", 1, 1), 5));
  add(hash_of("pods", make("ab", "c", "", 2, 1), 5));
  add(hash_of("pods", make("ab", "c", "", 1, 2), 5));
  add(hash_of("pods", make("ab", "c", "", 1, 1), 6));
  for (std::size_t n = 1; n < 70; ++n)
    for (std::size_t bit = 0; bit < 8 * n; ++bit) {
      std::string bytes(n, '\0');
      bytes[bit / 8] = static_cast<char>(1 << (bit % 8));
      add(hash_of("pods", make("ab", "c", bytes, 1, 1), 5));
    }
  CHECK(seen.size() == made);
  CHECK(hash_of("pods", make("ab", "c", "x", 1, 1), 5) == hash_of("pods", make("ab", "c", "x", 1, 1), 5));
}

#include "store/snapshot_codec.hpp"
#include "tests/unit/store/store_dir.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

struct image {
  std::shared_ptr<snapshot_image> pieces = std::make_shared<snapshot_image>();
  applied_mark mark;
  std::uint64_t hash = 0;
};

/// The state of a leader whose log is far ahead: objects new-0 … with documents of 1 KiB.
image image_of(std::uint64_t index, int objects) {
  state_machine m;
  for (int i = 0; i < objects; ++i) {
    auto o = std::make_shared<object>();
    o->ns = "ns";
    o->name = "new-" + std::to_string(i);
    o->bytes = std::string(1024, 'a' + i % 26);
    o->mod = o->created = index - 1;
    m.load("pods", std::move(o));
  }
  m.set_revision(index - 1);
  image out;
  out.mark = {{log_index{index}, log_term{4}}, m.rev(), group_of({1, 2, 3})};
  const auto view = m.snapshot();
  out.hash = view->hash();
  snapshot_writer w({"c", out.mark}, view);
  std::uint64_t at = 0;
  for (bool last = false; !last;) {
    auto p = w.at(at, 64 << 10);
    at += p.bytes->size();
    last = p.last;
    out.pieces->push_back(std::move(p.bytes));
  }
  return out;
}

write_group group_with(const image& i) {
  write_group g;
  g.hard = hard_state{log_term{4}, {}, i.mark.at.index};
  g.install = i.pieces;
  g.applied = i.mark;
  return g;
}

struct seen {
  std::uint64_t hash;
  recovered_state state;
};
seen look(const std::string& dir) {
  auto disk = open(dir);
  state_machine m;
  auto r = disk->recover(m);
  REQUIRE_MESSAGE(bool(r), r.error().message);
  return {m.snapshot()->hash(), std::move(*r)};
}

} // namespace

TEST_CASE("an installed snapshot replaces log, objects and history, and the log goes on behind it") {
  store_dir dir;
  const auto i = image_of(500, 300);
  {
    auto disk = open(dir.path);
    written_store s{*disk, {}};
    for (int k = 0; k < 40; ++k)
      s.run(one("old-" + std::to_string(k), "{}"));
    auto g = group_with(i);
    g.append = {entry(501, 4, encode_txn(one("later", "{}")))};
    auto r = disk->write(g);
    REQUIRE_MESSAGE(bool(r), r.error().message);
    CHECK(disk->horizon() == 499);
    CHECK(disk->get_at({"pods", "ns", "old-1"}, 30).error().code == 410);
    CHECK_FALSE(*disk->get_at({"pods", "ns", "old-1"}, 499));
    CHECK((*disk->get_at({"pods", "ns", "new-7"}, 499))->bytes == std::string(1024, 'h'));
    write_group more;
    more.append = {entry(502, 4, encode_txn(one("last", "{}")))};
    REQUIRE(bool(disk->write(more)));
  }
  const auto back = look(dir.path);
  CHECK(back.hash == i.hash);
  CHECK(back.state.base == log_position{log_index{500}, log_term{4}});
  CHECK(back.state.log.size() == 2);
  CHECK(back.state.hard.term == log_term{4});
  CHECK(back.state.applied.config == group_of({1, 2, 3}));
  CHECK(back.state.damage.empty());
  CHECK(dir.count("data-") == 1);
}

TEST_CASE("a snapshot that is damaged changes nothing") {
  store_dir dir;
  auto disk = open(dir.path);
  written_store s{*disk, {}};
  s.run(one("old", "{}"));
  auto i = image_of(500, 300);
  auto bent = *(*i.pieces)[2];
  bent[777] ^= 1;
  (*i.pieces)[2] = std::make_shared<const std::string>(bent);
  auto r = disk->write(group_with(i));
  REQUIRE_FALSE(bool(r));
  CHECK(r.error().message.find("damaged at byte") != std::string::npos);
  s.run(one("old-2", "{}"));
  disk.reset();
  const auto back = look(dir.path);
  CHECK(back.hash == s.machine.snapshot()->hash());
  CHECK(dir.count("data-") == 1);
}

TEST_CASE("a life that ends in an install" * doctest::skip()) {
  auto disk = rocks_backend::open({begin_other_life(), "c", member_id{1}, group_of({1}), 0});
  const auto group = group_with(image_of(500, 300));
  die_later();
  const bool fine = disk && (*disk)->write(group);
  std::_Exit(fine ? 0 : 1);
}

TEST_CASE("killed at any step of an install, a member comes back with the old state or the new one") {
  const auto i = image_of(500, 300);
  int old_states = 0, new_states = 0;
  for (int n = 1;; ++n) {
    store_dir dir;
    std::uint64_t old_hash = 0;
    {
      auto disk = open(dir.path);
      written_store s{*disk, {}};
      for (int k = 0; k < 10; ++k)
        s.run(one("old-" + std::to_string(k), "{}"));
      write_group vote;
      vote.hard = hard_state{log_term{3}, member_id{2}, log_index{11}};
      REQUIRE(bool(disk->write(vote)));
      old_hash = s.machine.snapshot()->hash();
    }
    const int code = live_and_die("a life that ends in an install", dir.path, n);
    REQUIRE((code == 0 || code == fault_exit_code));
    const auto back = look(dir.path);
    if (back.hash == i.hash) {
      ++new_states;
      CHECK(back.state.base.index == log_index{500});
      CHECK(back.state.log.empty());
      CHECK(back.state.hard.term == log_term{4});
    } else {
      ++old_states;
      REQUIRE(back.hash == old_hash);
      CHECK(back.state.log.size() == 10);
      CHECK(back.state.hard.term == log_term{3});
      CHECK(back.state.hard.vote == member_id{2});
    }
    CHECK(back.state.damage.empty());
    CHECK(dir.count("data-") == 1);
    if (code == 0) break;
    REQUIRE(n < 100);
  }
  MESSAGE(old_states << " kills before, " << new_states << " at or after the moment it counts");
  CHECK(old_states >= 5);
  CHECK(new_states >= 3);
}

TEST_CASE("a life that ends in a vote" * doctest::skip()) {
  auto disk = rocks_backend::open({begin_other_life(), "c", member_id{1}, group_of({1}), 0});
  write_group vote;
  vote.hard = hard_state{log_term{7}, member_id{3}, {}};
  die_later();
  const bool fine = disk && (*disk)->write(vote);
  std::_Exit(fine ? 0 : 1);
}

TEST_CASE("the vote is on disk before anything else, and never falls back") {
  for (int n = 1;; ++n) {
    store_dir dir;
    { open(dir.path); }
    const int code = live_and_die("a life that ends in a vote", dir.path, n);
    const auto back = look(dir.path);
    const bool before = back.state.hard == hard_state{};
    const bool after = back.state.hard.term == log_term{7} && back.state.hard.vote == member_id{3};
    REQUIRE((before || after));
    if (code == 0) {
      CHECK(after);
      break;
    }
    REQUIRE(code == fault_exit_code);
    REQUIRE(n < 20);
  }
}

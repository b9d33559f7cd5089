#include "store/rescue.hpp"
#include "store/snapshot_codec.hpp"
#include "tests/unit/store/store_dir.hpp"

using namespace troupe;
using namespace troupe::test;

namespace {

constexpr revision noon = 1'800'000'000'000'000;
const std::chrono::system_clock::time_point at_noon{std::chrono::microseconds{noon}};

void write_backup(const std::string& path, state_machine& m, const log_position& at) {
  snapshot_writer w({"old-cluster", {at, m.rev(), group_of({1, 2, 3})}}, m.snapshot());
  std::ofstream out(path, std::ios::binary);
  std::uint64_t offset = 0;
  for (bool last = false; !last;) {
    auto p = w.at(offset, 5000);
    out.write(p.bytes->data(), static_cast<std::streamsize>(p.bytes->size()));
    offset += p.bytes->size();
    last = p.last;
  }
}

} // namespace

TEST_CASE("a store made from a backup holds its objects at a revision no one has seen, in a group of one") {
  store_dir dir;
  state_machine m;
  std::vector<change_record> changes;
  for (std::uint64_t i = 2; i < 60; ++i)
    m.apply(entry(i, 3, encode_txn(one("p" + std::to_string(i), "{}"))), changes);
  const auto file = dir.path + "/backup";
  write_backup(file, m, {log_index{59}, log_term{3}});
  const auto told = check_snapshot_file(file);
  REQUIRE(bool(told));
  CHECK(told->cluster_id == "old-cluster");
  CHECK(told->objects == 58);
  CHECK(told->bytes == std::filesystem::file_size(file));

  const backend_options options{dir.path + "/store", "new-cluster", member_id{1}, {}, 0};
  auto done = restore_store(file, options, at_noon);
  REQUIRE_MESSAGE(bool(done), done.error().message);
  CHECK(done->objects == 58);
  CHECK(done->rev_after == noon);
  auto again = restore_store(file, options, at_noon);
  REQUIRE_FALSE(bool(again));
  CHECK(again.error().message.find("holds a store already") != std::string::npos);

  auto disk = rocks_backend::open(options);
  REQUIRE(bool(disk));
  state_machine back;
  auto found = (*disk)->recover(back);
  REQUIRE(bool(found));
  CHECK(back.rev() == noon);
  CHECK(back.get({"pods", "ns", "p7"})->mod == m.get({"pods", "ns", "p7"})->mod);
  CHECK(found->applied.config == group_of({1}));
  CHECK(found->hard.term == log_term{4});
  CHECK(found->base.index == log_index{59});
  CHECK((*disk)->get_at({"pods", "ns", "p7"}, m.rev()).error().code == 410);
  CHECK(rescued_at(*back.snapshot()) == noon);
}

TEST_CASE("every rescue goes on at revisions that no former history reached") {
  using std::chrono::microseconds;
  CHECK(revision_after_rescue(4711, at_noon) == noon);
  // The same backup once more, after the state that was made of it first has lived for a second.
  CHECK(revision_after_rescue(4711, at_noon + microseconds{1000000}) == noon + 1000000);
  // A backup of that state: later than it, and than all it can have written.
  CHECK(revision_after_rescue(noon + 30000, at_noon + microseconds{1000000}) == noon + 1000000);
  // A clock that is of no use.
  CHECK(revision_after_rescue(4711, {}) == 4711 + revision_bump);
  CHECK(revision_after_rescue(noon, at_noon - microseconds{1}) == noon + revision_bump);
  CHECK(rescued_at(*state_machine{}.snapshot()) == 0);
}

TEST_CASE("a damaged or missing backup makes nothing") {
  store_dir dir;
  state_machine m;
  std::vector<change_record> changes;
  m.apply(entry(2, 3, encode_txn(one("p", std::string(9000, 'x')))), changes);
  const auto file = dir.path + "/backup";
  write_backup(file, m, {log_index{2}, log_term{3}});
  flip(file, 0.5);
  const backend_options options{dir.path + "/store", "new-cluster", member_id{1}, {}, 0};
  auto r = restore_store(file, options, at_noon);
  REQUIRE_FALSE(bool(r));
  CHECK(r.error().message.find("damaged at byte") != std::string::npos);
  CHECK(r.error().message.find(file) != std::string::npos);
  std::filesystem::resize_file(file, 5000);
  CHECK(restore_store(file, options, at_noon).error().message.find("damaged at byte") == std::string::npos);
  CHECK(restore_store(dir.path + "/none", options, at_noon).error().message.find("cannot read") != std::string::npos);
  CHECK_FALSE(holds_store(options.dir));
}

TEST_CASE("the last survivor becomes a group of one with all of its log, in a higher term") {
  store_dir dir;
  const backend_options options{dir.path, "c", member_id{2}, group_of({1, 2, 3}), 0};
  std::uint64_t hash = 0;
  {
    auto disk = rocks_backend::open(options);
    REQUIRE(bool(disk));
    written_store s{**disk, {}, group_of({1, 2, 3})};
    for (int i = 0; i < 20; ++i)
      s.run(one(std::to_string(i), "{}"));
    write_group g;
    // Acknowledged by a majority, but this member has not heard of the commit; then a membership change under way.
    g.append = {entry(22, 8, encode_txn(one("tail", "{}"))),
                {log_index{23}, log_term{8}, entry_kind::members, std::make_shared<const std::string>("any")}};
    g.hard = hard_state{log_term{9}, member_id{3}, log_index{21}};
    REQUIRE(bool((*disk)->write(g)));
    std::vector<change_record> changes;
    s.machine.apply(g.append[0], changes);
    s.machine.set_revision(noon);
    s.machine.load(rescue_table, rescue_mark(noon));
    hash = s.machine.snapshot()->hash();
    CHECK(recover_alone(options, at_noon).error().message.find("in use") != std::string::npos);
  }
  auto done = recover_alone(options, at_noon);
  REQUIRE_MESSAGE(bool(done), done.error().message);
  CHECK(done->replayed == 2);
  CHECK(done->was == group_of({1, 2, 3}));
  CHECK(done->objects == 21);
  auto disk = rocks_backend::open(options);
  REQUIRE(bool(disk));
  state_machine back;
  auto found = (*disk)->recover(back);
  REQUIRE(bool(found));
  CHECK(back.snapshot()->hash() == hash);
  CHECK(found->applied.config == group_of({2}));
  CHECK(found->hard.term == log_term{10});
  CHECK(found->log.empty());
  CHECK(found->base == log_position{log_index{23}, log_term{8}});
}

TEST_CASE("nothing is recovered from an empty or a damaged directory") {
  store_dir dir;
  backend_options options{dir.path + "/none", "c", member_id{1}, group_of({1, 2, 3}), 0};
  CHECK(recover_alone(options, at_noon).error().message.find("holds no store") != std::string::npos);
  options.dir = dir.path;
  {
    auto disk = rocks_backend::open(options);
    REQUIRE(bool(disk));
    REQUIRE(bool((*disk)->condemn("it differs")));
  }
  CHECK(recover_alone(options, at_noon).error().message.find("another survivor") != std::string::npos);
}

#include "actors/support/member_directory.hpp"

#include <algorithm>

namespace troupe {

namespace {

constexpr std::string_view record_table = "troupe.allocations";
constexpr std::string_view record_name = "members";

store::object_key key_of(std::string_view name) { return {std::string(masters_table), "", std::string(name)}; }

std::uint64_t highest_id(const store::view& state) {
  std::uint64_t highest = 0;
  if (const auto o = state.get(record_table, "", record_name))
    highest = static_cast<std::uint64_t>(std::max<std::int64_t>(0, jq::num(o->parse(), {"highest"})));
  for (const auto& m : list_masters(state))
    highest = std::max(highest, m.id.v);
  return highest;
}

void write_highest(store::txn& change, const store::view& state, std::uint64_t highest) {
  const auto was = state.get(record_table, "", record_name);
  store::put p;
  p.key = {std::string(record_table), "", std::string(record_name)};
  p.bytes = json::serialize(json::object{{"metadata", json::object{{"name", "members"}}}, {"highest", highest}});
  change.compares.push_back({p.key, was ? was->mod : 0});
  change.puts.push_back(std::move(p));
}

bool is_port(std::int64_t n) { return n > 0 && n < 65536; }

constexpr std::string_view wish_words[] = {"voter", "learner", "gone"};

} // namespace

std::string_view to_string(member_wish w) noexcept { return wish_words[static_cast<std::size_t>(w)]; }

json::object to_json(const master_row& m) {
  return {{"id", m.id.v},
          {"name", m.name},
          {"address", m.address},
          {"apiPort", m.api_port},
          {"actorsPort", m.actors_port},
          {"priority", m.priority},
          {"want", to_string(m.want)},
          {"joining", m.joining},
          {"by", m.by}};
}

std::optional<master_row> read_master(const json::value& doc) {
  master_row m;
  const auto id = jq::num(doc, {"id"}), api = jq::num(doc, {"apiPort"}, 6443),
             actors = jq::num(doc, {"actorsPort"}, 6444);
  m.name = jq::str(doc, {"name"});
  m.address = jq::str(doc, {"address"});
  if (id <= 0 || m.name.empty() || !is_port(api) || !is_port(actors)) return std::nullopt;
  m.id = store::member_id{static_cast<std::uint64_t>(id)};
  m.api_port = static_cast<std::uint16_t>(api);
  m.actors_port = static_cast<std::uint16_t>(actors);
  m.priority = static_cast<int>(jq::num(doc, {"priority"}));
  const auto want = jq::str(doc, {"want"}, "voter");
  for (std::size_t i = 0; i < std::size(wish_words); ++i)
    if (want == wish_words[i]) m.want = static_cast<member_wish>(i);
  m.joining = jq::flag(doc, {"joining"});
  m.by = jq::str(doc, {"by"});
  return m;
}

std::vector<master_row> list_masters(const store::view& state) {
  std::vector<master_row> out;
  state.scan(masters_table, {}, [&](const store::object_ptr& o) {
    if (auto m = read_master(o->parse())) out.push_back(std::move(*m));
    return true;
  });
  std::sort(out.begin(), out.end(), [](const master_row& a, const master_row& b) { return a.id < b.id; });
  return out;
}

std::optional<master_row> find_master(const store::view& state, store::member_id id) {
  for (auto& m : list_masters(state))
    if (m.id == id) return std::move(m);
  return std::nullopt;
}

std::optional<master_row> find_master(const store::view& state, std::string_view name) {
  const auto o = state.get(masters_table, "", name);
  return o ? read_master(o->parse()) : std::nullopt;
}

void put_master(store::txn& change, const store::view& state, const master_row& m) {
  const auto was = state.get(masters_table, "", m.name);
  auto doc = to_json(m);
  doc["metadata"] = json::object{{"name", m.name}};
  store::put p;
  p.key = key_of(m.name);
  p.bytes = json::serialize(doc);
  change.compares.push_back({p.key, was ? was->mod : 0});
  change.puts.push_back(std::move(p));
}

void erase_master(store::txn& change, const store::view& state, std::string_view name) {
  const auto was = state.get(masters_table, "", name);
  if (!was) return;
  change.compares.push_back({key_of(name), was->mod});
  change.erases.push_back({key_of(name)});
}

store::member_id take_member_id(store::txn& change, const store::view& state, store::member_id above) {
  const auto next = std::max(highest_id(state), above.v) + 1;
  write_highest(change, state, next);
  return store::member_id{next};
}

void note_member_ids(store::txn& change, const store::view& state, const std::vector<master_row>& rows) {
  auto highest = highest_id(state);
  for (const auto& m : rows)
    highest = std::max(highest, m.id.v);
  write_highest(change, state, highest);
}

} // namespace troupe

// member_directory: who the masters are: one row per master in the replicated store, from which each of them, and the
//                   API's own Endpoints, learn names and addresses.
// Owner:  plain values; rows are written through the log only, each with a compare.
// Units:  addresses as text, ports 1-65535; priorities as in raft_options.
// Errors: a row that cannot be read is skipped.
// Source: ours. The configuration of the Raft group says who votes; the directory says how they are reached and called.
#pragma once

#include "store/log_entry.hpp"
#include "store/txn.hpp"
#include "store/view.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// What the leader is to make of a member.
enum class member_wish : std::uint8_t { voter, learner, gone };
std::string_view to_string(member_wish w) noexcept;

struct master_row {
  store::member_id id;
  std::string name, address;
  std::uint16_t api_port = 6443, actors_port = 6444;
  int priority = 0;
  member_wish want = member_wish::voter;
  /// Not yet what it is wanted to be. Without it, a row whose member is not in the group is an old one and is erased.
  bool joining = false;
  std::string by; // the order that made the row
  friend bool operator==(const master_row&, const master_row&) = default;
};

/// Keyed by name, without namespace. Not a resource of the API.
inline constexpr std::string_view masters_table = "masters.troupe.io";

/// In order of their ids.
std::vector<master_row> list_masters(const store::view& state);
std::optional<master_row> find_master(const store::view& state, store::member_id id);
std::optional<master_row> find_master(const store::view& state, std::string_view name);

json::object to_json(const master_row& m);
std::optional<master_row> read_master(const json::value& doc);

/// Adds the row, or replaces it if it is as `state` shows it.
void put_master(store::txn& change, const store::view& state, const master_row& m);
/// Erases the row if it is as `state` shows it.
void erase_master(store::txn& change, const store::view& state, std::string_view name);
/// Ids are never given twice, not even after a removal: the record of the highest one is compared and raised. `above`:
/// the highest of the group's configuration, which may hold members without a row.
store::member_id take_member_id(store::txn& change, const store::view& state, store::member_id above);
/// Likewise, for ids that were given by a config.
void note_member_ids(store::txn& change, const store::view& state, const std::vector<master_row>& rows);

} // namespace troupe

// member_planner: what to do next about the masters: from an order, the directory and the state of the group to a
//                 refusal, a change of the directory or a step of the Raft configuration.
// Owner:  free functions; pure.
// Units:  entries, milliseconds.
// Errors: refusals are sentences that name who is meant and what to do.
// Source: Raft thesis 4.1 to 4.3 and 4.2.1 (learners catch up first); ours: level-triggered by the directory.
#pragma once

#include "actors/support/member_directory.hpp"
#include "api/status.hpp"

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe::node {

namespace limits {
inline constexpr std::chrono::milliseconds contact_max{5000}; // a member not heard of for longer counts as down
inline constexpr std::uint64_t promotion_lag_max = 256;       // entries a learner may lack when it becomes a voter
} // namespace limits

struct member_order {
  enum class op : std::uint8_t { list, add, remove, promote, transfer } what = op::list;
  master_row row;       // add: name, address and ports; the others: name (transfer: empty means whoever is best)
  bool learner = false; // add: stays one until it is promoted
};
json::object to_json(const member_order& o);
std::optional<member_order> read_order(const json::value& doc);

/// The group as its Raft actor tells it (get_raft_status).
struct group_report {
  struct member {
    store::member_id id;
    bool voter = false, self = false;
    std::optional<std::uint64_t> match;
    std::optional<std::int64_t> contact_ms; // since the leader heard of it; only the leader knows
    bool up() const { return self || (contact_ms && *contact_ms <= limits::contact_max.count()); }
  };
  store::member_id self, leader;
  std::uint64_t term = 0, last = 0;
  bool leads = false;
  std::vector<member> members;

  const member* find(store::member_id id) const;
  std::size_t voters() const;
};
group_report read_report(const json::value& doc);

/// What an order begins with. `by` is its own name: an order that another leader began is recognized by it.
struct order_start {
  std::optional<status> refused;
  std::optional<store::txn> change; // of the directory; empty: nothing left to write
  bool done = false;                // nothing to wait for either
};
order_start begin_order(const member_order& o, const std::string& by, const store::view& state, const group_report& g);

/// True for a master that is to be added and that the leader has not heard of: it does not run, or is elsewhere.
bool unheard(const member_order& o, const store::view& state, const group_report& g);
/// True when what the order wants is so.
bool fulfilled(const member_order& o, const store::view& state, const group_report& g);

/// The next step towards what the directory wants, one at a time.
struct member_step {
  enum class kind : std::uint8_t { none, add_learner, promote, remove, hand_over, write } what = kind::none;
  store::member_id who;
  store::txn change;    // write
  bool pending = false; // something is wanted that is not so yet
};
member_step next_step(const store::view& state, const group_report& g);

/// The answer to `list`, as told by the member `g` comes from.
json::object member_list(const store::view& state, const group_report& g);
/// Why the number of voters could be better chosen; empty: it is fine.
std::string even_warning(std::size_t voters);

} // namespace troupe::node

// observer: turns what one life of a member stores, applies and says into records of the history.
// Owner:  one life of a master; called on its actors' threads, which are all the world's.
// Units:  -
// Errors: -
// Source: ours. The state hash is a sum over objects, so that one change costs one object and not all.
#pragma once

#include "actors/raft/group_board.hpp"
#include "store/member_disk.hpp"
#include "store/state_view.hpp"
#include "tests/sim/disk.hpp"
#include "tests/sim/recorder.hpp"

#include <span>

namespace troupe::sim {

std::uint64_t hash_of_object(std::string_view table, const store::object& o);
std::uint64_t hash_of_state(const store::view& v);

/// Of the whole group: which entries' changes are in the history already.
struct first_seen {
  log_index upto;
};

class observer {
public:
  observer(recorder& r, std::shared_ptr<first_seen> first, member_id who, std::uint32_t life)
      : r_(r), first_(std::move(first)), who_(who), life_(life) {}

  void recovered(const store::recovered_state& s, const platter& p);
  void written(const store::write_group& g);
  void applied(const store::log_entry& e, std::span<const store::change_record> changes, revision rev);
  void installed(const store::applied_mark& at, const store::view& v);
  void said(const group_status& s);

  log_index applied_index() const { return applied_; }
  std::uint64_t state() const { return state_; }

private:
  void note_changes(const store::log_entry& e, std::span<const store::change_record> changes);

  recorder& r_;
  std::shared_ptr<first_seen> first_;
  member_id who_;
  std::uint32_t life_;
  std::uint64_t state_ = 0;
  log_index applied_;
};

} // namespace troupe::sim

// mirror: a worker's copy of what its node may see of the cluster: the view and watch windows its components read.
// Owner:  the cluster link's actor writes; `state` and `hub` are read from any thread.
// Units:  revisions are the cluster's. What came before a commit becomes visible with it, all at once.
// Errors: frames in an order that makes no sense are refused; the session is then worth nothing: another is made.
// Source: ours; the guarantees are those of store/view.hpp and store/watch_hub.hpp.
//
// Worked example: the mirror stands at 40 and holds Secret s1 (revision 12). After a switch the new master sends
//   table secrets: s2 (revision 7)      events: services MODIFIED a (44)      commit 45
// The view moves from 40 to 45 in one step. Watchers of services see a at 44; watchers of secrets see s2 ADDED and s1
// DELETED at 45, although s2 is an old object: they may see it only now.
#pragma once

#include "actors/link/link_codec.hpp"
#include "store/watch_window.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::link {

class mirror {
public:
  mirror();

  std::shared_ptr<store::published> state() const { return published_; }
  std::shared_ptr<store::watch_hub> hub() const { return window_; }
  /// Everything up to here has been seen; 0: nothing yet, or nothing that counts.
  store::revision cursor() const noexcept { return starting_over_ ? 0 : rev_; }
  /// Tables taken over whole, by all commits.
  std::uint64_t relists() const noexcept { return relists_; }

  /// Forgets what was not committed: another feed begins.
  void begin();
  /// What it holds is none of the cluster's history. It stays visible until the next commit, which replaces it whole,
  /// at whatever revision: readers of the hub are told that they are too old, or must begin anew.
  void start_over();
  bool starting_over() const noexcept { return starting_over_; }
  result<void> on(const table_begin& m);
  result<void> on(table_objects&& m);
  result<void> on(const table_end& m);
  result<void> on(feed_events&& m);
  result<void> on(const feed_commit& m);

private:
  struct table {
    std::shared_ptr<const std::string> name;
    store::tree objects;
  };
  /// Changes of one revision; `at` differs from the objects' own revisions where they became visible later.
  struct step {
    store::revision at = 0;
    std::vector<store::change_record> changes;
  };
  struct whole_table {
    std::string name;
    std::vector<store::object_ptr> objects;
  };

  table& table_of(const std::string& name);
  void apply(const feed_event& e, std::vector<step>& out);
  void replace(const whole_table& t, store::revision upto, std::vector<step>& out);
  void put(table& t, store::object_ptr o, step& out);
  void erase(table& t, const store::object& last, step& out);
  void publish(std::vector<step> steps, store::revision upto);
  void renew(store::revision upto);
  std::vector<store::table_root> roots() const;

  std::map<std::string, table, std::less<>> tables_;
  store::tree::stamp stamp_ = 1;
  store::revision rev_ = 0;
  std::uint64_t relists_ = 0;
  std::shared_ptr<store::published_view> published_;
  std::shared_ptr<store::watch_window> window_;
  // Not committed yet.
  std::vector<feed_event> events_;
  std::vector<whole_table> whole_;
  bool in_table_ = false, starting_over_ = false;
};

} // namespace troupe::link

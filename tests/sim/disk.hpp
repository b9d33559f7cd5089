// disk: what one member keeps, in memory: a platter survives its process, a sim_disk is one process's way to it.
// Owner:  the platter: its member, for all its lives. The sim_disk: the Raft actor of one life.
// Units:  one write() is durable as a whole when it returns; what a crash interrupts is gone as a whole.
// Errors: as store/member_disk.hpp states: 507 while full, damage by recover() after a corrupt sector.
// Source: store/member_disk.hpp, as rocks_backend fulfils it.
#pragma once

#include "store/member_disk.hpp"
#include "tests/sim/chance.hpp"
#include "tests/sim/history.hpp"

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::sim {

/// How a disk misbehaves now; set by the nemesis.
struct disk_mood {
  instant sync_min{std::chrono::microseconds(100)}, sync_max{std::chrono::milliseconds(2)};
  bool full = false;
  double fails = 0; // of writes, with an error that goes away
  enum class crash : std::uint8_t { none, before_write, after_write } next = crash::none;
  unsigned crash_after = 0; // that many writes from now
};

struct platter {
  struct version {
    store::object_ptr object;
    revision rev = 0;
    bool deleted = false;
  };
  std::string cluster_id;
  store::hard_state hard;
  store::log_position base;
  std::deque<store::log_entry> log;
  store::applied_mark applied;
  std::map<std::string, std::vector<version>, std::less<>> objects; // table \0 namespace \0 name
  std::deque<store::change_record> history;
  revision history_floor = 0; // complete after it
  revision horizon = 0;
  std::string damage;    // reported by recover(), until a snapshot is installed
  std::string condemned; // the next recover() corrupts
  disk_mood mood;
  std::uint64_t writes = 0;

  /// As the founders make it, or (no voters) as one who joins does.
  static std::shared_ptr<platter> make(std::string cluster_id, const store::group_config& first);
  /// A sector is lost. As rocks_backend: nothing is believed any more but term, vote and configuration, until a
  /// snapshot from the others has been installed.
  void corrupt();
  log_index last() const { return log.empty() ? base.index : log.back().index; }
};

/// Told of what happens to the disk, on the writer's thread.
struct disk_watcher {
  std::function<void(const store::recovered_state&)> recovered;
  std::function<void(const store::write_group&)> written;
  std::function<void()> crash; // the process must end with this message
};

class sim_disk final : public store::member_disk {
public:
  sim_disk(std::shared_ptr<platter> p, chance random, disk_watcher watcher)
      : p_(std::move(p)), random_(random), watcher_(std::move(watcher)) {}

  result<store::recovered_state> recover(store::state_machine& objects) override;
  result<store::history_window> read_history(const store::state_machine& objects, std::size_t events_max,
                                             std::size_t bytes_max) override;
  result<void> write(const store::write_group& g) override;
  result<void> room() const override;
  result<store::object_ptr> get_at(const store::key_ref& k, revision rev) override;
  result<void> scan_at(std::string_view table, std::string_view ns, std::string_view after_ns,
                       std::string_view after_name, revision rev,
                       const std::function<bool(const store::object_ptr&)>& fn) override;
  result<bool> compact(revision horizon) override;
  revision horizon() const noexcept override { return p_->horizon; }
  const std::string& cluster_id() const noexcept override { return p_->cluster_id; }
  result<void> condemn(const std::string& why) override;
  result<void> close() override;

  /// How long the next write takes.
  instant latency() { return random_.between(p_->mood.sync_min, p_->mood.sync_max); }
  /// The process has ended: nothing reaches the platter any more.
  void cut_off() { gone_ = true; }

private:
  bool crashes_now();
  void put_log(const store::write_group& g);
  void put_objects(const store::write_group& g);
  result<void> install(const store::write_group& g);

  std::shared_ptr<platter> p_;
  chance random_;
  disk_watcher watcher_;
  bool gone_ = false;
};

} // namespace troupe::sim

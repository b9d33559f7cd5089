// rocks_impl: the inside of rocks_backend, shared by its files: generations, recovery, versions, installed snapshots.
// Owner:  rocks_backend.
// Units:  -
// Errors: as rocks_backend.
// Source: ours.
//
// Layout of a data directory: `lock` (held while it is open), `member` (member_file.hpp) and `data-<generation>`, one
// RocksDB directory. The generation in the member file is the one in use; replacing everything at once (an installed
// snapshot, an empty start after damage) means to make the next generation beside it and to rename the member file.
// Whatever else lies there is left over from a crash, or set aside as `damaged-<generation>` for inspection.
#pragma once

#include "store/member_file.hpp"
#include "store/rocks_backend.hpp"
#include "store/rocks_db.hpp"

#include <rocksdb/write_batch.h>

#include <atomic>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <string>

namespace troupe::store {

class dir_lock {
public:
  static result<dir_lock> take(const std::string& dir);
  dir_lock() = default;
  dir_lock(dir_lock&& o) noexcept : fd_(std::exchange(o.fd_, -1)) {}
  dir_lock& operator=(dir_lock&& o) noexcept {
    std::swap(fd_, o.fd_);
    return *this;
  }
  ~dir_lock();

private:
  explicit dir_lock(int fd) : fd_(fd) {}
  int fd_ = -1;
};

struct rocks_backend::impl {
  backend_options opt;
  dir_lock lock;
  member_record who;            // as in the member file; changed by the writer, but for `condemned`
  std::mutex who_lock;          // guards changes against each other
  std::unique_ptr<rocks_db> db; // null only while the disk refuses to open it
  log_index last_on_disk;
  log_position base;
  std::atomic<revision> horizon{0};
  bool closed = false;
  bool broken = false;           // the last write failed: heal before the next
  mutable std::shared_mutex use; // exclusive only while another database takes the place of this one

  // rocks_generations.cpp
  result<void> open();
  bool repairable() const;
  std::string data_dir(std::uint64_t generation) const;
  result<void> adopt_old_layout();
  result<void> find_member();
  result<void> member_from_data();
  result<void> begin_new();
  result<void> tidy_generations();
  result<void> open_generation();
  result<void> check_data_identity();
  result<void> make_generation(std::uint64_t generation, const applied_mark& applied, const log_position& from,
                               std::unique_ptr<rocks_db>& out);
  result<void> set_aside(const std::string& why);
  /// The only way in which the member file changes: one edit after the other, on disk before it counts.
  result<void> change_member(const std::function<void(member_record&)>& edit);
  status lost_identity(const std::string& why) const;

  // rocks_recover.cpp
  result<recovered_state> recover(state_machine& objects);
  result<void> recover_meta(recovered_state& out);
  result<void> recover_log(recovered_state& out);
  result<void> recover_objects(state_machine& objects);
  result<history_window> read_history(const state_machine& objects, std::size_t events_max, std::size_t bytes_max);
  result<object_ptr> version(const key_ref& k, revision rev);

  // rocks_backend.cpp
  result<void> room(std::uint64_t bytes) const;
  result<void> free_at_least(std::uint64_t bytes) const;
  result<void> may_reopen() const;
  result<void> ensure_space(bool adds, std::uint64_t bytes);
  result<void> heal();
  result<void> remember(const write_group& g);
  result<void> remember_hard(const write_group& g);
  void add_log(rocksdb::WriteBatch& b, const rocks_db& to, const write_group& g);
  void add_changes(rocksdb::WriteBatch& b, const rocks_db& to, const std::vector<change_record>& changes);
  void add_all(rocksdb::WriteBatch& b, const rocks_db& to, const write_group& g);
  status write_failed(const status& s);

  // rocks_install.cpp
  result<void> install(const write_group& g);
};

struct history_item {
  event_type what = event_type::added;
  key_ref key;
  revision before = 0;
};
bool parse_history(std::string_view v, std::vector<history_item>& out);

} // namespace troupe::store

// rocks_db: one RocksDB directory with our four families: opened with our options, closed when destroyed.
// Owner:  rocks_backend.
// Units:  memory: 4 MiB of blocks cached; at most three write buffers per family.
// Errors: damage (see rocks_meta.hpp), 507 no space, 409 in use or of another version.
// Source: RocksDB 7.8.
#pragma once

#include "api/status.hpp"
#include "store/rocks_meta.hpp"

#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/options.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace troupe::store {

enum family { f_meta, f_log, f_objects, f_history, f_count };

inline rocksdb::Slice slice(std::string_view s) { return {s.data(), s.size()}; }
inline std::string_view text(const rocksdb::Slice& s) { return {s.data(), s.size()}; }

class rocks_db {
public:
  /// `fresh`: the directory must not hold a database yet; otherwise it must.
  static result<std::unique_ptr<rocks_db>> open(const std::string& dir, bool fresh);
  ~rocks_db();
  rocks_db(const rocks_db&) = delete;

  rocksdb::DB& db() noexcept { return *db_; }
  rocksdb::ColumnFamilyHandle* operator[](family f) const noexcept { return cf_[f]; }
  const std::string& dir() const noexcept { return dir_; }

  result<std::optional<std::string>> meta(std::string_view key);
  /// Synced: of two writes under way a crash could leave the second without the first, and that would look like damage.
  result<void> write(rocksdb::WriteBatch& b);
  std::unique_ptr<rocksdb::Iterator> iterate(family f, const rocksdb::ReadOptions& o = {});
  /// What a failed call of RocksDB means for the caller.
  status failed(const rocksdb::Status& s) const;
  /// What an iterator that ended must say; `where` names what it was about to read.
  result<void> ended_well(const rocksdb::Iterator& it, const std::string& where) const;

  /// For files that are made outside and ingested into the objects.
  static rocksdb::Options file_options();

private:
  rocks_db() = default;
  std::string dir_;
  std::unique_ptr<rocksdb::Env> env_; // outlives the database
  rocksdb::DB* db_ = nullptr;
  std::vector<rocksdb::ColumnFamilyHandle*> cf_;
};

} // namespace troupe::store

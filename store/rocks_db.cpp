#include "store/rocks_db.hpp"

#include "store/rocks_log.hpp"
#include "store/rocks_wal.hpp"

#include <rocksdb/cache.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/table.h>
#include <rocksdb/write_batch.h>

#include <filesystem>

namespace troupe::store {

namespace {

rocksdb::ColumnFamilyOptions family_options(std::size_t write_buffer, bool compress,
                                            const std::shared_ptr<rocksdb::Cache>& cache) {
  rocksdb::ColumnFamilyOptions o;
  o.write_buffer_size = write_buffer;
  o.max_write_buffer_number = 3; // a flush under way does not stop writers
  o.arena_block_size = 256 << 10;
  o.compression = compress ? rocksdb::kLZ4Compression : rocksdb::kNoCompression;
  o.level_compaction_dynamic_level_bytes = true;
  rocksdb::BlockBasedTableOptions t;
  t.block_cache = cache;
  t.block_size = 16 << 10;
  t.cache_index_and_filter_blocks = true;
  t.format_version = 5;
  t.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  o.table_factory.reset(rocksdb::NewBlockBasedTableFactory(t));
  return o;
}

rocksdb::ColumnFamilyOptions objects_options(const std::shared_ptr<rocksdb::Cache>& cache) {
  return family_options(16 << 20, true, cache);
}

/// RocksDB would poll for space every few seconds, and meanwhile refuse us: we open it anew, before a write.
class healed_by_us final : public rocksdb::EventListener {
public:
  void OnErrorRecoveryBegin(rocksdb::BackgroundErrorReason, rocksdb::Status, bool* by_itself) override {
    *by_itself = false;
  }
};

rocksdb::DBOptions db_options(bool fresh) {
  rocksdb::DBOptions o;
  o.listeners.push_back(std::make_shared<healed_by_us>());
  o.create_if_missing = fresh;
  o.create_missing_column_families = true; // a crash while it was new leaves some out; what it lacks then tells that
  o.paranoid_checks = true;
  // A torn record at the very end was never acknowledged; damage anywhere else must be reported, not dropped.
  o.wal_recovery_mode = rocksdb::WALRecoveryMode::kTolerateCorruptedTailRecords;
  o.avoid_flush_during_recovery = true;
  o.max_total_wal_size = 32u << 20;
  o.max_background_jobs = 2;
  o.max_open_files = 128;
  o.max_file_opening_threads = 1;
  o.stats_dump_period_sec = 0;
  o.stats_persist_period_sec = 0;
  o.info_log_level = rocksdb::WARN_LEVEL;
  // A sync of the write-ahead log must not find a whole table file of dirty pages queued before it.
  o.bytes_per_sync = 1 << 20;
  o.strict_bytes_per_sync = true;
  return o;
}

/// Of "IO error: While pread offset 0 len 9: PATH: Input/output error". A disk that fails to take something new has not
/// lost anything.
bool unreadable(const std::string& why) {
  if (!why.ends_with("Input/output error")) return false;
  const auto what = why.substr(0, why.find(": ", why.find(": ") + 2));
  return what.find("read") != what.npos || what.find("opening") != what.npos;
}

status refused(const std::string& dir, const rocksdb::Status& s) {
  const auto why = s.ToString();
  if (s.IsCorruption()) return damaged(dir, why);
  if (s.IsNoSpace()) return errors::insufficient_storage("no space left in " + dir + " to open the store");
  for (const auto* sign : {"lock hold by current process", "/LOCK: Resource temporarily unavailable"})
    if (why.find(sign) != std::string::npos)
      return not_ours("the data directory " + dir + " is in use by another troupe process; stop that one first");
  // What RocksDB says of files that are gone, and of sectors that cannot be read.
  for (const auto* sign : {"No such file", "does not exist"})
    if (why.find(sign) != std::string::npos) return damaged(dir, why);
  if (unreadable(why)) return damaged(dir, why);
  if (s.IsInvalidArgument())
    return not_ours("the data directory " + dir + " was written by a newer or different version: " + why);
  return errors::internal("cannot open the store in " + dir + ": " + why);
}

} // namespace

result<std::unique_ptr<rocks_db>> rocks_db::open(const std::string& dir, bool fresh) {
  if (!fresh && !std::filesystem::exists(dir + "/CURRENT")) return damaged(dir, "the file CURRENT is missing");
  auto cache = rocksdb::NewLRUCache(4 << 20, 2);
  std::vector<rocksdb::ColumnFamilyDescriptor> families{
      {rocksdb::kDefaultColumnFamilyName, family_options(1 << 20, false, cache)},
      {"log", family_options(8 << 20, false, cache)},
      {"objects", objects_options(cache)},
      {"history", family_options(4 << 20, true, cache)}};
  std::unique_ptr<rocks_db> out(new rocks_db);
  out->dir_ = dir;
  std::error_code ec;
  std::filesystem::create_directories(dir, ec);
  out->env_ = env_with_grown_logs();
  auto options = db_options(fresh);
  options.env = out->env_.get();
  options.info_log = rocks_log(dir);
  const auto s = rocksdb::DB::Open(options, dir, families, &out->cf_, &out->db_);
  if (!s.ok()) return refused(dir, s);
  return out;
}

rocks_db::~rocks_db() {
  if (!db_) return;
  for (auto* h : cf_)
    db_->DestroyColumnFamilyHandle(h);
  db_->Close();
  delete db_;
}

rocksdb::Options rocks_db::file_options() { return {db_options(false), objects_options(nullptr)}; }

result<std::optional<std::string>> rocks_db::meta(std::string_view key) {
  std::string v;
  const auto s = db_->Get({}, cf_[f_meta], slice(key), &v);
  if (s.IsNotFound()) return std::optional<std::string>{};
  if (!s.ok()) return damaged(dir_ + ": meta/" + std::string(key), s.ToString());
  return std::optional<std::string>(std::move(v));
}

result<void> rocks_db::write(rocksdb::WriteBatch& b) {
  rocksdb::WriteOptions w;
  w.sync = true;
  const auto s = db_->Write(w, &b);
  return s.ok() ? result<void>{} : result<void>{failed(s)};
}

std::unique_ptr<rocksdb::Iterator> rocks_db::iterate(family f, const rocksdb::ReadOptions& o) {
  return std::unique_ptr<rocksdb::Iterator>(db_->NewIterator(o, cf_[f]));
}

status rocks_db::failed(const rocksdb::Status& s) const {
  if (s.IsNoSpace())
    return errors::insufficient_storage("no space left in " + dir_ +
                                        ": writes are refused until there is; reads go on");
  if (s.IsCorruption()) return damaged(dir_, s.ToString());
  return errors::internal("the store cannot work in " + dir_ + ": " + s.ToString());
}

result<void> rocks_db::ended_well(const rocksdb::Iterator& it, const std::string& where) const {
  if (it.status().ok()) return {};
  return damaged(dir_ + ": " + where, it.status().ToString());
}

} // namespace troupe::store

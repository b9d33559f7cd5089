#include "store/rocks_impl.hpp"
#include "store/rocks_keys.hpp"

#include "store/fault_point.hpp"
#include "store/snapshot_codec.hpp"

#include <rocksdb/sst_file_writer.h>

#include <array>
#include <filesystem>

namespace troupe::store {

namespace {

constexpr std::uint64_t file_bytes = 64u << 20;

/// Writes objects that come in order into table files, which the database then takes over as they are.
class file_maker {
public:
  explicit file_maker(rocks_db& db) : db_(db), options_(rocks_db::file_options()) {}

  result<void> add(std::string_view table, const object& o) {
    if (!writer_)
      if (auto r = begin(); !r) return r;
    key_ = rocks::object_key(table, o.ns, o.name, o.mod);
    value_ = rocks::object_head(o, false);
    value_ += o.bytes;
    if (auto s = writer_->Put(slice(key_), slice(value_)); !s.ok()) return db_.failed(s);
    return writer_->FileSize() < file_bytes ? result<void>{} : end();
  }
  result<void> take_over() {
    if (writer_)
      if (auto r = end(); !r) return r;
    fault_point();
    if (files_.empty()) return {};
    rocksdb::IngestExternalFileOptions how;
    how.move_files = true;
    how.snapshot_consistency = false; // nobody reads here yet
    const auto s = db_.db().IngestExternalFile(db_[f_objects], files_, how);
    return s.ok() ? result<void>{} : result<void>{db_.failed(s)};
  }

private:
  result<void> begin() {
    files_.push_back(db_.dir() + "/installed-" + std::to_string(files_.size()) + ".sst");
    writer_ = std::make_unique<rocksdb::SstFileWriter>(rocksdb::EnvOptions(), options_);
    const auto s = writer_->Open(files_.back());
    return s.ok() ? result<void>{} : result<void>{db_.failed(s)};
  }
  result<void> end() {
    const auto s = writer_->Finish(); // syncs
    writer_.reset();
    fault_point();
    return s.ok() ? result<void>{} : result<void>{db_.failed(s)};
  }
  rocks_db& db_;
  rocksdb::Options options_;
  std::unique_ptr<rocksdb::SstFileWriter> writer_;
  std::vector<std::string> files_;
  std::string key_, value_;
};

result<void> fill(rocks_db& db, const snapshot_image& image, const std::string& cluster_id, const applied_mark& mark) {
  file_maker files(db);
  snapshot_reader in([&](std::string_view table, const object_ptr& o) { return files.add(table, *o); });
  for (const auto& piece : image)
    if (auto r = in.take(*piece); !r) return r;
  if (auto r = in.end(); !r) return r;
  const auto& head = *in.head();
  if (head.cluster_id != cluster_id)
    return not_ours("the snapshot is one of cluster " + head.cluster_id + ", not of cluster " + cluster_id);
  if (head.mark.at != mark.at || head.mark.rev != mark.rev)
    return errors::internal("the snapshot is one of entry " + std::to_string(head.mark.at.index.v) + ", not of entry " +
                            std::to_string(mark.at.index.v));
  return files.take_over();
}

} // namespace

/// Makes the next generation whole beside the one in use; renaming the member file is the moment it counts.
result<void> rocks_backend::impl::install(const write_group& g) {
  if (!g.applied) return errors::internal("a snapshot without its mark cannot be installed");
  const auto generation = who.generation + 1;
  std::unique_ptr<rocks_db> made;
  const auto refuse = [&](const status& why) {
    made.reset();
    std::error_code ec;
    std::filesystem::remove_all(data_dir(generation), ec);
    return why;
  };
  if (auto r = make_generation(generation, *g.applied, g.applied->at, made); !r) return refuse(r.error());
  if (auto r = fill(*made, *g.install, opt.cluster_id, *g.applied); !r) return refuse(r.error());
  rocksdb::WriteBatch b;
  auto old_hard = db->meta("hard");
  if (!old_hard) return refuse(old_hard.error());
  if (*old_hard) b.Put((*made)[f_meta], "hard", **old_hard);
  std::string mark;
  put_be64(mark, g.applied->rev);
  b.Put((*made)[f_meta], "horizon", mark);
  const auto was = std::pair(base, last_on_disk);
  base = g.applied->at;
  last_on_disk = base.index;
  add_all(b, *made, g);
  if (auto r = made->write(b); !r) {
    std::tie(base, last_on_disk) = was;
    return refuse(r.error());
  }
  fault_point();
  const auto named = change_member([&](member_record& m) {
    m.generation = generation;
    m.config = g.applied->config;
    m.damage.clear();
    if (!g.hard) return;
    m.term = g.hard->term;
    m.vote = g.hard->vote;
  });
  if (!named) {
    std::tie(base, last_on_disk) = was;
    // Renamed, but perhaps not durably: which generation a restart finds is open, so nothing more may be promised.
    auto found = read_member_file(opt.dir);
    closed = !found || !*found || (*found)->generation != generation - 1;
    return closed ? named.error() : refuse(named.error());
  }
  fault_point();
  if (!g.append.empty()) last_on_disk = g.append.back().index;
  if (g.drop_log_to) base = std::max(base, *g.drop_log_to);
  {
    std::lock_guard alone(use);
    horizon = g.applied->rev;
    std::swap(db, made);
  }
  made.reset();
  fault_point();
  return tidy_generations();
}

} // namespace troupe::store

#include "store/rocks_wal.hpp"

#include "store/limits.hpp"
#include "store/wal_end.hpp"

#include <rocksdb/file_system.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

namespace troupe::store {

namespace {

using rocksdb::IODebugContext;
using rocksdb::IOOptions;
using rocksdb::IOStatus;

/// As RocksDB does for its own files: what it does next depends on it.
IOStatus failed(const std::string& what, const std::string& path, int error) {
  const auto where = "while " + what + ": " + path;
  if (error == ENOENT) return IOStatus::PathNotFound(where, std::strerror(error));
  if (error != ENOSPC && error != EDQUOT) return IOStatus::IOError(where, std::strerror(error));
  auto s = IOStatus::NoSpace(where, std::strerror(error));
  s.SetRetryable(true);
  return s;
}

/// 0, or what went wrong; `done` is moved past what was written.
int write_at(int fd, std::string_view bytes, std::uint64_t& done) {
  while (!bytes.empty()) {
    const auto n = ::pwrite(fd, bytes.data(), bytes.size(), static_cast<off_t>(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    done += static_cast<std::uint64_t>(n);
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return 0;
}

class wal_file final : public rocksdb::FSWritableFile {
public:
  wal_file(std::string path, int fd) : path_(std::move(path)), fd_(fd) {}
  ~wal_file() override {
    if (fd_ >= 0) Close({}, nullptr).PermitUncheckedError();
  }

  using rocksdb::FSWritableFile::Append;
  /// What is written in part and fails is not counted: closing cuts it off.
  IOStatus Append(const rocksdb::Slice& data, const IOOptions&, IODebugContext*) override {
    auto end = size_;
    if (const int e = write_at(fd_, {data.data(), data.size()}, end); e != 0) return failed("writing", path_, e);
    size_ = end;
    if (size_ > ahead_) grow(data.size());
    return IOStatus::OK();
  }
  IOStatus Sync(const IOOptions&, IODebugContext*) override {
    return ::fdatasync(fd_) == 0 ? IOStatus::OK() : failed("syncing", path_, errno);
  }
  IOStatus Fsync(const IOOptions&, IODebugContext*) override {
    return ::fsync(fd_) == 0 ? IOStatus::OK() : failed("syncing", path_, errno);
  }
  bool IsSyncThreadSafe() const override { return true; }
  IOStatus Flush(const IOOptions&, IODebugContext*) override { return IOStatus::OK(); }
  IOStatus Truncate(std::uint64_t size, const IOOptions&, IODebugContext*) override {
    if (::ftruncate(fd_, static_cast<off_t>(size)) != 0) return failed("truncating", path_, errno);
    size_ = ahead_ = size;
    return IOStatus::OK();
  }
  std::uint64_t GetFileSize(const IOOptions&, IODebugContext*) override { return size_; }
  IOStatus Close(const IOOptions&, IODebugContext*) override {
    if (fd_ < 0) return IOStatus::OK();
    // Zeros that stay because this fails, or because nobody comes this far, are found when the log is read.
    const int cut = ::ftruncate(fd_, static_cast<off_t>(size_));
    static_cast<void>(cut);
    return ::close(std::exchange(fd_, -1)) == 0 ? IOStatus::OK() : failed("closing", path_, errno);
  }

private:
  /// Behind what was just written, so that both reach the disk with one sync. Never fails a write: where there is no
  /// room, the log is appended to as any other file.
  void grow(std::size_t written) {
    static const std::array<char, 64 * 1024> zeros{};
    const auto step = std::clamp<std::uint64_t>(ahead_, limits::wal_ahead_bytes_min, limits::wal_ahead_bytes_max);
    ahead_ = size_;
    if (!room_ || written > step / limits::wal_ahead_writes_min) return;
    const auto until = (size_ + step) / zeros.size() * zeros.size();
    while (room_ && ahead_ < until) {
      const auto n = std::min<std::uint64_t>(zeros.size() - ahead_ % zeros.size(), until - ahead_);
      room_ = write_at(fd_, {zeros.data(), n}, ahead_) == 0;
    }
  }

  std::string path_;
  int fd_;
  std::uint64_t size_ = 0;  // what was written
  std::uint64_t ahead_ = 0; // the file's end; behind size_ there are zeros
  bool room_ = true;
};

/// The number of a write-ahead log (NUMBER.log); RocksDB's own journal is called LOG.
std::optional<std::uint64_t> wal_number(std::string_view path) {
  const auto name = path.substr(path.rfind('/') + 1);
  if (!name.ends_with(".log") || name.size() > 4 + 18) return {};
  std::uint64_t n = 0;
  for (const char c : name.substr(0, name.size() - 4)) {
    if (c < '0' || c > '9') return {};
    n = n * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return n;
}

struct open_file {
  int fd;
  open_file(const std::string& path, int flags) : fd(::open(path.c_str(), flags | O_CLOEXEC)) {}
  open_file(const open_file&) = delete;
  ~open_file() {
    if (fd >= 0) ::close(fd);
  }
};

/// Up to `most` bytes from the start.
int read_all(int fd, std::size_t most, std::unique_ptr<char[]>& bytes, std::size_t& size) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) return errno;
  const auto wanted = std::min(most, static_cast<std::size_t>(st.st_size));
  bytes = std::make_unique_for_overwrite<char[]>(wanted);
  for (size = 0; size < wanted;) {
    const auto n = ::pread(fd, bytes.get() + size, wanted - size, static_cast<off_t>(size));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return errno;
    if (n == 0) break;
    size += static_cast<std::size_t>(n);
  }
  return 0;
}

/// A log begins with a record, or was never used.
bool holds_records(const std::string& path) {
  const open_file f(path, O_RDONLY);
  std::unique_ptr<char[]> bytes;
  std::size_t size = 0;
  if (f.fd < 0 || read_all(f.fd, 512, bytes, size) != 0) return true;
  return std::string_view(bytes.get(), size).find_first_not_of('\0') != std::string_view::npos;
}

bool later_log_in_use(const std::string& path, std::uint64_t number) {
  std::error_code ec;
  for (const auto& e : std::filesystem::directory_iterator(std::filesystem::path(path).parent_path(), ec)) {
    const auto other = wal_number(e.path().native());
    if (other && *other > number && holds_records(e.path())) return true;
  }
  return bool(ec);
}

/// Cuts off what a crash left behind the last whole record, before RocksDB reads the log: it would take a torn record
/// among zeros for damage, and skip zeros inside for nothing.
IOStatus mend(const std::string& path, std::uint64_t number) {
  const open_file f(path, O_RDWR);
  if (f.fd < 0) return failed("opening", path, errno);
  std::unique_ptr<char[]> bytes;
  std::size_t size = 0;
  if (const int e = read_all(f.fd, SIZE_MAX, bytes, size); e != 0) return failed("reading", path, e);
  const auto found = find_wal_end({bytes.get(), size});
  auto tail = found.tail;
  // Whoever begins a log has synced the one before: there nothing can be torn.
  if (tail == wal_tail::torn && later_log_in_use(path, number)) tail = wal_tail::damaged;
  if (tail == wal_tail::damaged)
    return IOStatus::Corruption(path + " at byte " + std::to_string(found.at), "not the record that was written there");
  const bool cut = tail == wal_tail::zeros || tail == wal_tail::torn;
  if (cut && ::ftruncate(f.fd, static_cast<off_t>(found.end)) != 0) return failed("truncating", path, errno);
  // What is read back counts as durable, though whoever wrote it may have been killed before its sync; and a tear must
  // be gone before a later log is in use.
  if (::fsync(f.fd) != 0) return failed("syncing", path, errno);
  return IOStatus::OK();
}

class grown_logs final : public rocksdb::FileSystemWrapper {
public:
  grown_logs() : FileSystemWrapper(rocksdb::FileSystem::Default()) {}
  const char* Name() const override { return "troupe-grown-logs"; }

  IOStatus NewWritableFile(const std::string& path, const rocksdb::FileOptions& options,
                           std::unique_ptr<rocksdb::FSWritableFile>* out, IODebugContext* dbg) override {
    if (!wal_number(path)) return FileSystemWrapper::NewWritableFile(path, options, out, dbg);
    const int fd = ::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0) return failed("making", path, errno);
    *out = std::make_unique<wal_file>(path, fd);
    return IOStatus::OK();
  }

  /// RocksDB reads logs this way when it opens a database, and only those that it still needs.
  IOStatus NewSequentialFile(const std::string& path, const rocksdb::FileOptions& options,
                             std::unique_ptr<rocksdb::FSSequentialFile>* out, IODebugContext* dbg) override {
    if (const auto number = wal_number(path))
      if (auto s = mend(path, *number); !s.ok()) return s;
    return FileSystemWrapper::NewSequentialFile(path, options, out, dbg);
  }
};

} // namespace

std::unique_ptr<rocksdb::Env> env_with_grown_logs() { return rocksdb::NewCompositeEnv(std::make_shared<grown_logs>()); }

} // namespace troupe::store

#include "tests/faults/power_record.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <limits>
#include <map>
#include <sstream>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <unordered_map>
#include <vector>

namespace troupe::disk_fault {

namespace {

/// What was written since the last sync, from the first to the last byte.
struct span {
  off_t from = 0, until = std::numeric_limits<off_t>::max();
  bool empty() const { return from >= until; }
  void add(off_t a, off_t b) {
    from = empty() ? a : std::min(from, a);
    until = std::max(until, b);
  }
};
constexpr span nothing{0, 0};

/// Of this process; a file that is not there was written by one before, nobody knows where.
struct memory {
  std::mutex lock;
  std::unordered_map<ino_t, span> written;
  std::map<std::string, std::vector<ino_t>> gone; // by directory: what lost a name there that may come back
  std::map<std::string, int> names;               // by directory: the open record
};
memory& mine() {
  static auto* const m = new memory; // outlives every thread
  return *m;
}

[[noreturn]] void give_up(const std::string& what) {
  std::perror(("power_record: " + what).c_str());
  std::abort();
}

std::string beside(const slot* s, const char* what) { return std::string(s->directory) + ".power/" + what; }
std::string kept(const slot* s, const char* what, ino_t file) { return beside(s, what) + std::to_string(file); }
std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('/')); }
/// As the record names it.
std::string inside(const slot* s, const std::string& path) {
  const std::string_view top(s->directory);
  return path.size() > top.size() ? path.substr(top.size() + 1) : ".";
}

ino_t inode_at(const std::string& path) {
  struct stat st {};
  return ::lstat(path.c_str(), &st) == 0 ? st.st_ino : 0;
}
ino_t inode_of(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 ? st.st_ino : 0;
}

void put_line(int fd, const std::string& line) {
  if (::write(fd, line.data(), line.size()) != static_cast<ssize_t>(line.size())) give_up("write");
}

/// Whether the last change of names that was written down came to pass, before its process ended.
bool happened(const slot* s, const std::string& line) {
  std::istringstream in(line);
  std::string what, path, to;
  ino_t file = 0;
  in >> what >> file >> path >> to;
  const auto at = [&](const std::string& p) { return inode_at(std::string(s->directory) + "/" + p); };
  if (what == "mkdir") return at(path) != 0;
  if (what == "create") return at(path) == file;
  if (what == "unlink" || what == "rmdir") return at(path) != file;
  return to.empty() || at(to) == file;
}

/// The record of the processes before: its last line may be half, or say what was not done any more.
void settle(const slot* s, int fd) {
  std::string text;
  std::array<char, 64 * 1024> some;
  for (ssize_t n; (n = ::read(fd, some.data(), some.size())) > 0;)
    text.append(some.data(), static_cast<std::size_t>(n));
  const auto whole = text.rfind('\n') + 1;
  if (whole != text.size() && ::ftruncate(fd, static_cast<off_t>(whole)) != 0) give_up("cut");
  if (whole == 0) return;
  text.resize(whole - 1);
  if (!happened(s, text.substr(text.rfind('\n') + 1))) put_line(fd, "undone\n");
}

/// The open record.
int names_of(const slot* s) {
  auto& fd = mine().names.try_emplace(s->directory, -1).first->second;
  if (fd >= 0) return fd;
  for (const auto* d : {"", "live", "disk"})
    if (::mkdir(beside(s, d).c_str(), 0700) != 0 && errno != EEXIST) give_up("make " + beside(s, d));
  fd = ::open(beside(s, "names").c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (fd < 0) give_up("open");
  settle(s, fd);
  return fd;
}

/// Those whose last name went durably. Whoever still has one is needed.
void forget_gone(const slot* s, const std::string& directory) {
  for (const auto file : mine().gone[directory]) {
    struct stat st {};
    const auto pin = kept(s, "live/", file);
    if (::stat(pin.c_str(), &st) != 0 || st.st_nlink > 1) continue;
    ::unlink(kept(s, "disk/", file).c_str());
    ::unlink(pin.c_str());
    mine().written.erase(file);
  }
  mine().gone.erase(directory);
}

bool is_forgotten(const slot* s, const std::string& path, bool directory) {
  const auto mask = s->forgets.load();
  if (!directory) return (mask & log_syncs) != 0 && path.ends_with(".log");
  return (mask & directory_syncs) != 0 || ((mask & top_directory_syncs) != 0 && path == s->directory);
}

void copy_range(int from, int to, span range) {
  std::array<char, 64 * 1024> some;
  for (auto at = range.from; at < range.until;) {
    const auto wanted = std::min(static_cast<off_t>(some.size()), range.until - at);
    const auto n = ::pread(from, some.data(), static_cast<std::size_t>(wanted), at);
    if (n < 0) give_up("read");
    if (n == 0) return;
    if (::pwrite(to, some.data(), static_cast<std::size_t>(n), at) != n) give_up("copy");
    at += n;
  }
}

void keep_as_it_is(const slot* s, ino_t file) {
  auto& range = mine().written[file];
  if (range.empty()) return;
  const int from = ::open(kept(s, "live/", file).c_str(), O_RDONLY | O_CLOEXEC);
  if (from < 0) return; // it has no name
  const int to = ::open(kept(s, "disk/", file).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  struct stat st {};
  if (to < 0 || ::fstat(from, &st) != 0 || ::ftruncate(to, st.st_size) != 0) give_up("keep");
  copy_range(from, to, range);
  ::close(from);
  ::close(to);
  range = nothing;
}

} // namespace

name_change::name_change(slot* s, const char* what, const std::string& path, const std::string& to)
    : alone_(mine().lock), s_(s) {
  const int names = names_of(s);
  const auto file = inode_at(path);
  if (const std::string_view w = what; w == "unlink" || w == "rmdir") {
    gone_ = file;
    gone_from_ = parent_of(path);
  } else if (w == "rename") {
    gone_ = inode_at(to);
    gone_from_ = parent_of(to);
  }
  put_line(names, std::string(what) + " " + std::to_string(file) + " " + inside(s, path) +
                      (to.empty() ? "" : " " + inside(s, to)) + "\n");
  if (std::string_view(what) == "rmdir") directory_ = path;
}

int name_change::done(int r) {
  const int before = errno;
  auto& gone = mine().gone;
  if (r != 0) {
    put_line(names_of(s_), "undone\n");
  } else if (!directory_.empty()) { // what was in it goes with its name in the directory above
    auto within = gone.extract(directory_);
    if (!within.empty())
      gone[gone_from_].insert(gone[gone_from_].end(), within.mapped().begin(), within.mapped().end());
  } else if (gone_ != 0) {
    gone[gone_from_].push_back(gone_);
  }
  errno = before;
  return r;
}

bool record_new_file(slot* s, const std::string& path, mode_t mode) {
  const std::lock_guard alone(mine().lock);
  const int names = names_of(s);
  // Made where it is pinned, so that the line can tell its number before it gets its name.
  const auto fresh = beside(s, "live/new");
  ::unlink(fresh.c_str());
  const int fd = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
  const auto file = fd < 0 ? 0 : inode_of(fd);
  if (file == 0) give_up("make " + fresh);
  ::close(fd);
  const auto pin = kept(s, "live/", file);
  if (::rename(fresh.c_str(), pin.c_str()) != 0) give_up("pin");
  ::unlink(kept(s, "disk/", file).c_str());
  mine().written[file] = nothing;
  put_line(names, "create " + std::to_string(file) + " " + inside(s, path) + "\n");
  if (::syscall(SYS_linkat, AT_FDCWD, pin.c_str(), AT_FDCWD, path.c_str(), 0) == 0) return true;
  const int why = errno;
  put_line(names, "undone\n");
  ::unlink(pin.c_str());
  errno = why;
  return false;
}

void record_write(slot*, int fd, off_t from, off_t until) {
  const int before = errno;
  const auto file = inode_of(fd);
  const std::lock_guard alone(mine().lock);
  mine().written.try_emplace(file).first->second.add(from, until);
  errno = before;
}

void record_sync(slot* s, int fd, const std::string& path) {
  struct stat st {};
  if (::fstat(fd, &st) != 0) give_up("look at " + path);
  const bool directory = S_ISDIR(st.st_mode);
  if (is_forgotten(s, path, directory)) return;
  const std::lock_guard alone(mine().lock);
  const int names = names_of(s);
  if (!directory) return keep_as_it_is(s, st.st_ino);
  put_line(names, "synced 0 " + inside(s, path) + "\n");
  forget_gone(s, path);
}

} // namespace troupe::disk_fault

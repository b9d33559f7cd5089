// Stands between a program and its C library for the calls that disk_fault.hpp is about.
#undef _FILE_OFFSET_BITS // pwrite and pwrite64 are two names here, and both are wanted
#include "tests/faults/disk_fault.hpp"
#include "tests/faults/power_record.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <limits>
#include <string>
#include <string_view>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

namespace troupe::disk_fault {

slot* slots = nullptr;

namespace {

__attribute__((constructor)) void begin() {
  const char* control = std::getenv("TROUPE_FAULT_DISK");
  if (!control || std::strcmp(program_invocation_short_name, "troupe") != 0) {
    ::unsetenv("LD_PRELOAD"); // what a master starts is none of ours
    return;
  }
  const int fd = ::open(control, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* p = ::mmap(nullptr, slots_max * sizeof(slot), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  ::close(fd);
  if (p != MAP_FAILED) slots = static_cast<slot*>(p);
}

template <class F>
F* next(F*, const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}
#define NEXT(name)                                                                                                     \
  ([] {                                                                                                                \
    static auto* const f = next(&::name, #name);                                                                       \
    return f;                                                                                                          \
  }())

bool calm() {
  return !slots || std::none_of(slots, slots + slots_max, [](const slot& s) {
    return s.slow() || s.full != 0 || s.failing != 0 || s.names_error != 0 || s.tracked != 0 || s.dies_after != 0;
  });
}

slot* slot_of(std::string_view path) {
  auto* const found = std::find_if(slots, slots + slots_max, [&](const slot& s) { return s.holds(path); });
  return found == slots + slots_max ? nullptr : found;
}

/// Where an open file or directory lies; empty: nobody knows.
std::string path_of(int fd) {
  char link[64], path[4096];
  std::snprintf(link, sizeof link, fd == AT_FDCWD ? "/proc/self/cwd" : "/proc/self/fd/%d", fd);
  const int before = errno;
  const auto size = ::readlink(link, path, sizeof path);
  errno = before;
  return size > 0 ? std::string(path, static_cast<std::size_t>(size)) : std::string();
}

/// A slot and a path in it. No slot: the file is none of ours, or nothing is wrong.
struct place {
  slot* s = nullptr;
  std::string path;
  explicit place(int fd) {
    if (!calm()) path = path_of(fd);
    s = path.empty() ? nullptr : slot_of(std::string_view(path));
  }
  place(int at, const char* name) {
    if (calm()) return;
    path = name[0] == '/' ? name : path_of(at) + "/" + name;
    while (path.size() > 1 && path.back() == '/')
      path.pop_back();
    s = slot_of(std::string_view(path));
  }
};

/// Between two operations, where any kill falls.
slot* may_die(slot* s, bool in_sync = false) {
  if (s && s->dies_after > 0 && (in_sync || s->dies_in_sync == 0) && s->dies_after.fetch_sub(1) == 1) {
    ::kill(::getpid(), SIGKILL);
    ::pause();
  }
  return s;
}
slot* slot_of(int fd) { return may_die(place(fd).s); }

std::uint64_t mixed(std::uint64_t z) {
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// In short steps, so that a disk that is well again makes nobody wait.
void wait_while(const slot& s, bool sync) {
  constexpr std::uint32_t step_us = 2000;
  static std::atomic<std::uint64_t> draws{0};
  const std::uint32_t low = s.sync_us_min, high = std::max(low, s.sync_us_max.load());
  std::int64_t left = sync && high > 0 ? low + mixed(draws += 0x9e3779b97f4a7c15ull) % (high - low + 1) : 0;
  const int before = errno;
  for (; s.stalled != 0 || (left > 0 && s.sync_us_max != 0); left -= step_us) {
    const timespec t{0, step_us * 1000L};
    ::nanosleep(&t, nullptr);
  }
  errno = before;
}

void take_time(slot* s, bool sync) {
  if (!s || !(s->stalled != 0 || (sync && s->sync_us_max != 0))) return;
  ++s->late;
  wait_while(*s, sync);
}

bool is_directory(int fd) {
  struct stat st {};
  return ::fstat(fd, &st) == 0 && S_ISDIR(st.st_mode);
}

/// A sync: false, it fails.
bool syncs(slot* s, int fd) {
  take_time(s, true);
  if (!s || s->failing == 0 || (s->failing == directories_only && !is_directory(fd))) return true;
  ++s->refused;
  errno = EIO;
  return false;
}

/// How much of `size` fits; 0 with ENOSPC: nothing.
std::size_t fitting(slot* s, std::size_t size) {
  if (!s || s->full == 0 || size == 0) return size;
  const auto left = s->room.fetch_sub(static_cast<std::int64_t>(size));
  if (left >= static_cast<std::int64_t>(size)) return size;
  ++s->refused;
  if (left > 0) return static_cast<std::size_t>(left);
  errno = ENOSPC;
  return 0;
}

bool fits_whole(slot* s, off_t size) {
  if (!s || s->full == 0 || s->room >= size) return true;
  ++s->refused;
  return false;
}

/// A new name: false, it is refused.
bool takes_name(slot* s) {
  const auto error = s ? s->names_error.load() : 0u;
  if (error == 0 || s->names_left.fetch_sub(1) > 0) return true;
  ++s->refused;
  errno = static_cast<int>(error);
  return false;
}

bool is_there(const std::string& path) {
  const int before = errno;
  struct stat st {};
  const bool found = ::lstat(path.c_str(), &st) == 0;
  errno = before;
  return found;
}

void tell_free(const char* path, struct statvfs* v) {
  if (calm()) return;
  const auto* s = slot_of(std::string_view(path));
  if (s && s->full != 0 && v->f_frsize > 0) v->f_bavail = v->f_bfree = s->told_bytes / v->f_frsize;
}

/// One that could add a name. `real` opens without asking us.
template <class F>
int opened(int at, const char* name, int flags, mode_t mode, F real) {
  const bool nameless = (flags & O_TMPFILE) == O_TMPFILE;
  if (!nameless && (flags & (O_CREAT | O_TRUNC)) == 0) return real(flags);
  const place p(at, name);
  if (!may_die(p.s)) return real(flags);
  const bool there = is_there(p.path);
  if ((nameless || ((flags & O_CREAT) != 0 && !there)) && !takes_name(p.s)) return -1;
  if (!tracks(p.s) || nameless) return real(flags);
  if (!there && (flags & O_CREAT) != 0) {
    if (!record_new_file(p.s, p.path, mode)) return -1;
    flags &= ~(O_CREAT | O_EXCL);
  }
  const int fd = real(flags);
  if (fd >= 0 && (flags & O_TRUNC) != 0) record_write(p.s, fd, 0, std::numeric_limits<off_t>::max());
  return fd;
}

/// One that moves or links a name to another; either end may be ours.
template <class F>
int named(const char* what, const place& from, const place& to, F real) {
  auto* const s = may_die(to.s ? to.s : from.s);
  if (!takes_name(s)) return -1;
  if (!tracks(s)) return real();
  name_change c(s, what, from.path, to.path);
  return c.done(real());
}

template <class F>
int removed(const place& p, bool directory, F real) {
  if (!tracks(may_die(p.s)) || p.path == p.s->directory) return real();
  name_change c(p.s, directory ? "rmdir" : "unlink", p.path, {});
  return c.done(real());
}

template <class F>
int made_directory(int at, const char* name, F real) {
  const place p(at, name);
  if (!may_die(p.s) || p.path == p.s->directory || is_there(p.path)) return real();
  if (!takes_name(p.s)) return -1;
  if (!tracks(p.s)) return real();
  name_change c(p.s, "mkdir", p.path, {});
  return c.done(real());
}

/// The bytes from `from` on were written, or cut off, if `r` says so.
template <class R>
R wrote(slot* s, int fd, R r, off_t from, off_t until) {
  if (r >= 0 && tracks(s)) record_write(s, fd, from, until);
  return r;
}
/// What a write at the file's position wrote.
ssize_t wrote_here(slot* s, int fd, ssize_t n) {
  if (n <= 0 || !tracks(s)) return n;
  const auto end = ::lseek(fd, 0, SEEK_CUR);
  return wrote(s, fd, n, end - n, end);
}

template <class F>
int sync(int fd, F real) {
  const place p(fd);
  if (!syncs(may_die(p.s, true), fd)) return -1;
  if (!tracks(p.s)) return real();
  if (p.s->tracked == also_synced && real() != 0) return -1;
  record_sync(p.s, fd, p.path);
  return 0;
}

} // namespace
} // namespace troupe::disk_fault

using namespace troupe::disk_fault;

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
  auto* const s = slot_of(fd);
  take_time(s, false);
  const auto n = fitting(s, size);
  return n == 0 && size > 0 ? -1 : wrote_here(s, fd, NEXT(write)(fd, data, n));
}

ssize_t writev(int fd, const iovec* parts, int count) {
  auto* const s = slot_of(fd);
  if (!s || s->full == 0) {
    take_time(s, false);
    return wrote_here(s, fd, NEXT(writev)(fd, parts, count));
  }
  for (int i = 0; i < count; ++i) // the first piece alone: callers go on after what was taken
    if (parts[i].iov_len > 0) return write(fd, parts[i].iov_base, parts[i].iov_len);
  return 0;
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  auto* const s = slot_of(fd);
  take_time(s, false);
  const auto n = fitting(s, size);
  if (n == 0 && size > 0) return -1;
  const auto done = NEXT(pwrite)(fd, data, n, at);
  return done > 0 ? wrote(s, fd, done, at, at + done) : done;
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) { return pwrite(fd, data, size, at); }

int fsync(int fd) {
  return sync(fd, [&] { return NEXT(fsync)(fd); });
}
int fdatasync(int fd) {
  return sync(fd, [&] { return NEXT(fdatasync)(fd); });
}
int syncfs(int fd) noexcept { return syncs(slot_of(fd), fd) ? NEXT(syncfs)(fd) : -1; }
int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
  take_time(slot_of(fd), (flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER)) != 0);
  return NEXT(sync_file_range)(fd, at, size, flags);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  auto* const s = slot_of(fd);
  if ((mode & FALLOC_FL_PUNCH_HOLE) == 0 && !fits_whole(s, size)) {
    errno = ENOSPC;
    return -1;
  }
  const int r = NEXT(fallocate)(fd, mode, at, size);
  return mode == FALLOC_FL_KEEP_SIZE ? r : wrote(s, fd, r, at, at + size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
  auto* const s = slot_of(fd);
  if (!fits_whole(s, size)) return ENOSPC;
  const int r = NEXT(posix_fallocate)(fd, at, size);
  wrote(s, fd, -r, at, at + size);
  return r;
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) { return fallocate(fd, mode, at, size); }
int posix_fallocate64(int fd, off64_t at, off64_t size) { return posix_fallocate(fd, at, size); }

int ftruncate(int fd, off_t size) noexcept {
  auto* const s = slot_of(fd);
  return wrote(s, fd, NEXT(ftruncate)(fd, size), size, std::numeric_limits<off_t>::max());
}
int ftruncate64(int fd, off64_t size) noexcept { return ftruncate(fd, size); }

// A variable argument that was not given must not be read.
#define MODE_OF(flags, mode)                                                                                           \
  mode_t mode = 0;                                                                                                     \
  if (((flags)&O_CREAT) != 0 || ((flags)&O_TMPFILE) == O_TMPFILE) {                                                    \
    va_list more;                                                                                                      \
    va_start(more, flags);                                                                                             \
    mode = va_arg(more, mode_t);                                                                                       \
    va_end(more);                                                                                                      \
  }

int openat(int at, const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return opened(at, path, flags, mode, [&](int how) { return NEXT(openat)(at, path, how, mode); });
}
int openat64(int at, const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return openat(at, path, flags, mode);
}
int open(const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return openat(AT_FDCWD, path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  MODE_OF(flags, mode)
  return openat(AT_FDCWD, path, flags, mode);
}

int mkdir(const char* path, mode_t mode) noexcept {
  return made_directory(AT_FDCWD, path, [&] { return NEXT(mkdir)(path, mode); });
}
int rmdir(const char* path) noexcept {
  return removed({AT_FDCWD, path}, true, [&] { return NEXT(rmdir)(path); });
}
int unlink(const char* path) noexcept {
  return removed({AT_FDCWD, path}, false, [&] { return NEXT(unlink)(path); });
}
int unlinkat(int at, const char* path, int flags) noexcept {
  return removed({at, path}, (flags & AT_REMOVEDIR) != 0, [&] { return NEXT(unlinkat)(at, path, flags); });
}
int remove(const char* path) noexcept {
  struct stat st {};
  if (::lstat(path, &st) != 0) return -1;
  return S_ISDIR(st.st_mode) ? rmdir(path) : unlink(path);
}

int renameat2(int at, const char* from, int to_at, const char* to, unsigned flags) noexcept {
  const auto* const what = (flags & RENAME_EXCHANGE) != 0 ? "exchange" : "rename";
  return named(what, {at, from}, {to_at, to}, [&] { return NEXT(renameat2)(at, from, to_at, to, flags); });
}
int renameat(int at, const char* from, int to_at, const char* to) noexcept { return renameat2(at, from, to_at, to, 0); }
int rename(const char* from, const char* to) noexcept { return renameat2(AT_FDCWD, from, AT_FDCWD, to, 0); }
int linkat(int at, const char* from, int to_at, const char* to, int flags) noexcept {
  return named("link", {at, from}, {to_at, to}, [&] { return NEXT(linkat)(at, from, to_at, to, flags); });
}
int link(const char* from, const char* to) noexcept { return linkat(AT_FDCWD, from, AT_FDCWD, to, 0); }

int statvfs(const char* path, struct statvfs* v) noexcept {
  const int r = NEXT(statvfs)(path, v);
  if (r == 0) tell_free(path, v);
  return r;
}
int statvfs64(const char* path, struct statvfs64* v) noexcept {
  static_assert(sizeof(struct statvfs) == sizeof(struct statvfs64));
  return statvfs(path, reinterpret_cast<struct statvfs*>(v));
}

} // extern "C"

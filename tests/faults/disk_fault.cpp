// Stands between a program and its C library for the calls that disk_fault.hpp is about.
#undef _FILE_OFFSET_BITS // pwrite and pwrite64 are two names here, and both are wanted
#include "tests/faults/disk_fault.hpp"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <fcntl.h>
#include <string_view>
#include <sys/mman.h>
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
  return !slots || std::none_of(slots, slots + slots_max,
                                [](const slot& s) { return s.slow() || s.full != 0 || s.failing != 0; });
}

slot* slot_of(std::string_view path) {
  auto* const found = std::find_if(slots, slots + slots_max, [&](const slot& s) { return s.holds(path); });
  return found == slots + slots_max ? nullptr : found;
}

/// Null for what is none of ours, and while nothing is wrong.
slot* slot_of(int fd) {
  if (calm()) return nullptr;
  char link[64] = "/proc/self/fd/", path[4096];
  char digits[16];
  auto* at = digits + sizeof digits;
  *--at = '\0';
  for (auto n = static_cast<unsigned>(fd); at == digits + sizeof digits - 1 || n > 0; n /= 10)
    *--at = static_cast<char>('0' + n % 10);
  std::strcat(link, at);
  const int before = errno;
  const auto size = ::readlink(link, path, sizeof path);
  errno = before;
  return size > 0 ? slot_of(std::string_view(path, static_cast<std::size_t>(size))) : nullptr;
}

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

/// A sync: false, it fails.
bool syncs(slot* s) {
  take_time(s, true);
  if (!s || s->failing == 0) return true;
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

void tell_free(const char* path, struct statvfs* v) {
  if (calm()) return;
  const auto* s = slot_of(std::string_view(path));
  if (s && s->full != 0 && v->f_frsize > 0) v->f_bavail = v->f_bfree = s->told_bytes / v->f_frsize;
}

} // namespace
} // namespace troupe::disk_fault

using namespace troupe::disk_fault;

extern "C" {

ssize_t write(int fd, const void* data, size_t size) {
  auto* const s = slot_of(fd);
  take_time(s, false);
  const auto n = fitting(s, size);
  return n == 0 && size > 0 ? -1 : NEXT(write)(fd, data, n);
}

ssize_t writev(int fd, const iovec* parts, int count) {
  auto* const s = slot_of(fd);
  if (!s || s->full == 0) {
    take_time(s, false);
    return NEXT(writev)(fd, parts, count);
  }
  for (int i = 0; i < count; ++i) // the first piece alone: callers go on after what was taken
    if (parts[i].iov_len > 0) return write(fd, parts[i].iov_base, parts[i].iov_len);
  return 0;
}

ssize_t pwrite(int fd, const void* data, size_t size, off_t at) {
  auto* const s = slot_of(fd);
  take_time(s, false);
  const auto n = fitting(s, size);
  return n == 0 && size > 0 ? -1 : NEXT(pwrite)(fd, data, n, at);
}
ssize_t pwrite64(int fd, const void* data, size_t size, off64_t at) { return pwrite(fd, data, size, at); }

int fsync(int fd) { return syncs(slot_of(fd)) ? NEXT(fsync)(fd) : -1; }
int fdatasync(int fd) { return syncs(slot_of(fd)) ? NEXT(fdatasync)(fd) : -1; }
int syncfs(int fd) noexcept { return syncs(slot_of(fd)) ? NEXT(syncfs)(fd) : -1; }
int sync_file_range(int fd, off64_t at, off64_t size, unsigned flags) {
  take_time(slot_of(fd), (flags & (SYNC_FILE_RANGE_WAIT_BEFORE | SYNC_FILE_RANGE_WAIT_AFTER)) != 0);
  return NEXT(sync_file_range)(fd, at, size, flags);
}

int fallocate(int fd, int mode, off_t at, off_t size) {
  if ((mode & FALLOC_FL_PUNCH_HOLE) == 0 && !fits_whole(slot_of(fd), size)) {
    errno = ENOSPC;
    return -1;
  }
  return NEXT(fallocate)(fd, mode, at, size);
}
int posix_fallocate(int fd, off_t at, off_t size) {
  return fits_whole(slot_of(fd), size) ? NEXT(posix_fallocate)(fd, at, size) : ENOSPC;
}
int fallocate64(int fd, int mode, off64_t at, off64_t size) { return fallocate(fd, mode, at, size); }
int posix_fallocate64(int fd, off64_t at, off64_t size) { return posix_fallocate(fd, at, size); }

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

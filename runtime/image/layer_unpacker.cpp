// layer_unpacker: one layer of an image → a directory that overlayfs can use as a lower directory.
#include "runtime/image/layer_unpacker.hpp"

#include "runtime/image/digest.hpp"
#include "runtime/limits.hpp"
#include "runtime/linux/files.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <cerrno>
#include <map>
#include <memory>
#include <vector>

namespace troupe::runtime::image {

using linux_host::system_error;
using linux_host::unique_fd;

namespace {

struct free_archive {
  void operator()(archive* a) const { archive_read_free(a); }
};
using archive_ptr = std::unique_ptr<archive, free_archive>;

status bad_layer(const std::string& why) { return errors::bad_request("image layer: " + why); }

/// The blob as it lies on disk, hashed on its way into the decompressor.
struct file_source {
  unique_fd fd;
  sha256 hash;
  std::vector<char> buffer = std::vector<char>(256 * 1024);

  static la_ssize_t read(archive*, void* self, const void** out) {
    auto& s = *static_cast<file_source*>(self);
    while (true) {
      const auto n = ::read(s.fd.get(), s.buffer.data(), s.buffer.size());
      if (n < 0 && errno == EINTR) continue;
      if (n > 0) s.hash.update(s.buffer.data(), static_cast<std::size_t>(n));
      *out = s.buffer.data();
      return n;
    }
  }
};

/// The decompressed bytes, hashed on their way into the tar reader.
struct tar_source {
  archive* decompressor = nullptr;
  sha256 hash;
  std::uint64_t bytes = 0;
  std::vector<char> buffer = std::vector<char>(256 * 1024);

  static la_ssize_t read(archive* a, void* self, const void** out) {
    auto& s = *static_cast<tar_source*>(self);
    const auto n = archive_read_data(s.decompressor, s.buffer.data(), s.buffer.size());
    if (n < 0) {
      const char* why = archive_error_string(s.decompressor);
      archive_set_error(a, EIO, "%s", why ? why : "cannot decompress");
      return -1;
    }
    s.hash.update(s.buffer.data(), static_cast<std::size_t>(n));
    s.bytes += static_cast<std::uint64_t>(n);
    *out = s.buffer.data();
    return n;
  }
};

std::string why(archive* a) {
  const char* s = archive_error_string(a);
  return s ? s : "malformed";
}

std::string entry_text(const char* utf8, const char* raw) { return utf8 ? utf8 : raw ? raw : ""; }

/// `./usr//bin/` → usr, bin; nothing with "..", a zero byte or too many bytes.
result<std::vector<std::string>> split_path(const std::string& path) {
  if (path.size() > limits::layer_path_bytes_max)
    return bad_layer("a path is longer than " + std::to_string(limits::layer_path_bytes_max) + " bytes");
  std::vector<std::string> out;
  for (std::size_t at = 0; at <= path.size();) {
    const auto slash = std::min(path.find('/', at), path.size());
    const auto part = path.substr(at, slash - at);
    at = slash + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return bad_layer("path \"" + path + "\" leaves the layer");
    out.push_back(part);
  }
  return out;
}

class unpacker {
public:
  explicit unpacker(const std::string& target) : target_(target) {}
  result<void> open() {
    root_.reset(::open(target_.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    return root_ ? result<void>() : system_error("open " + target_, errno);
  }
  result<void> take(archive* tar, archive_entry* entry);
  /// Modes and times of directories come last: filling a directory changes its time, and 0555 would forbid it.
  result<void> finish();
  std::uint64_t bytes() const { return bytes_; }

private:
  result<unique_fd> open_directory(const std::vector<std::string>& parts);
  result<void> make_room(int parent, const std::string& name, bool keep_directory);
  result<void> make(archive* tar, archive_entry* entry, int parent, const std::string& name, const std::string& path);
  result<void> write_content(archive* tar, int fd);
  result<void> link(archive_entry* entry, int parent, const std::string& name);
  result<void> set_attributes(archive_entry* entry, int parent, const std::string& name);
  result<void> whiteout(int parent, const std::string& name, const std::string& path);

  struct directory_attributes {
    mode_t mode;
    timespec times[2];
  };
  std::string target_;
  unique_fd root_;
  std::map<std::string, directory_attributes> directories_;
  std::uint64_t bytes_ = 0, entries_ = 0;
};

unique_fd open_in_root(int root, const std::string& path, int flags) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return unique_fd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

/// Opens a directory below the target, making what is missing on the way.
result<unique_fd> unpacker::open_directory(const std::vector<std::string>& parts) {
  std::string path = ".";
  for (const auto& p : parts)
    path += "/" + p;
  if (auto fd = open_in_root(root_.get(), path, O_PATH | O_DIRECTORY)) return fd;
  path = ".";
  for (const auto& p : parts) {
    auto parent = open_in_root(root_.get(), path, O_PATH | O_DIRECTORY);
    if (!parent) return bad_layer("\"" + path + "\" is no directory");
    if (::mkdirat(parent.get(), p.c_str(), 0755) != 0 && errno != EEXIST)
      return system_error("make directory " + target_ + "/" + path + "/" + p, errno);
    path += "/" + p;
  }
  auto fd = open_in_root(root_.get(), path, O_PATH | O_DIRECTORY);
  if (!fd) return bad_layer("\"" + path + "\" is no directory");
  return fd;
}

/// A later entry replaces an earlier one of the same name.
result<void> unpacker::make_room(int parent, const std::string& name, bool keep_directory) {
  struct stat st {};
  if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) return {};
  if (S_ISDIR(st.st_mode)) {
    if (keep_directory) return {};
    return linux_host::remove_tree("/proc/self/fd/" + std::to_string(parent) + "/" + name);
  }
  if (::unlinkat(parent, name.c_str(), 0) != 0) return system_error("replace " + name, errno);
  return {};
}

result<void> mark_opaque(int parent, const std::string& name) {
  const auto dir = "/proc/self/fd/" + std::to_string(parent) + "/" + name;
  if (::setxattr(dir.c_str(), "trusted.overlay.opaque", "y", 1, 0) != 0)
    return system_error("mark a directory of an image layer as opaque", errno);
  return {};
}

bool is_whiteout(const struct stat& st) { return S_ISCHR(st.st_mode) && st.st_rdev == ::makedev(0, 0); }

result<void> unpacker::whiteout(int parent, const std::string& name, const std::string& path) {
  if (name == ".wh..wh..opq") return mark_opaque(parent, "");
  const auto hidden = name.substr(4);
  if (hidden.empty() || hidden == "." || hidden == "..") return bad_layer("whiteout \"" + path + "\" names nothing");
  if (hidden.starts_with(".wh.")) return {}; // other marks of aufs mean nothing here
  // A whiteout hides what lower layers have. Where this layer brings the same name it hides only what lies below.
  struct stat st {};
  if (::fstatat(parent, hidden.c_str(), &st, AT_SYMLINK_NOFOLLOW) == 0)
    return S_ISDIR(st.st_mode) ? mark_opaque(parent, hidden) : result<void>();
  if (::mknodat(parent, hidden.c_str(), S_IFCHR, ::makedev(0, 0)) != 0)
    return system_error("make the whiteout " + path, errno);
  return {};
}

result<void> unpacker::write_content(archive* tar, int fd) {
  const void* block = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0, end = 0;
  while (true) {
    const int r = archive_read_data_block(tar, &block, &size, &offset);
    if (r == ARCHIVE_EOF) break;
    if (r < ARCHIVE_WARN) return bad_layer(why(tar));
    bytes_ += size;
    // The end counts as well as the bytes: a sparse file may claim exabytes.
    if (bytes_ > limits::layer_bytes_max || offset < 0 || static_cast<std::uint64_t>(offset) > limits::layer_bytes_max)
      return bad_layer("it unpacks to more than " + std::to_string(limits::layer_bytes_max >> 30) + " GiB");
    for (std::size_t done = 0; done < size;) {
      const auto n = ::pwrite(fd, static_cast<const char*>(block) + done, size - done,
                              static_cast<off_t>(offset) + static_cast<off_t>(done));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return system_error("write a file of an image layer", errno);
      done += static_cast<std::size_t>(n);
    }
    end = std::max(end, offset + static_cast<la_int64_t>(size));
  }
  struct stat st {};
  if (::fstat(fd, &st) == 0 && st.st_size < end && ::ftruncate(fd, end) != 0)
    return system_error("write a file of an image layer", errno);
  return {};
}

result<void> unpacker::link(archive_entry* entry, int parent, const std::string& name) {
  const auto target = entry_text(archive_entry_hardlink_utf8(entry), archive_entry_hardlink(entry));
  auto parts = split_path(target);
  if (!parts) return parts.error();
  if (parts->empty()) return bad_layer("a hard link to the root");
  const auto last = parts->back();
  parts->pop_back();
  auto from = open_directory(*parts);
  if (!from) return from.error();
  // No AT_SYMLINK_FOLLOW: the link itself is linked, never what it points at.
  if (::linkat(from->get(), last.c_str(), parent, name.c_str(), 0) != 0) {
    if (errno == ENOENT)
      return bad_layer("hard link \"" + name + "\" points at \"" + target + "\", which is not in the layer");
    return system_error("link " + name, errno);
  }
  return {};
}

result<void> unpacker::set_attributes(archive_entry* entry, int parent, const std::string& name) {
  const auto uid = static_cast<uid_t>(archive_entry_uid(entry));
  const auto gid = static_cast<gid_t>(archive_entry_gid(entry));
  // Without privilege everything stays ours; only tests unpack that way.
  if (::fchownat(parent, name.c_str(), uid, gid, AT_SYMLINK_NOFOLLOW) != 0 && ::geteuid() == 0)
    return system_error("change the owner of " + name, errno);
  const bool symlink = archive_entry_filetype(entry) == AE_IFLNK;
  const auto mode = static_cast<mode_t>(archive_entry_perm(entry)) & 07777;
  if (!symlink && ::fchmodat(parent, name.c_str(), mode, 0) != 0)
    return system_error("change the mode of " + name, errno);
  if (!symlink) {
    const auto path = "/proc/self/fd/" + std::to_string(parent) + "/" + name;
    const char* key = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    archive_entry_xattr_reset(entry);
    while (archive_entry_xattr_next(entry, &key, &value, &size) == ARCHIVE_OK) {
      // Others could steer overlayfs (trusted.overlay.*) or a security module of this host.
      const std::string_view k = key ? key : "";
      if ((k == "security.capability" || k.starts_with("user.")) &&
          ::lsetxattr(path.c_str(), key, value, size, 0) != 0 && ::geteuid() == 0 && errno != ENOTSUP)
        return system_error("set the attribute " + std::string(k) + " of " + name, errno);
    }
  }
  const timespec times[2] = {{archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)},
                             {archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)}};
  ::utimensat(parent, name.c_str(), times, AT_SYMLINK_NOFOLLOW);
  return {};
}

result<void> unpacker::make(archive* tar, archive_entry* entry, int parent, const std::string& name,
                            const std::string& path) {
  const auto type = archive_entry_filetype(entry);
  struct stat before {};
  const bool hides_lower = ::fstatat(parent, name.c_str(), &before, AT_SYMLINK_NOFOLLOW) == 0 && is_whiteout(before);
  if (auto r = make_room(parent, name, type == AE_IFDIR && !archive_entry_hardlink(entry)); !r) return r;
  if (archive_entry_hardlink(entry)) return link(entry, parent, name);
  if (type == AE_IFREG) {
    unique_fd fd(::openat(parent, name.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (!fd) return system_error("create " + path, errno);
    if (auto r = write_content(tar, fd.get()); !r) return r;
  } else if (type == AE_IFDIR) {
    if (::mkdirat(parent, name.c_str(), 0700) != 0 && errno != EEXIST)
      return system_error("make directory " + path, errno);
    if (hides_lower)
      if (auto r = mark_opaque(parent, name); !r) return r;
    const timespec mtime{archive_entry_mtime(entry), archive_entry_mtime_nsec(entry)};
    directories_[path] = {static_cast<mode_t>(archive_entry_perm(entry)) & 07777, {mtime, mtime}};
  } else if (type == AE_IFLNK) {
    const auto target = entry_text(archive_entry_symlink_utf8(entry), archive_entry_symlink(entry));
    if (target.empty() || ::symlinkat(target.c_str(), parent, name.c_str()) != 0)
      return target.empty() ? bad_layer("symbolic link \"" + path + "\" is empty")
                            : system_error("link " + path, errno);
  } else if (type == AE_IFCHR || type == AE_IFBLK || type == AE_IFIFO) {
    const auto kind = type == AE_IFCHR ? S_IFCHR : type == AE_IFBLK ? S_IFBLK : S_IFIFO;
    if (::mknodat(parent, name.c_str(), static_cast<mode_t>(kind) | 0600, archive_entry_rdev(entry)) != 0)
      return system_error("make the device " + path, errno);
  } else {
    return bad_layer("\"" + path + "\" is of an unknown type");
  }
  return set_attributes(entry, parent, name);
}

result<void> unpacker::take(archive* tar, archive_entry* entry) {
  if (++entries_ > limits::layer_entries_max)
    return bad_layer("it has more than " + std::to_string(limits::layer_entries_max) + " entries");
  auto parts = split_path(entry_text(archive_entry_pathname_utf8(entry), archive_entry_pathname(entry)));
  if (!parts) return parts.error();
  if (parts->empty()) return {}; // the root itself: its mode is the container's choice
  const auto name = parts->back();
  if (name.size() > 255) return bad_layer("a name is longer than 255 bytes");
  std::string path;
  for (const auto& p : *parts)
    path += (path.empty() ? "" : "/") + p;
  parts->pop_back();
  auto parent = open_directory(*parts);
  if (!parent) return parent.error();
  if (name.starts_with(".wh.")) return whiteout(parent->get(), name, path);
  return make(tar, entry, parent->get(), name, path);
}

result<void> unpacker::finish() {
  for (auto it = directories_.rbegin(); it != directories_.rend(); ++it) {
    auto fd = open_in_root(root_.get(), "./" + it->first, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    if (!fd) continue; // replaced by a later entry
    if (::fchmod(fd.get(), it->second.mode) != 0) return system_error("change the mode of " + it->first, errno);
    ::futimens(fd.get(), it->second.times);
  }
  return {};
}

/// Reads what follows the end of the tar, so that the digests cover the whole file.
result<void> drain(archive* decompressor, tar_source& tar, file_source& file) {
  const void* ignored = nullptr;
  while (true) {
    const auto n = tar_source::read(decompressor, &tar, &ignored);
    if (n < 0) return bad_layer(why(decompressor));
    if (n == 0) break;
    if (tar.bytes > limits::layer_bytes_max)
      return bad_layer("it unpacks to more than " + std::to_string(limits::layer_bytes_max >> 30) + " GiB");
  }
  while (file_source::read(nullptr, &file, &ignored) > 0)
    continue;
  return {};
}

} // namespace

result<unpacked_layer> unpack_layer(const std::string& file, const std::string& target) {
  file_source source;
  source.fd.reset(::open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  if (!source.fd) return system_error("open " + file, errno);
  archive_ptr decompressor(archive_read_new()), tar(archive_read_new());
  archive_read_support_filter_gzip(decompressor.get());
  archive_read_support_filter_zstd(decompressor.get());
  archive_read_support_filter_bzip2(decompressor.get());
  archive_read_support_filter_xz(decompressor.get());
  archive_read_support_format_raw(decompressor.get());
  archive_read_support_format_empty(decompressor.get());
  archive_entry* entry = nullptr;
  if (archive_read_open(decompressor.get(), &source, nullptr, file_source::read, nullptr) != ARCHIVE_OK ||
      archive_read_next_header(decompressor.get(), &entry) != ARCHIVE_OK)
    return bad_layer(why(decompressor.get()));

  tar_source bytes;
  bytes.decompressor = decompressor.get();
  archive_read_support_format_tar(tar.get());
  if (archive_read_open(tar.get(), &bytes, nullptr, tar_source::read, nullptr) != ARCHIVE_OK)
    return bad_layer(why(tar.get()));
  unpacker out(target);
  if (auto r = out.open(); !r) return r.error();
  while (true) {
    const int r = archive_read_next_header(tar.get(), &entry);
    if (r == ARCHIVE_EOF) break;
    if (r < ARCHIVE_WARN) return bad_layer(why(tar.get()));
    if (auto taken = out.take(tar.get(), entry); !taken) return taken.error();
  }
  if (auto r = out.finish(); !r) return r.error();
  if (auto r = drain(decompressor.get(), bytes, source); !r) return r.error();
  return unpacked_layer{bytes.hash.digest(), source.hash.digest(), out.bytes()};
}

} // namespace troupe::runtime::image

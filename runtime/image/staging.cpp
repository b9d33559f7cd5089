// image_source, staging: the files of an image archive as plain files in a directory of ours.
#include "runtime/image/image_source.hpp"

#include "runtime/limits.hpp"
#include "runtime/linux/files.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <memory>

namespace troupe::runtime::image {

using linux_host::system_error;
using linux_host::unique_fd;

namespace {

status bad_archive(const std::string& why) { return errors::bad_request("image archive: " + why); }

std::string why(archive* a) {
  const char* s = archive_error_string(a);
  return s ? s : "it is no tar archive";
}

/// `a/./b` → a/b; with a base, `../x` is taken relative to the base's directory. Empty when it leaves the archive.
std::string normalise(const std::string& base, const std::string& path) {
  std::vector<std::string> parts;
  const auto push = [&](const std::string& p) {
    for (std::size_t at = 0; at <= p.size();) {
      const auto slash = std::min(p.find('/', at), p.size());
      const auto part = p.substr(at, slash - at);
      at = slash + 1;
      if (part.empty() || part == ".") continue;
      if (part != "..")
        parts.push_back(part);
      else if (parts.empty())
        return false;
      else
        parts.pop_back();
    }
    return true;
  };
  const auto slash = base.rfind('/');
  if (slash != std::string::npos && !push(base.substr(0, slash))) return {};
  if (!push(path)) return {};
  std::string out;
  for (const auto& p : parts)
    out += (out.empty() ? "" : "/") + p;
  return out;
}

result<void> copy_out(archive* a, const std::string& path, std::uint64_t& total) {
  const auto slash = path.rfind('/');
  if (auto r = linux_host::make_directories(path.substr(0, slash)); !r) return r;
  ::unlink(path.c_str());
  unique_fd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!fd) return system_error("create " + path, errno);
  std::vector<char> buffer(256 * 1024);
  while (true) {
    const auto n = archive_read_data(a, buffer.data(), buffer.size());
    if (n == 0) return {};
    if (n < 0) return bad_archive(why(a));
    total += static_cast<std::uint64_t>(n);
    if (total > limits::archive_bytes_max)
      return bad_archive("it is larger than " + std::to_string(limits::archive_bytes_max >> 30) + " GiB");
    for (la_ssize_t done = 0; done < n;) {
      const auto w = ::write(fd.get(), buffer.data() + done, static_cast<std::size_t>(n - done));
      if (w < 0 && errno == EINTR) continue;
      if (w < 0) return system_error("write " + path, errno);
      done += w;
    }
  }
}

} // namespace

result<void> stage_archive(const std::string& file, const std::string& target) {
  std::unique_ptr<archive, decltype(&archive_read_free)> a(archive_read_new(), &archive_read_free);
  archive_read_support_format_tar(a.get());
  archive_read_support_filter_gzip(a.get());
  archive_read_support_filter_zstd(a.get());
  archive_read_support_filter_bzip2(a.get());
  archive_read_support_filter_xz(a.get());
  if (archive_read_open_filename(a.get(), file.c_str(), 256 * 1024) != ARCHIVE_OK)
    return ::access(file.c_str(), R_OK) != 0 ? system_error("read " + file, errno) : bad_archive(why(a.get()));
  std::map<std::string, std::string> links; // from → to, both normalised; `docker save` shares layers that way
  std::uint64_t total = 0, entries = 0;
  archive_entry* entry = nullptr;
  while (true) {
    const int r = archive_read_next_header(a.get(), &entry);
    if (r == ARCHIVE_EOF) break;
    if (r < ARCHIVE_WARN) return bad_archive(why(a.get()));
    if (++entries > limits::archive_entries_max)
      return bad_archive("it has more than " + std::to_string(limits::archive_entries_max) + " files");
    const char* raw = archive_entry_pathname(entry);
    const std::string name = raw ? raw : "";
    const auto path = normalise("", name);
    if (archive_entry_filetype(entry) == AE_IFDIR || (path.empty() && name.find("..") == std::string::npos)) continue;
    if (path.empty() || path.size() > limits::layer_path_bytes_max)
      return bad_archive("path \"" + name + "\" leaves the archive");
    if (const char* hard = archive_entry_hardlink(entry))
      links[path] = normalise("", hard);
    else if (archive_entry_filetype(entry) == AE_IFLNK)
      links[path] = normalise(path, archive_entry_symlink(entry) ? archive_entry_symlink(entry) : "");
    else if (archive_entry_filetype(entry) == AE_IFREG) {
      if (auto done = copy_out(a.get(), target + "/" + path, total); !done) return done;
    } else
      return bad_archive("\"" + path + "\" is neither file, directory nor link");
  }
  for (const auto& [from, first] : links) {
    auto to = first;
    for (int hops = 0; hops < 16 && links.contains(to); ++hops)
      to = links[to];
    struct stat st {};
    if (to.empty() || ::lstat((target + "/" + to).c_str(), &st) != 0 || !S_ISREG(st.st_mode))
      return bad_archive("link \"" + from + "\" points at nothing in the archive");
    const auto path = target + "/" + from;
    if (auto r = linux_host::make_directories(path.substr(0, path.rfind('/'))); !r) return r;
    if (::link((target + "/" + to).c_str(), path.c_str()) != 0 && errno != EEXIST)
      return system_error("link " + path, errno);
  }
  return {};
}

} // namespace troupe::runtime::image

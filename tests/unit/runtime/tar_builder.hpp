// tar_builder: small archives made in memory, also hostile ones; and directories that vanish with the test.
// Owner:  one test case.
// Units:  -
// Errors: -
// Source: ours.
#pragma once

#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

namespace troupe::tests {

struct scratch_directory {
  std::string path = "/tmp/troupe-unit-runtime-XXXXXX";
  scratch_directory() {
    if (!::mkdtemp(path.data())) path.clear();
  }
  ~scratch_directory() { std::filesystem::remove_all(path); }
  scratch_directory(const scratch_directory&) = delete;
  scratch_directory& operator=(const scratch_directory&) = delete;
};

inline void write_text(const std::string& path, const std::string& text) {
  std::filesystem::create_directories(std::filesystem::path(path).parent_path());
  std::ofstream(path, std::ios::binary) << text;
}
inline std::string read_text(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

class tar_builder {
public:
  enum class compression { none, gzip, zstd };
  explicit tar_builder(compression c = compression::none) : archive_(archive_write_new()), bytes_(64 << 20, '\0') {
    archive_write_set_format_pax_restricted(archive_);
    if (c == compression::gzip) archive_write_add_filter_gzip(archive_);
    if (c == compression::zstd) archive_write_add_filter_zstd(archive_);
    archive_write_open_memory(archive_, bytes_.data(), bytes_.size(), &used_);
  }
  ~tar_builder() { archive_write_free(archive_); }
  tar_builder(const tar_builder&) = delete;
  tar_builder& operator=(const tar_builder&) = delete;

  tar_builder& file(const std::string& name, const std::string& content, int mode = 0644) {
    auto* e = entry(name, AE_IFREG, mode);
    archive_entry_set_size(e, static_cast<la_int64_t>(content.size()));
    return add(e, content);
  }
  tar_builder& directory(const std::string& name, int mode = 0755) { return add(entry(name, AE_IFDIR, mode), ""); }
  tar_builder& symlink(const std::string& name, const std::string& target) {
    auto* e = entry(name, AE_IFLNK, 0777);
    archive_entry_set_symlink(e, target.c_str());
    return add(e, "");
  }
  tar_builder& hardlink(const std::string& name, const std::string& target) {
    auto* e = entry(name, AE_IFREG, 0644);
    archive_entry_set_hardlink(e, target.c_str());
    return add(e, "");
  }
  tar_builder& xattr(const std::string& name, const std::string& key, const std::string& value) {
    auto* e = entry(name, AE_IFREG, 0644);
    archive_entry_set_size(e, 0);
    archive_entry_xattr_add_entry(e, key.c_str(), value.data(), value.size());
    return add(e, "");
  }
  std::string finish() {
    archive_write_close(archive_);
    return bytes_.substr(0, used_);
  }

private:
  archive_entry* entry(const std::string& name, unsigned type, int mode) {
    auto* e = archive_entry_new();
    archive_entry_set_pathname(e, name.c_str());
    archive_entry_set_filetype(e, type);
    archive_entry_set_perm(e, static_cast<__LA_MODE_T>(mode));
    archive_entry_set_uid(e, 0);
    archive_entry_set_gid(e, 0);
    archive_entry_set_mtime(e, 1000, 0);
    return e;
  }
  tar_builder& add(archive_entry* e, const std::string& content) {
    archive_write_header(archive_, e);
    archive_write_data(archive_, content.data(), content.size());
    archive_entry_free(e);
    return *this;
  }

  archive* archive_;
  std::string bytes_;
  std::size_t used_ = 0;
};

} // namespace troupe::tests

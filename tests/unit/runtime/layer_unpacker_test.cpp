#include "runtime/image/digest.hpp"
#include "runtime/image/layer_unpacker.hpp"
#include "tests/unit/runtime/tar_builder.hpp"

#include <doctest/doctest.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::runtime::image;
using namespace troupe::tests;
namespace fs = std::filesystem;

namespace {

struct unpacking {
  scratch_directory dir;
  std::string target = dir.path + "/target";
  result<unpacked_layer> unpack(const std::string& bytes) {
    write_text(dir.path + "/layer", bytes);
    fs::create_directory(target);
    return unpack_layer(dir.path + "/layer", target);
  }
  bool refused(const std::string& bytes) {
    auto r = unpack(bytes);
    const bool out = !r.has_value() && r.error().code == 400 && !r.error().message.empty();
    return out && fs::is_empty(dir.path + "/outside");
  }
  unpacking() { fs::create_directory(dir.path + "/outside"); }
};

struct stat status_of(const std::string& path) {
  struct stat st {};
  ::lstat(path.c_str(), &st);
  return st;
}

} // namespace

TEST_CASE("files, directories and links come out as they went in") {
  unpacking u;
  tar_builder tar;
  tar.directory("./a", 0555)
      .file("./a/f", "text", 0640)
      .symlink("./l", "/etc/passwd")
      .hardlink("h", "a/f")
      .file("x/y/z", "");
  const auto bytes = tar.finish();
  const auto r = u.unpack(bytes);
  REQUIRE_MESSAGE(r.has_value(), (r ? "" : r.error().message));
  CHECK(read_text(u.target + "/a/f") == "text");
  CHECK((status_of(u.target + "/a").st_mode & 07777) == 0555);
  CHECK((status_of(u.target + "/a/f").st_mode & 07777) == 0640);
  CHECK(status_of(u.target + "/a").st_mtime == 1000);
  CHECK(fs::read_symlink(u.target + "/l") == "/etc/passwd");
  CHECK(status_of(u.target + "/h").st_ino == status_of(u.target + "/a/f").st_ino);
  CHECK(fs::exists(u.target + "/x/y/z"));
  CHECK(r->diff_id == digest_of(bytes));
  CHECK(r->digest == r->diff_id);
  CHECK(r->bytes == 4);
  fs::permissions(u.target + "/a", fs::perms::owner_all);
}

TEST_CASE("gzip and zstd are recognised, and both digests are right") {
  for (const auto c : {tar_builder::compression::gzip, tar_builder::compression::zstd}) {
    unpacking u;
    tar_builder plain, packed(c);
    plain.file("f", std::string(100000, 'x'));
    packed.file("f", std::string(100000, 'x'));
    const auto bytes = packed.finish();
    const auto r = u.unpack(bytes);
    REQUIRE(r.has_value());
    CHECK(r->digest == digest_of(bytes));
    CHECK(r->diff_id != r->digest);
    CHECK(fs::file_size(u.target + "/f") == 100000);
  }
}

TEST_CASE("names that climb out are refused") {
  for (const auto* name : {"../outside/f", "a/../../outside/f", "/../outside/f", ".."}) {
    unpacking u;
    tar_builder tar;
    tar.file(name, "evil");
    CHECK_MESSAGE(u.refused(tar.finish()), name);
  }
}

TEST_CASE("an absolute name stays inside") {
  unpacking u;
  tar_builder tar;
  tar.file("/etc/troupe-test", "inside");
  REQUIRE(u.unpack(tar.finish()).has_value());
  CHECK(read_text(u.target + "/etc/troupe-test") == "inside");
  CHECK_FALSE(fs::exists("/etc/troupe-test"));
}

TEST_CASE("writing through a link that points outside stays inside") {
  unpacking u;
  tar_builder tar;
  const auto outside = u.dir.path + "/outside";
  tar.symlink("absolute", outside).file("absolute/f", "evil");
  tar.symlink("relative", "../outside").file("relative/f", "evil");
  tar.symlink("loop", "loop");
  (void)u.unpack(tar.finish());
  CHECK(fs::is_empty(outside));
}

TEST_CASE("a file replaces a link instead of being written through it") {
  unpacking u;
  write_text(u.dir.path + "/outside/victim", "safe");
  tar_builder tar;
  tar.symlink("f", u.dir.path + "/outside/victim").file("f", "evil");
  REQUIRE(u.unpack(tar.finish()).has_value());
  CHECK(read_text(u.dir.path + "/outside/victim") == "safe");
  CHECK(read_text(u.target + "/f") == "evil");
}

TEST_CASE("a hard link cannot reach outside, not even through a link") {
  unpacking u;
  write_text(u.dir.path + "/outside/secret", "secret");
  tar_builder climbing;
  climbing.hardlink("h", "../outside/secret");
  auto r = u.unpack(climbing.finish());
  CHECK_FALSE(r.has_value());
  tar_builder through;
  through.symlink("s", u.dir.path + "/outside").hardlink("h", "s/secret");
  unpacking v;
  CHECK_FALSE(v.unpack(through.finish()).has_value());
  CHECK_FALSE(fs::exists(v.target + "/h"));
}

TEST_CASE("a later entry replaces an earlier one of another type") {
  unpacking u;
  tar_builder tar;
  tar.directory("d").file("d/x", "1").file("d", "now a file").file("g", "1").directory("g").file("g/y", "2");
  REQUIRE(u.unpack(tar.finish()).has_value());
  CHECK(read_text(u.target + "/d") == "now a file");
  CHECK(read_text(u.target + "/g/y") == "2");
}

TEST_CASE("whiteouts become what overlayfs understands") {
  unpacking u;
  tar_builder tar;
  tar.directory("etc").file("etc/.wh.gone", "");
  const auto r = u.unpack(tar.finish());
  REQUIRE_MESSAGE(r.has_value(), (r ? "" : r.error().message));
  const auto st = status_of(u.target + "/etc/gone");
  CHECK(S_ISCHR(st.st_mode));
  CHECK(st.st_rdev == ::makedev(0, 0));
  CHECK_FALSE(fs::exists(u.target + "/etc/.wh.gone"));
}

TEST_CASE("opaque marks become attributes; a whiteout beside its name hides only what lies below") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: trusted attributes need root");
    return;
  }
  unpacking u;
  tar_builder tar;
  tar.directory("o").file("o/.wh..wh..opq", "").file("o/new", "n");
  tar.directory("r").file("r/new", "n").file(".wh.r", "");
  tar.file(".wh.s", "").directory("s").file("s/new", "n");
  REQUIRE(u.unpack(tar.finish()).has_value());
  for (const auto* name : {"/o", "/r", "/s"}) {
    char value[8] = {};
    CHECK_MESSAGE(::lgetxattr((u.target + name).c_str(), "trusted.overlay.opaque", value, sizeof value) == 1, name);
    CHECK(read_text(u.target + name + "/new") == "n");
  }
}

TEST_CASE("whiteouts of nothing are refused") {
  for (const auto* name : {".wh.", ".wh..", ".wh..."}) {
    unpacking u;
    tar_builder tar;
    tar.file(name, "");
    CHECK_MESSAGE(u.refused(tar.finish()), name);
  }
}

TEST_CASE("attributes that steer overlayfs are not taken over") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: attributes need root");
    return;
  }
  unpacking u;
  tar_builder tar;
  tar.xattr("f", "trusted.overlay.redirect", "/etc").xattr("g", "user.mine", "yes");
  REQUIRE(u.unpack(tar.finish()).has_value());
  char value[16] = {};
  CHECK(::lgetxattr((u.target + "/f").c_str(), "trusted.overlay.redirect", value, sizeof value) < 0);
}

TEST_CASE("garbage, truncation and bad compression are refused") {
  unpacking u, v, w;
  tar_builder tar(tar_builder::compression::gzip);
  tar.file("f", std::string(200000, 'x'));
  const auto bytes = tar.finish();
  CHECK(u.refused(std::string(100000, 'z')));
  CHECK(v.refused(bytes.substr(0, bytes.size() / 2)));
  auto flipped = bytes;
  flipped[bytes.size() / 2] = static_cast<char>(~flipped[bytes.size() / 2]);
  CHECK(w.refused(flipped));
}

TEST_CASE("an empty layer is a layer") {
  unpacking u;
  tar_builder tar;
  const auto bytes = tar.finish();
  const auto r = u.unpack(bytes);
  REQUIRE_MESSAGE(r.has_value(), (r ? "" : r.error().message));
  CHECK(r->diff_id == digest_of(bytes));
}

#include "temp_dir.hpp"

#include "actors/kubelet/volume/atomic_backend.hpp"
#include "actors/kubelet/volume/volume_backend.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <sys/stat.h>

using namespace troupe;
using namespace troupe::kubelet;
using namespace troupe::kubelet::test;
namespace fs = std::filesystem;

namespace {
std::string text_of(const std::string& path) {
  auto r = read_small_file(path);
  return r ? *r : "<" + r.error().message + ">";
}
std::uint32_t mode_of(const std::string& path) {
  struct stat st {};
  ::stat(path.c_str(), &st);
  return st.st_mode & 07777;
}
/// Mounting needs privileges that a test run may lack.
bool may_mount() {
  temp_dir d;
  return static_cast<bool>(mount_tmpfs(d.path, 0, 0755));
}
const cluster_reader nothing{
    [](std::string_view, std::string_view, std::string_view) -> std::shared_ptr<const json::value> { return nullptr; },
    [](std::string_view, std::string_view, const std::function<void(const json::value&)>&) {}};
} // namespace

TEST_CASE("files appear through ..data and change all at once") {
  temp_dir d;
  auto r = write_atomically(d.path, {{"a", {"1", 0644, {}}}, {"d/b", {"2", 0400, {}}}}, {});
  REQUIRE(r.has_value());
  CHECK(*r);
  CHECK(text_of(d.path + "/a") == "1");
  CHECK(text_of(d.path + "/d/b") == "2");
  CHECK(mode_of(d.path + "/d/b") == 0400);
  CHECK(fs::read_symlink(d.path + "/a") == "..data/a");
  auto version = fs::read_symlink(d.path + "/..data");
  auto same = write_atomically(d.path, {{"a", {"1", 0644, {}}}, {"d/b", {"2", 0400, {}}}}, {});
  CHECK_FALSE(*same);
  CHECK(fs::read_symlink(d.path + "/..data") == version);
  CHECK(*write_atomically(d.path, {{"a", {"3", 0644, {}}}}, {}));
  CHECK(text_of(d.path + "/a") == "3");
  CHECK_FALSE(fs::exists(fs::symlink_status(d.path + "/d")));
  CHECK_FALSE(fs::exists(d.path / version));
}

TEST_CASE("a group may read what is written for it") {
  temp_dir d;
  REQUIRE(write_atomically(d.path, {{"a", {"1", 0400, {}}}}, static_cast<std::int64_t>(::getgid())).has_value());
  CHECK(mode_of(d.path + "/a") == 0440);
}

TEST_CASE("paths that leave the volume are refused and nothing changes") {
  temp_dir d;
  REQUIRE(write_atomically(d.path, {{"a", {"1", 0644, {}}}}, {}).has_value());
  for (auto bad : {"../x", "/x", "..x", "a/../../x", "", "x/.."}) {
    CAPTURE(bad);
    CHECK_FALSE(is_safe_path(bad));
    CHECK_FALSE(write_atomically(d.path, {{bad, {"1", 0644, {}}}}, {}).has_value());
  }
  CHECK(is_safe_path("a/b..c"));
  CHECK(text_of(d.path + "/a") == "1");
}

TEST_CASE("the volumes of a pod are made, shown to containers and removed") {
  if (!may_mount()) {
    MESSAGE("skipped: this process may not mount");
    return;
  }
  temp_dir d;
  auto pod = json::parse(R"({"metadata":{"name":"w","namespace":"n","uid":"u"},"spec":{"volumes":[
    {"name":"e","emptyDir":{}},{"name":"m","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}},
    {"name":"h","hostPath":{"path":")" +
                         d.path + R"(/host","type":"DirectoryOrCreate"}},
    {"name":"dw","downwardAPI":{"items":[{"path":"ns","fieldRef":{"fieldPath":"metadata.namespace"}}]}},
    {"name":"t","projected":{"sources":[{"serviceAccountToken":{"path":"token"}}]}}],"containers":[{"name":"c"}]}})");
  auto dir = d.path + "/pods/u";
  auto places = make_volumes(dir, pod, {}, nothing, {{"t/token", "jwt"}});
  REQUIRE_MESSAGE(places.has_value(), (places ? "" : places.error().message));
  CHECK(mode_of(places->at("e").path) == 0777);
  CHECK(fs::space(places->at("m").path).capacity == 1 << 20);
  CHECK(text_of(places->at("dw").path + "/ns") == "n");
  CHECK(text_of(places->at("t").path + "/token") == "jwt");
  CHECK(fs::is_directory(d.path + "/host"));
  auto again = make_volumes(dir, pod, {}, nothing, {{"t/token", "new"}});
  REQUIRE(again.has_value());
  CHECK(text_of(places->at("t").path + "/token") == "new");
  auto one_file = place_mounts({{"dw", "/ns", "ns", "", false}}, *places);
  REQUIRE(one_file.has_value());
  CHECK(text_of((*one_file)[0].source) == "n");
  auto mounts = place_mounts({{"e", "/data", "sub/dir", "", false}, {"t", "/var/run/t", "", "", false}}, *places);
  REQUIRE(mounts.has_value());
  CHECK(fs::is_directory(places->at("e").path + "/sub/dir"));
  CHECK((*mounts)[1].read_only);
  CHECK(remove_pod_dir(dir).has_value());
  CHECK_FALSE(fs::exists(dir));
  CHECK(fs::is_directory(d.path + "/host"));
}

TEST_CASE("a planted link cannot lead a subPath out of its volume") {
  temp_dir d;
  fs::create_directories(d.path + "/v");
  fs::create_symlink("/etc", d.path + "/v/out");
  CHECK_FALSE(place_mounts({{"v", "/x", "out", "", false}}, {{"v", {d.path + "/v", false}}}).has_value());
  CHECK(place_mounts({{"v", "/x", "in", "", false}}, {{"v", {d.path + "/v", false}}}).has_value());
}

TEST_CASE("host paths are checked for their type") {
  temp_dir d;
  auto make = [&](const std::string& type) {
    auto pod = json::parse(R"({"metadata":{"name":"w"},"spec":{"volumes":[{"name":"h","hostPath":{"path":")" + d.path +
                           R"(/x","type":")" + type + R"("}}]}})");
    auto r = make_volumes(d.path + "/pod", pod, {}, nothing, {});
    return r ? std::string{} : r.error().message;
  };
  CHECK(make("Directory").find("hostPath type check failed") != std::string::npos);
  CHECK(make("FileOrCreate").empty());
  CHECK(make("File").empty());
  CHECK(make("Socket").find("is not a socket") != std::string::npos);
}

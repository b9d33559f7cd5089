#include "runtime/engine.hpp"
#include "runtime/image/digest.hpp"
#include "runtime/image/image_source.hpp"
#include "tests/unit/runtime/tar_builder.hpp"

#include <doctest/doctest.h>
#include <unistd.h>

using namespace troupe;
using namespace troupe::runtime;
using namespace troupe::tests;
using image::digest_of;
namespace fs = std::filesystem;

namespace {

std::string hex(const std::string& digest) { return digest.substr(7); }

std::string layer(const std::string& content) {
  tar_builder tar;
  tar.directory("bin").file("bin/" + content, content, 0755);
  return tar.finish();
}

std::string config_of(const std::vector<std::string>& layers, const std::string& architecture = "") {
  json::array ids;
  for (const auto& l : layers)
    ids.emplace_back(digest_of(l));
  json::object config{{"Cmd", json::array{"/server"}}, {"User", "web"}, {"WorkingDir", "/srv"}};
  return json::serialize(
      json::object{{"os", "linux"},
                   {"architecture", architecture.empty() ? image::host_architecture() : architecture},
                   {"config", config},
                   {"rootfs", json::object{{"type", "layers"}, {"diff_ids", ids}}}});
}

std::string docker_archive(const std::vector<std::string>& layers, const std::string& tag,
                           const std::string& architecture = "") {
  tar_builder tar;
  const auto config = config_of(layers, architecture);
  json::array files;
  for (const auto& l : layers) {
    tar.file(hex(digest_of(l)) + "/layer.tar", l);
    files.emplace_back(hex(digest_of(l)) + "/layer.tar");
  }
  tar.file(hex(digest_of(config)) + ".json", config);
  json::array tags;
  if (!tag.empty()) tags.emplace_back(tag);
  const json::array manifest{
      json::object{{"Config", hex(digest_of(config)) + ".json"}, {"RepoTags", tags}, {"Layers", files}}};
  return tar.file("manifest.json", json::serialize(manifest)).finish();
}

/// Writes an OCI layout below dir; layers as given, `blob` what stands for them.
void oci_layout(const std::string& dir, const std::vector<std::string>& layers, const std::vector<std::string>& blobs,
                const std::string& name) {
  const auto put = [&](const std::string& bytes) {
    write_text(dir + "/blobs/sha256/" + hex(digest_of(bytes)), bytes);
    return json::object{{"digest", digest_of(bytes)}, {"size", bytes.size()}};
  };
  json::array list;
  for (const auto& b : blobs)
    list.emplace_back(put(b));
  const auto manifest = json::serialize(
      json::object{{"schemaVersion", 2}, {"config", put(config_of(layers))}, {"layers", std::move(list)}});
  auto descriptor = put(manifest);
  descriptor["mediaType"] = "application/vnd.oci.image.manifest.v1+json";
  descriptor["annotations"] = json::object{{"org.opencontainers.image.ref.name", name}};
  write_text(dir + "/index.json",
             json::serialize(json::object{{"schemaVersion", 2}, {"manifests", json::array{json::value(descriptor)}}}));
  write_text(dir + "/oci-layout", R"({"imageLayoutVersion":"1.0.0"})");
}

struct store_scene {
  scratch_directory dir;
  std::string root = dir.path + "/root";
  std::shared_ptr<image_store> store = make_image_store(root);
  std::string put(const std::string& bytes) {
    const auto path = dir.path + "/in.tar";
    write_text(path, bytes);
    return path;
  }
  std::size_t layers() const {
    return static_cast<std::size_t>(std::distance(fs::directory_iterator(root + "/layers"), fs::directory_iterator()));
  }
  bool no_leftovers() const { return fs::is_empty(root + "/tmp"); }
};

} // namespace

TEST_CASE("docker archives are imported, with names and config") {
  store_scene s;
  const auto r = s.store->import(s.put(docker_archive({layer("a"), layer("b")}, "demo:1")), "");
  REQUIRE_MESSAGE(r.has_value(), (r ? "" : r.error().message));
  REQUIRE(r->size() == 1);
  const auto found = s.store->find("demo:1");
  REQUIRE(found.has_value());
  CHECK(found->references == std::vector<std::string>{"docker.io/library/demo:1"});
  CHECK(found->config.cmd == std::vector<std::string>{"/server"});
  CHECK(found->config.user == "web");
  CHECK(found->bytes == 2);
  CHECK(s.store->find(found->id)->id == found->id);
  CHECK(s.store->find(hex(found->id).substr(0, 12))->id == found->id);
  const auto paths = s.store->layer_paths(found->id);
  REQUIRE(paths->size() == 2);
  CHECK(read_text(s.root + "/" + (*paths)[0] + "/bin/b") == "b");
  CHECK(read_text(s.root + "/" + (*paths)[1] + "/bin/a") == "a");
  CHECK(s.no_leftovers());
}

TEST_CASE("OCI layouts are imported from directories and archives, with compressed layers") {
  store_scene s;
  tar_builder packed(tar_builder::compression::gzip), plain;
  packed.file("f", "x");
  plain.file("f", "x");
  const auto source = s.dir.path + "/oci";
  oci_layout(source, {plain.finish()}, {packed.finish()}, "registry.example/app:2");
  const auto r = s.store->import(source, "");
  REQUIRE_MESSAGE(r.has_value(), (r ? "" : r.error().message));
  CHECK(s.store->find("registry.example/app:2").has_value());
  REQUIRE(r->front().digests.size() == 1);
  CHECK(s.store->find("registry.example/app@" + r->front().digests[0])->id == r->front().id);

  store_scene t;
  tar_builder archive;
  for (const auto& e : fs::recursive_directory_iterator(source))
    if (e.is_regular_file()) archive.file(fs::relative(e.path(), source).string(), read_text(e.path().string()));
  CHECK(t.store->import(t.put(archive.finish()), "other:3").has_value());
  CHECK(t.store->find("other:3").has_value());
  CHECK_FALSE(t.store->find("registry.example/app:2").has_value());
}

TEST_CASE("layers are kept once and go with the last image that has them") {
  store_scene s;
  REQUIRE(s.store->import(s.put(docker_archive({layer("base"), layer("one")}, "a:1")), "").has_value());
  REQUIRE(s.store->import(s.put(docker_archive({layer("base"), layer("two")}, "a:2")), "").has_value());
  CHECK(s.layers() == 3);
  REQUIRE(s.store->remove("a:1").has_value());
  CHECK(s.layers() == 2);
  CHECK(s.store->layer_paths(s.store->find("a:2")->id)->size() == 2);
  REQUIRE(s.store->remove("a:2").has_value());
  CHECK(s.layers() == 0);
  CHECK(fs::is_empty(s.root + "/l"));
  CHECK(s.store->list().empty());
  CHECK(s.store->remove("a:2").error().code == 404);
}

TEST_CASE("a name moves to the newest image; the old one stays without it") {
  store_scene s;
  REQUIRE(s.store->import(s.put(docker_archive({layer("one")}, "a:1")), "").has_value());
  const auto old = s.store->find("a:1")->id;
  REQUIRE(s.store->import(s.put(docker_archive({layer("two")}, "a:1")), "").has_value());
  CHECK(s.store->find("a:1")->id != old);
  CHECK(s.store->find(old)->references.empty());
}

TEST_CASE("one image under two names loses names one by one") {
  store_scene s;
  const auto bytes = docker_archive({layer("one")}, "a:1");
  REQUIRE(s.store->import(s.put(bytes), "").has_value());
  REQUIRE(s.store->import(s.put(bytes), "b:1").has_value());
  REQUIRE(s.store->list().size() == 1);
  REQUIRE(s.store->remove("a:1").has_value());
  CHECK_FALSE(s.store->find("a:1").has_value());
  CHECK(s.store->find("b:1").has_value());
}

TEST_CASE("an image that a container uses is not removed") {
  store_scene s;
  REQUIRE(s.store->import(s.put(docker_archive({layer("one")}, "a:1")), "").has_value());
  const auto id = s.store->find("a:1")->id;
  write_text(s.root + "/containers/c1/state.json", json::serialize(json::object{{"id", "c1"}, {"image", id}}));
  const auto r = s.store->remove("a:1");
  REQUIRE_FALSE(r.has_value());
  CHECK(r.error().code == 409);
  CHECK(s.layers() == 1);
  fs::remove_all(s.root + "/containers/c1");
  CHECK(s.store->remove("a:1").has_value());
}

TEST_CASE("content that does not match its digest is refused and leaves nothing") {
  store_scene s;
  const auto source = s.dir.path + "/oci";
  oci_layout(source, {layer("x")}, {layer("y")}, "a:1");
  const auto wrong_diff = s.store->import(source, "");
  CHECK_FALSE(wrong_diff.has_value());
  fs::remove_all(source);
  oci_layout(source, {layer("x")}, {layer("x")}, "a:1");
  for (const auto& e : fs::directory_iterator(source + "/blobs/sha256")) {
    const auto bytes = read_text(e.path().string());
    write_text(e.path().string(), bytes + " ");
    CHECK_MESSAGE(!s.store->import(source, "").has_value(), e.path().string());
    write_text(e.path().string(), bytes);
  }
  CHECK(s.store->list().empty());
  CHECK(s.layers() == 0);
  CHECK(s.no_leftovers());
}

TEST_CASE("hostile and foreign archives are refused") {
  store_scene s;
  const auto refused = [&](const std::string& bytes) {
    const auto r = s.store->import(s.put(bytes), "");
    return !r.has_value() && r.error().code == 400;
  };
  CHECK(refused(docker_archive({layer("a")}, "a:1", "s390x")));
  CHECK(refused("no archive at all"));
  CHECK(refused(""));
  tar_builder empty, climbing, linked, absolute, device;
  CHECK(refused(empty.file("readme", "x").finish()));
  CHECK(refused(climbing.file("../evil", "x").finish()));
  CHECK(refused(linked.symlink("manifest.json", "/etc/passwd").finish()));
  CHECK(refused(
      absolute.file("manifest.json", R"([{"Config":"/etc/passwd","RepoTags":["a:1"],"Layers":["/etc/passwd"]}])")
          .finish()));
  tar_builder deep;
  CHECK(refused(deep.file("manifest.json", std::string(100000, '[')).finish()));
  tar_builder odd;
  CHECK(refused(odd.file("manifest.json", R"({"a":1})").finish()));
  CHECK(s.store->import("/does/not/exist", "").error().message.find("/does/not/exist") != std::string::npos);
  CHECK(s.store->list().empty());
  CHECK(s.no_leftovers());
}

TEST_CASE("one name cannot stand for several images, nor a malformed one for any") {
  store_scene s;
  CHECK_FALSE(s.store->import(s.put(docker_archive({layer("a")}, "a:1")), "NOT OK").has_value());
  CHECK(s.store->list().empty());
}

TEST_CASE("what a crash leaves is cleared when the store opens") {
  scratch_directory dir;
  const auto root = dir.path + "/root";
  make_image_store(root);
  write_text(root + "/tmp/abcdef/half", "x");
  write_text(root + "/layers/" + std::string(64, 'a') + "/diff/f", "orphan");
  write_text(root + "/images/broken.json", "{");
  const auto store = make_image_store(root);
  CHECK(fs::is_empty(root + "/tmp"));
  CHECK(fs::is_empty(root + "/layers"));
  CHECK(store->list().empty());
}

TEST_CASE("another process's import is seen without reopening") {
  store_scene s;
  const auto other = make_image_store(s.root);
  REQUIRE(other->import(s.put(docker_archive({layer("a")}, "a:1")), "").has_value());
  CHECK(s.store->find("a:1").has_value());
  REQUIRE(s.store->remove("a:1").has_value());
  CHECK(other->list().empty());
}

TEST_CASE("an image without any name is found by its id") {
  store_scene s;
  const auto r = s.store->import(s.put(docker_archive({layer("a")}, "")), "");
  REQUIRE(r.has_value());
  CHECK(r->front().references.empty());
  CHECK(s.store->find(r->front().id).has_value());
}

TEST_CASE("pull goes through skopeo, here from a local layout") {
  if (::access("/usr/bin/skopeo", X_OK) != 0) {
    MESSAGE("skipped: skopeo is not installed");
    return;
  }
  store_scene s;
  const auto source = s.dir.path + "/oci";
  oci_layout(source, {layer("x")}, {layer("x")}, "1.0");
  const auto r = s.store->pull("oci:" + source + ":1.0", "");
  REQUIRE_MESSAGE(r.has_value(), (r ? "" : r.error().message));
  CHECK(s.store->find(r->id).has_value());
  CHECK(r->digests.size() == 1);
  const auto missing = s.store->pull("oci:" + source + ":none", "{\"auths\":{}}");
  REQUIRE_FALSE(missing.has_value());
  CHECK(missing.error().message.find("cannot pull") != std::string::npos);
  // Port 1 of loopback: refused at once, nothing leaves the machine.
  const auto refused = s.store->pull("localhost:1/a:b", "");
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().code == 503);
  CHECK(s.no_leftovers());
}

// fixture: an engine and an image store in directories of their own, with the demo image in it.
#include "tests/runtime/fixture.hpp"

#include <doctest/doctest.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace troupe::tests {
namespace {

std::string scratch(const char* name) {
  std::string path = std::string("/tmp/troupe-") + name + "-XXXXXX";
  REQUIRE(::mkdtemp(path.data()) != nullptr);
  return path;
}

struct archive_file {
  std::string dir, file;
  archive_file() : dir(scratch("rt-image")), file(dir + "/demo.tar") {
    const char* source = std::getenv("TROUPE_SOURCE");
    REQUIRE(source != nullptr);
    const auto command = std::string(source) + "/configs/demo/build-image.sh " + file;
    REQUIRE(std::system(command.c_str()) == 0);
  }
  ~archive_file() { std::filesystem::remove_all(dir); }
};

} // namespace

const std::string& demo_archive() {
  static const archive_file made;
  return made.file;
}

std::string why_not() {
  if (::geteuid() != 0) return "containers need root";
  static const std::string reason = [] {
    const auto dir = scratch("rt-check");
    runtime::engine_paths paths{dir, dir + "/run", "troupe-check/n", ""};
    std::string out;
    if (auto r = runtime::make_linux_engine(paths, runtime::make_image_store(dir))->check_host(); !r)
      out = r.error().message;
    std::filesystem::remove_all(dir);
    return out;
  }();
  return reason;
}

node::node() {
  static std::atomic<int> count{0};
  base_ = scratch("rt");
  const char* wanted = std::getenv("TROUPE_OCI_RUNTIME");
  paths = {base_ + "/root", base_ + "/run",
           "troupe-rt" + std::to_string(::getpid()) + "x" + std::to_string(++count) + "/n", wanted ? wanted : ""};
  images = runtime::make_image_store(paths.root);
  auto added = images->import(demo_archive(), "");
  REQUIRE_MESSAGE(added.has_value(), (added ? "" : added.error().message));
  connect();
}

node::~node() {
  engine.reset();
  auto gone = runtime::purge(paths);
  CHECK_MESSAGE(gone.has_value(), (gone ? "" : gone.error().message));
  std::filesystem::remove_all(base_);
}

void node::connect() {
  engine = runtime::make_linux_engine(paths, images);
  engine->on_exit([this](const runtime::container_info& info) {
    std::lock_guard guard(lock_);
    exits_.push_back(info);
    changed_.notify_all();
  });
}

void node::restart() {
  engine.reset();
  connect();
}

runtime::sandbox_info node::sandbox() {
  runtime::sandbox_spec spec;
  spec.id = "box";
  spec.ns = "default";
  spec.name = "box";
  spec.hostname = "box-host";
  auto made = engine->create_sandbox(spec);
  REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message));
  return *made;
}

runtime::container_spec node::shell(const std::string& id, const std::string& script) {
  runtime::container_spec spec;
  spec.id = id;
  spec.sandbox_id = "box";
  spec.name = id;
  spec.image = "docker.io/troupe/demo:1";
  spec.args = {"/bin/sh", "-c", script};
  spec.log_path = base_ + "/" + id + ".log";
  return spec;
}

void node::run(const runtime::container_spec& spec) {
  sandbox();
  auto made = engine->create(spec);
  REQUIRE_MESSAGE(made.has_value(), (made ? "" : made.error().message));
  auto started = engine->start(spec.id);
  REQUIRE_MESSAGE(started.has_value(), (started ? "" : started.error().message));
}

runtime::container_info node::wait_exit(const std::string& id) {
  std::unique_lock guard(lock_);
  runtime::container_info out;
  const bool seen = changed_.wait_for(guard, std::chrono::seconds(10), [&] {
    for (const auto& e : exits_)
      if (e.id == id) {
        out = e;
        return true;
      }
    return false;
  });
  REQUIRE(seen);
  return out;
}

bool node::exit_reported(const std::string& id) {
  std::lock_guard guard(lock_);
  for (const auto& e : exits_)
    if (e.id == id) return true;
  return false;
}

std::string node::log(const std::string& id) {
  std::ifstream in(base_ + "/" + id + ".log");
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

bool eventually(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(5);
  while (std::chrono::steady_clock::now() < end) {
    if (condition()) return true;
    ::poll(nullptr, 0, 5);
  }
  return condition();
}

std::string read_all(int fd) {
  std::string out;
  char buffer[4096];
  while (true) {
    const auto n = ::read(fd, buffer, sizeof buffer);
    if (n <= 0) return out;
    out.append(buffer, static_cast<std::size_t>(n));
  }
}

double milliseconds(const std::function<void()>& fn) {
  const auto begin = std::chrono::steady_clock::now();
  fn();
  return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begin).count();
}

} // namespace troupe::tests

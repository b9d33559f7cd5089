// Restart, adoption, sudden death and purge of real containers: needs root; skipped with a printed reason elsewhere.
#include "runtime/linux/files.hpp"
#include "runtime/linux/mounts.hpp"
#include "runtime/linux/process.hpp"
#include "tests/runtime/fixture.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <thread>

using namespace troupe;
using namespace troupe::runtime;
using namespace troupe::tests;
using linux_host::list_directory;
using linux_host::read_file;

#define NEEDS_CONTAINERS()                                                                                             \
  if (const auto reason = why_not(); !reason.empty()) {                                                                \
    MESSAGE("skipped: " << reason);                                                                                    \
    return;                                                                                                            \
  }

namespace {

/// Processes whose command line names one of these paths.
std::vector<int> processes_of(const engine_paths& paths) {
  std::vector<int> out;
  for (const auto& name : list_directory("/proc"))
    if (name.find_first_not_of("0123456789") == std::string::npos &&
        read_file("/proc/" + name + "/cmdline").value_or("").find(paths.root) != std::string::npos &&
        linux_host::start_time(std::atoi(name.c_str())) != 0)
      out.push_back(std::atoi(name.c_str()));
  return out;
}

std::vector<std::string> groups_of(const engine_paths& paths) {
  std::vector<std::string> out;
  const auto top = paths.cgroup.substr(0, paths.cgroup.find('/'));
  const std::string root = "/sys/fs/cgroup";
  for (const auto& path : {root + "/" + top, root + "/unified/" + top})
    if (linux_host::exists(path)) out.push_back(path);
  for (const auto& controller : list_directory(root))
    if (linux_host::exists(root + "/" + controller + "/" + top)) out.push_back(root + "/" + controller + "/" + top);
  return out;
}

int conmon_of(const node& n, const std::string& id) {
  return std::atoi(read_file(n.paths.root + "/containers/" + id + "/conmon.pid").value_or("0").c_str());
}

} // namespace

TEST_CASE("a new engine adopts what runs, and hears of its exit") {
  NEEDS_CONTAINERS();
  node n;
  auto spec = n.shell("main", "trap 'exit 8' TERM; sleep 1000 & wait");
  spec.labels = {{"pod", "demo"}};
  spec.attempt = 2;
  n.run(spec);
  const auto before = *n.engine->inspect("main");
  n.restart();
  const auto after = n.engine->inspect("main");
  REQUIRE(after.has_value());
  CHECK(after->phase == container_phase::running);
  CHECK(after->pid == before.pid);
  CHECK(after->attempt == 2);
  CHECK(after->labels == before.labels);
  CHECK(after->started_at == before.started_at);
  REQUIRE(n.engine->sandboxes().size() == 1);
  CHECK(n.engine->exec_sync("main", {"true"}, std::chrono::seconds(10))->exit_code == 0);
  n.run(n.shell("new", "exit 0"));
  CHECK(n.wait_exit("new").exit_code == 0);
  REQUIRE(n.engine->signal("main", SIGTERM).has_value());
  CHECK(n.wait_exit("main").exit_code == 8);
}

TEST_CASE("an exit that happened while no engine ran is not lost") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "trap 'echo end > /dev/termination-log; exit 9' TERM; echo up; sleep 1000 & wait"));
  REQUIRE(eventually([&] { return n.log("main").find("up") != std::string::npos; }));
  const int pid = n.engine->inspect("main")->pid;
  n.engine.reset();
  ::kill(pid, SIGTERM);
  REQUIRE(eventually([&] { return linux_host::exists(n.paths.root + "/exits/main"); }));
  n.restart();
  const auto info = n.engine->inspect("main");
  REQUIRE(info.has_value());
  CHECK(info->phase == container_phase::exited);
  CHECK(info->exit_code == 9);
  CHECK(info->termination_message == "end\n");
  CHECK_FALSE(n.exit_reported("main")); // found by asking, not announced
}

TEST_CASE("a container that was created but not started is adopted as such and can be started") {
  NEEDS_CONTAINERS();
  node n;
  n.sandbox();
  REQUIRE(n.engine->create(n.shell("main", "exit 5")).has_value());
  n.restart();
  CHECK(n.engine->inspect("main")->phase == container_phase::created);
  REQUIRE(n.engine->start("main").has_value());
  CHECK(n.wait_exit("main").exit_code == 5);
}

TEST_CASE("a creation that a crash cut short is cleared away") {
  NEEDS_CONTAINERS();
  node n;
  n.sandbox();
  REQUIRE(n.engine->create(n.shell("main", "exit 5")).has_value());
  const auto path = n.paths.root + "/containers/main/state.json";
  auto text = *read_file(path);
  const std::string created = "\"created\"";
  text.replace(text.find(created), created.size(), "\"creating\"");
  n.engine.reset();
  REQUIRE(linux_host::write_atomic(path, text).has_value());
  n.restart();
  CHECK(n.engine->containers().empty());
  CHECK_FALSE(linux_host::exists(n.paths.root + "/containers/main"));
  CHECK(eventually([&] { return processes_of(n.paths).empty(); }));
  n.run(n.shell("main", "exit 6"));
  CHECK(n.wait_exit("main").exit_code == 6);
}

TEST_CASE("a container of an earlier boot is reported as ended") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "exit 0"));
  n.wait_exit("main");
  n.engine.reset();
  const auto path = n.paths.root + "/containers/main/state.json";
  auto text = *read_file(path);
  const auto boot = linux_host::boot_id();
  text.replace(text.find(boot), boot.size(), "another-boot");
  REQUIRE(linux_host::write_atomic(path, text).has_value());
  ::unlink((n.paths.root + "/exits/main").c_str());
  n.restart();
  CHECK(n.engine->inspect("main")->phase == container_phase::exited);
  CHECK(n.engine->inspect("main")->exit_code == 137);
}

TEST_CASE("a container whose conmon is killed ends and is reported") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "exec sleep 1000"));
  const int pid = n.engine->inspect("main")->pid;
  REQUIRE(conmon_of(n, "main") > 1);
  ::kill(conmon_of(n, "main"), SIGKILL);
  CHECK(n.wait_exit("main").exit_code == 137);
  CHECK(eventually([&] { return linux_host::start_time(pid) == 0; }));
  CHECK(n.engine->remove("main").has_value());
}

TEST_CASE("a container whose first process is killed from outside is reported") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "exec sleep 1000"));
  ::kill(n.engine->inspect("main")->pid, SIGKILL);
  CHECK(n.wait_exit("main").exit_code == 137);
  CHECK_FALSE(n.engine->inspect("main")->oom_killed);
}

TEST_CASE("removing kills what runs, repeats harmlessly and takes everything away") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "trap '' TERM; sleep 1000"));
  n.run(n.shell("two", "sleep 1000"));
  CHECK(n.engine->remove("main").has_value());
  CHECK(n.engine->remove("main").has_value());
  CHECK_FALSE(linux_host::exists(n.paths.root + "/containers/main"));
  CHECK_FALSE(linux_host::exists(n.paths.root + "/exits/main"));
  CHECK(n.engine->remove_sandbox("box").has_value());
  CHECK(n.engine->remove_sandbox("box").has_value());
  CHECK(n.engine->containers().empty());
  CHECK(n.engine->sandboxes().empty());
  CHECK(eventually([&] { return processes_of(n.paths).empty(); }));
  CHECK(linux_host::mounts_below(n.paths.root).empty());
  CHECK(linux_host::mounts_below(n.paths.run).empty());
}

TEST_CASE("an image is kept while a container uses it") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "sleep 1000"));
  CHECK(n.images->remove("docker.io/troupe/demo:1").error().code == 409);
  CHECK(n.engine->remove("main").has_value());
  CHECK(n.images->remove("docker.io/troupe/demo:1").has_value());
}

TEST_CASE("purge leaves nothing of ours and everything of others") {
  NEEDS_CONTAINERS();
  node ours, others;
  others.run(others.shell("other", "exec sleep 1000"));
  for (int i = 0; i < 3; ++i)
    ours.run(ours.shell("c" + std::to_string(i), "sleep 1000 & sleep 1000"));
  ours.engine.reset();
  REQUIRE_FALSE(processes_of(ours.paths).empty());
  REQUIRE_FALSE(groups_of(ours.paths).empty());
  const auto r = purge(ours.paths);
  CHECK_MESSAGE(r.has_value(), (r ? "" : r.error().message));
  CHECK(processes_of(ours.paths).empty());
  CHECK(groups_of(ours.paths).empty());
  CHECK(linux_host::mounts_below(ours.paths.root).empty());
  CHECK(linux_host::mounts_below(ours.paths.run).empty());
  CHECK_FALSE(linux_host::exists(ours.paths.run));
  CHECK(purge(ours.paths).has_value());
  CHECK(others.engine->inspect("other")->phase == container_phase::running);
  CHECK(others.engine->exec_sync("other", {"true"}, std::chrono::seconds(10))->exit_code == 0);
  CHECK_FALSE(purge({"relative", "/x", "y", ""}).has_value());
  CHECK_FALSE(purge({"/x", "/y", "", ""}).has_value());
}

TEST_CASE("many pods at once from several threads") {
  NEEDS_CONTAINERS();
  node n;
  constexpr int pods = 50, threads = 8;
  std::atomic<int> next{0}, failed{0};
  const auto work = [&](const std::function<bool(int)>& fn) {
    next = 0;
    std::vector<std::thread> pool;
    for (int t = 0; t < threads; ++t)
      pool.emplace_back([&] {
        for (int i = next++; i < pods; i = next++)
          if (!fn(i)) ++failed;
      });
    for (auto& t : pool)
      t.join();
  };
  const auto up = milliseconds([&] {
    work([&](int i) {
      sandbox_spec box;
      box.id = "pod" + std::to_string(i);
      box.hostname = box.id;
      if (!n.engine->create_sandbox(box)) return false;
      auto spec = n.shell("c" + std::to_string(i), "");
      spec.args.clear();
      spec.sandbox_id = box.id;
      return n.engine->create(spec).has_value() && n.engine->start(spec.id).has_value();
    });
  });
  CHECK(failed == 0);
  const auto all = n.engine->containers();
  CHECK(std::count_if(all.begin(), all.end(), [](const auto& c) { return c.phase == container_phase::running; }) ==
        pods);
  const auto restart = milliseconds([&] { n.restart(); });
  CHECK(n.engine->containers().size() == pods);
  const auto down = milliseconds(
      [&] { work([&](int i) { return n.engine->remove_sandbox("pod" + std::to_string(i)).has_value(); }); });
  CHECK(failed == 0);
  std::printf("timing ms: 50 pods up %.0f, adopted %.0f, down %.0f\n", up, restart, down);
  CHECK(n.engine->containers().empty());
}

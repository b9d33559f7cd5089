// Containers for real: needs root; skipped with a printed reason where they cannot run.
#include "tests/runtime/fixture.hpp"

#include <doctest/doctest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>

using namespace troupe;
using namespace troupe::runtime;
using namespace troupe::tests;

#define NEEDS_CONTAINERS()                                                                                             \
  if (const auto reason = why_not(); !reason.empty()) {                                                                \
    MESSAGE("skipped: " << reason);                                                                                    \
    return;                                                                                                            \
  }

TEST_CASE("a container runs, writes its log and reports its exit code") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("one", "echo hello; echo oops >&2; exit 3"));
  const auto info = n.wait_exit("one");
  CHECK(info.exit_code == 3);
  CHECK(info.phase == container_phase::exited);
  CHECK_FALSE(info.oom_killed);
  CHECK(info.finished_at >= info.started_at);
  const auto log = n.log("one");
  CHECK(log.find(" stdout F hello\n") != std::string::npos);
  CHECK(log.find(" stderr F oops\n") != std::string::npos);
}

TEST_CASE("creating and starting is quick") {
  NEEDS_CONTAINERS();
  node n;
  n.sandbox();
  std::vector<double> sandbox, create, start, remove;
  for (int i = 0; i < 20; ++i) {
    const auto id = "c" + std::to_string(i);
    sandbox_spec box;
    box.id = "quick" + std::to_string(i);
    sandbox.push_back(milliseconds([&] { CHECK(n.engine->create_sandbox(box).has_value()); }));
    auto spec = n.shell(id, "trap 'exit 0' TERM; sleep 1000 & wait");
    spec.sandbox_id = box.id;
    create.push_back(milliseconds([&] { CHECK(n.engine->create(spec).has_value()); }));
    start.push_back(milliseconds([&] { CHECK(n.engine->start(id).has_value()); }));
    remove.push_back(milliseconds([&] { CHECK(n.engine->remove(id).has_value()); }));
  }
  for (auto* v : {&sandbox, &create, &start, &remove})
    std::sort(v->begin(), v->end());
  std::printf(
      "timing ms (p50, max of 20): sandbox %.1f %.1f, create %.1f %.1f, start %.1f %.1f, kill and remove %.1f %.1f\n",
      sandbox[10], sandbox[19], create[10], create[19], start[10], start[19], remove[10], remove[19]);
}

TEST_CASE("a pod's containers share hostname, loopback and shared memory, and have their own processes") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell(
      "first",
      "echo shared > /dev/shm/x; mkdir /www; echo pong > /www/index.html; httpd -p 900 -h /www; exec sleep 1000"));
  REQUIRE(eventually([&] {
    return n.engine->exec_sync("first", {"wget", "-q", "-O", "-", "http://127.0.0.1:900/"}, std::chrono::seconds(5))
               ->exit_code == 0;
  }));
  n.run(n.shell("second", "hostname; cat /dev/shm/x; wget -q -O - http://127.0.0.1:900/; pidof httpd || echo alone; "
                          "cat /etc/hostname; echo $HOSTNAME"));
  n.wait_exit("second");
  for (const auto* wanted : {"F box-host\n", "F shared\n", "F pong\n", "F alone\n"})
    CHECK_MESSAGE(n.log("second").find(wanted) != std::string::npos, n.log("second"));
}

TEST_CASE("limits reach the cgroup and usage is read from it") {
  NEEDS_CONTAINERS();
  node n;
  auto spec = n.shell("limited", "exec sleep 1000");
  spec.limits.memory_bytes_max = 64 << 20;
  spec.limits.cpu_shares = 512;
  spec.limits.cpu_quota_us = 50000;
  spec.limits.pids_max = 50;
  n.run(spec);
  const auto v1 = n.engine->exec_sync(
      "limited", {"sh", "-c", "cat /sys/fs/cgroup/memory/memory.limit_in_bytes || cat /sys/fs/cgroup/memory.max"},
      std::chrono::seconds(10));
  REQUIRE(v1.has_value());
  CHECK_MESSAGE(v1->output.find("67108864") != std::string::npos, v1->output);
  const auto used = n.engine->stats("limited");
  REQUIRE_MESSAGE(used.has_value(), (used ? "" : used.error().message));
  CHECK(used->cpu_ns > 0);
  CHECK(used->memory_bytes > 0);
  CHECK(used->memory_bytes < (64u << 20));
}

TEST_CASE("a container that takes too much memory is killed and says so") {
  NEEDS_CONTAINERS();
  node n;
  auto spec = n.shell("greedy", "x=0123456789abcdef; while true; do x=$x$x; done");
  spec.limits.memory_bytes_max = 16 << 20;
  n.run(spec);
  const auto info = n.wait_exit("greedy");
  CHECK(info.exit_code == 137);
  CHECK(info.oom_killed);
}

TEST_CASE("exec: output, exit code, environment and a command that is not there") {
  NEEDS_CONTAINERS();
  node n;
  auto spec = n.shell("main", "exec sleep 1000");
  spec.env = {"GREETING=hi"};
  n.run(spec);
  const auto limit = std::chrono::seconds(10);
  const auto ok = n.engine->exec_sync("main", {"sh", "-c", "echo $GREETING; echo err >&2; exit 5"}, limit);
  REQUIRE_MESSAGE(ok.has_value(), (ok ? "" : ok.error().message));
  CHECK(ok->exit_code == 5);
  CHECK(ok->output.find("hi\n") != std::string::npos);
  CHECK(ok->output.find("err\n") != std::string::npos);
  const auto absent = n.engine->exec_sync("main", {"no-such-program"}, limit);
  REQUIRE(absent.has_value());
  CHECK(absent->exit_code != 0);
  CHECK(absent->output.find("no-such-program") != std::string::npos);
  CHECK(n.engine->exec_sync("nobody", {"true"}, limit).error().code == 404);
  std::vector<double> times;
  for (int i = 0; i < 10; ++i)
    times.push_back(milliseconds([&] { (void)n.engine->exec_sync("main", {"true"}, limit); }));
  std::sort(times.begin(), times.end());
  std::printf("timing ms: exec p50 %.1f\n", times[5]);
}

TEST_CASE("an exec that outlasts its time is killed, the container lives on") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "exec sleep 1000"));
  const auto r = n.engine->exec_sync("main", {"sh", "-c", "echo begun; sleep 777"}, std::chrono::milliseconds(500));
  REQUIRE(r.has_value());
  CHECK(r->timed_out);
  CHECK(r->output == "begun\n");
  CHECK(eventually([&] {
    const auto ps = n.engine->exec_sync("main", {"ps"}, std::chrono::seconds(10));
    return ps && ps->output.find("777") == std::string::npos;
  }));
  CHECK(n.engine->inspect("main")->phase == container_phase::running);
}

TEST_CASE("streaming exec keeps the streams apart and ends with standard input") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "exec sleep 1000"));
  auto p = n.engine->exec_start("main", {"sh", "-c", "cat; echo problem >&2; exit 4"}, true, false);
  REQUIRE_MESSAGE(p.has_value(), (p ? "" : p.error().message));
  const std::string text(50000, 'x');
  for (std::size_t done = 0; done < text.size();) {
    // The reader of this test reads later: a pipe holds 64 KiB.
    const auto w = ::write(p->in, text.data() + done, text.size() - done);
    REQUIRE(w > 0);
    done += static_cast<std::size_t>(w);
  }
  ::close(p->in);
  CHECK(read_all(p->out) == text);
  CHECK(read_all(p->err) == "problem\n");
  CHECK(*n.engine->exec_wait(*p) == 4);
  ::close(p->out);
  ::close(p->err);
}

TEST_CASE("exec with a terminal: a real terminal of the right size, nothing of the output lost") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "exec sleep 1000"));
  auto p = n.engine->exec_start("main", {"sh", "-c", "read x; tty; stty size; seq 1 3000; echo done $x; exit 6"}, true,
                                true);
  REQUIRE_MESSAGE(p.has_value(), (p ? "" : p.error().message));
  CHECK(p->terminal);
  CHECK(p->err == -1);
  REQUIRE(n.engine->exec_resize(*p, 91, 37).has_value());
  REQUIRE(eventually([&] {
    const auto ps = n.engine->exec_sync("main", {"ps"}, std::chrono::seconds(10));
    return ps && ps->output.find("read x") != std::string::npos;
  }));
  REQUIRE(::write(p->in, "go\n", 3) == 3);
  const auto out = read_all(p->out);
  CHECK_MESSAGE(out.find("/dev/pts/") != std::string::npos, out.substr(0, 200));
  CHECK_MESSAGE(out.find("37 91") != std::string::npos, out.substr(0, 200));
  CHECK(out.find("3000\r\n") != std::string::npos);
  CHECK(out.find("done go") != std::string::npos);
  CHECK(*n.engine->exec_wait(*p) == 6);
  ::close(p->in);
  ::close(p->out);
}

TEST_CASE("a streaming exec can be killed") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("main", "exec sleep 1000"));
  auto p = n.engine->exec_start("main", {"sh", "-c", "echo up; sleep 778"}, false, false);
  REQUIRE(p.has_value());
  char buffer[3];
  REQUIRE(::read(p->out, buffer, 3) == 3);
  REQUIRE(n.engine->exec_kill(*p).has_value());
  CHECK(*n.engine->exec_wait(*p) == 137);
  ::close(p->out);
  ::close(p->err);
}

TEST_CASE("attach reaches the container's own streams") {
  NEEDS_CONTAINERS();
  node n;
  auto spec = n.shell("main", "read x; echo got $x; echo bad >&2; read y");
  spec.open_stdin = true;
  n.run(spec);
  auto p = n.engine->attach("main");
  REQUIRE_MESSAGE(p.has_value(), (p ? "" : p.error().message));
  REQUIRE(::write(p->in, "this\n", 5) == 5);
  char buffer[9] = {};
  REQUIRE(::read(p->out, buffer, 9) == 9);
  CHECK(std::string(buffer, 9) == "got this\n");
  REQUIRE(::read(p->err, buffer, 4) == 4);
  CHECK(std::string(buffer, 4) == "bad\n");
  REQUIRE(::write(p->in, "bye\n", 4) == 4);
  CHECK(n.wait_exit("main").exit_code == 0);
  CHECK(read_all(p->out).empty());
  for (const int fd : {p->in, p->out, p->err})
    ::close(fd);
}

TEST_CASE("attach to a container with a terminal resizes it") {
  NEEDS_CONTAINERS();
  node n;
  auto spec = n.shell("main", "read x; stty size; read y");
  spec.open_stdin = spec.terminal = true;
  n.run(spec);
  auto p = n.engine->attach("main");
  REQUIRE_MESSAGE(p.has_value(), (p ? "" : p.error().message));
  CHECK(p->terminal);
  REQUIRE(n.engine->exec_resize(*p, 120, 40).has_value());
  REQUIRE(eventually([&] {
    return n.engine->exec_sync("main", {"sh", "-c", "stty size < /proc/1/fd/0"}, std::chrono::seconds(10))
               ->output.find("40 120") != std::string::npos;
  }));
  REQUIRE(::write(p->in, "a\n", 2) == 2);
  CHECK(eventually([&] { return n.log("main").find("40 120") != std::string::npos; }));
  ::close(p->in);
  ::close(p->out);
}

TEST_CASE("the demo server ends at once on SIGTERM, and answers with its version and host") {
  NEEDS_CONTAINERS();
  node n;
  for (const auto* version : {"1", "2"}) {
    auto spec = n.shell(std::string("demo") + version, "");
    spec.image = std::string("docker.io/troupe/demo:") + version;
    spec.args.clear();
    spec.env = {std::string("PORT=808") + version};
    n.run(spec);
    const auto url = std::string("http://127.0.0.1:808") + version + "/";
    std::string answer;
    REQUIRE(eventually([&] {
      const auto got = n.engine->exec_sync(spec.id, {"wget", "-q", "-O", "-", url}, std::chrono::seconds(10));
      answer = got ? got->output : "";
      return got && got->exit_code == 0;
    }));
    CHECK(answer == std::string("troupe demo version ") + version + " on box-host\n");
  }
  const auto took = milliseconds([&] {
    REQUIRE(n.engine->signal("demo1", SIGTERM).has_value());
    CHECK(n.wait_exit("demo1").exit_code == 0);
  });
  std::printf("timing ms: demo server from SIGTERM to reported exit %.1f\n", took);
  CHECK(took < 2000);
}

TEST_CASE("the termination message is read after the exit, also one beyond the limit") {
  NEEDS_CONTAINERS();
  node n;
  n.run(n.shell("short", "echo because > /dev/termination-log; exit 1"));
  CHECK(n.wait_exit("short").termination_message == "because\n");
  n.run(n.shell("long", "head -c 10000 /dev/zero | tr '\\0' x > /dev/termination-log"));
  CHECK(n.wait_exit("long").termination_message == std::string(4096, 'x'));
}

TEST_CASE("what cannot be started is refused with the runtime's words and leaves nothing") {
  NEEDS_CONTAINERS();
  node n;
  n.sandbox();
  auto spec = n.shell("bad", "");
  spec.args = {"/no/such/program"};
  const auto r = n.engine->create(spec);
  REQUIRE_FALSE(r.has_value());
  CHECK_MESSAGE(r.error().message.find("/no/such/program") != std::string::npos, r.error().message);
  CHECK_FALSE(n.engine->inspect("bad").has_value());
  spec = n.shell("bad", "true");
  spec.image = "docker.io/library/absent:1";
  CHECK(n.engine->create(spec).error().message.find("absent") != std::string::npos);
  spec = n.shell("../evil", "true");
  CHECK(n.engine->create(spec).error().code == 400);
  spec = n.shell("bad", "true");
  spec.mounts = {{"/no/such/dir", "/data", false, "", 0}};
  CHECK_FALSE(n.engine->create(spec).has_value());
  spec = n.shell("bad", "exit 9");
  n.run(spec);
  CHECK(n.wait_exit("bad").exit_code == 9);
}

TEST_CASE("mounts, read-only root, user and capabilities hold") {
  NEEDS_CONTAINERS();
  node n;
  const auto dir = n.paths.root + "/volume";
  REQUIRE(std::system(("mkdir -p " + dir + " && echo data > " + dir + "/f && chmod 777 " + dir).c_str()) == 0);
  auto spec =
      n.shell("strict", "id -u; id -g; cat /data/f; echo x > /data/g; echo x > /ro/g; echo x > /y; echo t > /mem/t && "
                        "cat /mem/t; grep CapEff /proc/self/status; grep NoNewPrivs /proc/self/status; "
                        "cat /proc/kcore; exit 0");
  spec.mounts = {{dir, "/data", false, "", 0}, {dir, "/ro", true, "", 0}, {"tmpfs", "/mem", false, "", 1 << 20}};
  spec.sec.read_only_rootfs = true;
  spec.sec.no_new_privileges = true;
  spec.sec.uid = 1000;
  spec.sec.gid = 1001;
  spec.sec.drop_capabilities = {"ALL"};
  spec.sec.seccomp = "RuntimeDefault";
  n.run(spec);
  CHECK(n.wait_exit("strict").exit_code == 0);
  const auto log = n.log("strict");
  for (const auto* wanted : {"F 1000\n", "F 1001\n", "F data\n", "F t\n", "CapEff:\t0000000000000000", "NoNewPrivs:\t1",
                             "can't create /ro/g: Read-only", "can't create /y: Read-only"})
    CHECK_MESSAGE(log.find(wanted) != std::string::npos, wanted << " in " << log);
  CHECK(log.find("can't create /data/g") == std::string::npos);
}

TEST_CASE("a privileged container and one in the host's network") {
  NEEDS_CONTAINERS();
  node n;
  sandbox_spec box;
  box.id = "hostbox";
  box.host_network = box.host_pid = true;
  REQUIRE(n.engine->create_sandbox(box).has_value());
  auto spec =
      n.shell("wide", "ls /proc/" + std::to_string(::getpid()) + "/stat; readlink /proc/self/ns/net; ls /dev | wc -l");
  spec.sandbox_id = "hostbox";
  spec.sec.privileged = true;
  REQUIRE_MESSAGE(n.engine->create(spec).has_value(), "create");
  REQUIRE(n.engine->start("wide").has_value());
  CHECK(n.wait_exit("wide").exit_code == 0);
  char link[64] = {};
  REQUIRE(::readlink("/proc/self/ns/net", link, sizeof link - 1) > 0);
  CHECK_MESSAGE(n.log("wide").find(link) != std::string::npos, n.log("wide"));
}

TEST_CASE("sysctls of the pod's namespaces are set, others refused") {
  NEEDS_CONTAINERS();
  node n;
  sandbox_spec box;
  box.id = "box";
  box.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "0"}, {"kernel.shm_rmid_forced", "1"}};
  REQUIRE_MESSAGE(n.engine->create_sandbox(box).has_value(), "sysctls");
  n.run(n.shell("c", "cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shm_rmid_forced"));
  n.wait_exit("c");
  CHECK_MESSAGE(n.log("c").find("F 0\n") != std::string::npos, n.log("c"));
  CHECK(n.log("c").find("F 1\n") != std::string::npos);
  for (const auto* bad : {"kernel.panic", "net/../kernel.panic", "vm.swappiness"}) {
    box.id = "other";
    box.sysctls = {{bad, "1"}};
    CHECK(n.engine->create_sandbox(box).error().code == 400);
  }
  CHECK(n.engine->sandboxes().size() == 1);
}

TEST_CASE("a log that was renamed is reopened under its name") {
  NEEDS_CONTAINERS();
  node n;
  auto spec = n.shell("main", "trap 'echo later' USR1; echo before; while true; do sleep 1000 & wait; done");
  n.run(spec);
  REQUIRE(eventually([&] { return n.log("main").find("before") != std::string::npos; }));
  REQUIRE(std::rename(spec.log_path.c_str(), (spec.log_path + ".1").c_str()) == 0);
  REQUIRE(n.engine->reopen_log("main").has_value());
  REQUIRE(eventually([&] { return ::access(spec.log_path.c_str(), F_OK) == 0; }));
  REQUIRE(n.engine->signal("main", SIGUSR1).has_value());
  CHECK(eventually([&] { return n.log("main").find("later") != std::string::npos; }));
  CHECK(n.log("main").find("before") == std::string::npos);
}

#include "runtime/spec_planner.hpp"
#include "tests/unit/runtime/tar_builder.hpp"

#include <doctest/doctest.h>

#include <cstdlib>

using namespace troupe;
using namespace troupe::runtime;

namespace {

struct scene {
  container_spec container;
  image_config image;
  plan_input in{.container = container, .image = image};
  scene() {
    container.id = "c1";
    container.name = "web";
    image.cmd = {"/server"};
    image.env = {"PATH=/bin", "FROM=image"};
    in.rootfs = "/bundle/rootfs";
    in.cgroup_path = "/troupe-x/n/podbox/c1";
    in.netns = "/run/box/net";
    in.ipcns = "/run/box/ipc";
    in.utsns = "/run/box/uts";
    in.shm_path = "/run/box/shm";
    in.hostname = "box";
    in.hostname_path = "/run/box/hostname";
    in.termination_path = "/bundle/termination-log";
  }
};

std::string indent(const json::value& v, int depth = 0) {
  const std::string pad(static_cast<std::size_t>(depth + 1) * 2, ' '), end(static_cast<std::size_t>(depth) * 2, ' ');
  std::string out;
  if (v.is_object() && !v.get_object().empty()) {
    for (const auto& kv : v.get_object())
      out += (out.empty() ? "{\n" : ",\n") + pad + json::serialize(json::value(kv.key())) + ": " +
             indent(kv.value(), depth + 1);
    return out + "\n" + end + "}";
  }
  if (v.is_array() && !v.get_array().empty() && !v.get_array()[0].is_string()) {
    for (const auto& e : v.get_array())
      out += (out.empty() ? "[\n" : ",\n") + pad + indent(e, depth + 1);
    return out + "\n" + end + "]";
  }
  return json::serialize(v);
}

/// Compares with tests/unit/runtime/golden/NAME.json; TROUPE_REWRITE=1 writes it instead.
void check_golden(const char* name, const result<json::value>& plan) {
  REQUIRE_MESSAGE(plan.has_value(), (plan ? "" : plan.error().message));
  const char* source = std::getenv("TROUPE_SOURCE");
  REQUIRE(source != nullptr);
  const auto path = std::string(source) + "/tests/unit/runtime/golden/" + name + ".json";
  const auto text = indent(*plan) + "\n";
  if (std::getenv("TROUPE_REWRITE")) tests::write_text(path, text);
  CHECK(tests::read_text(path) == text);
}

std::vector<std::string> names(const json::value& plan, std::initializer_list<std::string_view> path) {
  std::vector<std::string> out;
  for (const auto& v : jq::arr(plan, path))
    out.emplace_back(jq::view(v.as_string()));
  return out;
}

bool has(const std::vector<std::string>& list, const char* s) {
  return std::find(list.begin(), list.end(), s) != list.end();
}

} // namespace

TEST_CASE("a plain container gets the defaults of containerd and Docker") {
  scene s;
  check_golden("plain", plan_spec(s.in));
}

TEST_CASE("a container with limits, mounts and a user") {
  scene s;
  auto& c = s.container;
  c.args = {"sh", "-c", "true"};
  c.env = {"FROM=pod", "NEW=1", "malformed"};
  c.cwd = "/work";
  c.terminal = true;
  c.limits = {512, 50000, 100000, 64 << 20, 100, 985};
  c.mounts = {{"/pods/box/deep", "/data/deep", true, "", 0},
              {"/pods/box/data", "/data", false, "", 0},
              {"tmpfs", "/cache", false, "", 1 << 20},
              {"/host", "/host", true, "rslave", 0},
              {"/pods/box/hosts", "/etc/hosts", false, "", 0}};
  c.sec.read_only_rootfs = true;
  c.sec.no_new_privileges = true;
  c.sec.seccomp = "RuntimeDefault";
  c.sec.drop_capabilities = {"ALL"};
  c.sec.add_capabilities = {"NET_BIND_SERVICE"};
  s.in.user = {1000, 1001, {1001, 2000}, "/home/user"};
  check_golden("limited", plan_spec(s.in));
}

TEST_CASE("a privileged container in the host's namespaces on a v1 host") {
  scene s;
  s.container.sec.privileged = true;
  s.in.netns = s.in.ipcns = s.in.utsns = "";
  s.in.host_pid = true;
  s.in.shm_path = "/dev/shm";
  s.in.host.cgroup_v2 = false;
  s.in.devices = {{"/dev/kvm", 'c', 10, 232, 0660, 0, 104}};
  check_golden("privileged", plan_spec(s.in));
}

TEST_CASE("the pod's command replaces the image's entrypoint and command") {
  scene s;
  s.image.entrypoint = {"/entry"};
  s.image.cmd = {"a"};
  CHECK(plan_args(s.container, s.image) == std::vector<std::string>{"/entry", "a"});
  s.container.args = {"x"};
  CHECK(plan_args(s.container, s.image) == std::vector<std::string>{"x"});
}

TEST_CASE("a container without any command is refused") {
  scene s;
  s.image.cmd.clear();
  const auto plan = plan_spec(s.in);
  REQUIRE_FALSE(plan.has_value());
  CHECK(plan.error().message.find("no command specified") != std::string::npos);
}

TEST_CASE("capabilities: drop all, then add single ones; add all, then drop single ones") {
  scene s;
  const auto caps = [&] { return names(*plan_spec(s.in), {"process", "capabilities", "bounding"}); };
  s.container.sec.drop_capabilities = {"ALL"};
  CHECK(caps().empty());
  s.container.sec.add_capabilities = {"cap_net_admin"};
  CHECK(caps() == std::vector<std::string>{"CAP_NET_ADMIN"});
  s.container.sec.add_capabilities = {"ALL"};
  s.container.sec.drop_capabilities = {"SYS_ADMIN"};
  CHECK(has(caps(), "CAP_SYS_TIME"));
  CHECK_FALSE(has(caps(), "CAP_SYS_ADMIN"));
  s.container.sec.add_capabilities = {"FLY"};
  CHECK(plan_spec(s.in).error().message.find("FLY") != std::string::npos);
}

TEST_CASE("what the host lacks is not asked for") {
  scene s;
  s.in.host.capabilities = {"CHOWN", "KILL"};
  s.in.host.oom_score_adj_min = 0;
  s.in.host.open_files_max = 1024;
  s.container.limits.oom_score_adj = -997;
  const auto plan = *plan_spec(s.in);
  CHECK(names(plan, {"process", "capabilities", "effective"}) == std::vector<std::string>{"CAP_CHOWN", "CAP_KILL"});
  CHECK(jq::num(plan, {"process", "oomScoreAdj"}, 7) == 0);
  CHECK(jq::num(jq::arr(plan, {"process", "rlimits"})[0], {"hard"}) == 1024);
}

TEST_CASE("bad mounts, profiles and directories are refused") {
  const auto refused = [](const std::function<void(container_spec&)>& change) {
    scene s;
    change(s.container);
    return !plan_spec(s.in).has_value();
  };
  CHECK(refused([](auto& c) { c.mounts = {{"/a", "relative", false, "", 0}}; }));
  CHECK(refused([](auto& c) { c.mounts = {{"/a", "/", false, "", 0}}; }));
  CHECK(refused([](auto& c) { c.mounts = {{"relative", "/a", false, "", 0}}; }));
  CHECK(refused([](auto& c) { c.mounts = {{"/a", "/a", false, "sideways", 0}}; }));
  CHECK(refused([](auto& c) { c.sec.seccomp = "Localhost"; }));
  CHECK(refused([](auto& c) { c.cwd = "relative"; }));
  CHECK(refused([](auto& c) { c.args = {std::string("a\0b", 3)}; }));
}

TEST_CASE("exec runs as the container does, with its own command and terminal") {
  scene s;
  const auto config = *plan_spec(s.in);
  const auto exec = plan_exec(config, {"ls", "-l"}, true);
  CHECK(names(exec, {"args"}) == std::vector<std::string>{"ls", "-l"});
  CHECK(jq::flag(exec, {"terminal"}));
  CHECK(has(names(exec, {"env"}), "TERM=xterm"));
  CHECK(has(names(exec, {"env"}), "FROM=image"));
  CHECK_FALSE(has(names(plan_exec(config, {"ls"}, false), {"env"}), "TERM=xterm"));
}

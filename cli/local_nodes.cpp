#include "cli/local_nodes.hpp"

#include "actors/node/dir_lock.hpp"
#include "api/json.hpp"
#include "cli/client/https_client.hpp"
#include "cli/process.hpp"
#include "net/host/node_network.hpp"
#include "net/pod/network.hpp"

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>
#include <sys/wait.h>
#include <unistd.h>

namespace troupe::cli {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::seconds ready_patience{90};
constexpr std::chrono::seconds stop_grace{30};
/// Before a node that died is started again; doubled each time up to the last, from the first again after a calm life.
constexpr std::chrono::milliseconds restart_first{500}, restart_last{30000};
constexpr std::chrono::seconds calm_life{60};

using clock = std::chrono::steady_clock;

struct watched {
  const node_command* command = nullptr;
  int pid = 0; // 0: not running
  clock::time_point born, due = clock::time_point::max();
  std::chrono::milliseconds delay = restart_first;
};

std::string ending(int code) {
  if (WIFSIGNALED(code)) return "was killed by signal " + std::to_string(WTERMSIG(code));
  return "ended with exit status " + std::to_string(WEXITSTATUS(code));
}

void on_end(watched& w, int code) {
  w.pid = 0;
  // Told to stop, or another process runs this node: not ours to bring back.
  if (WIFEXITED(code) && WEXITSTATUS(code) == 0) return;
  const auto now = clock::now();
  w.delay = now - w.born > calm_life ? restart_first : w.delay;
  w.due = now + w.delay;
  std::cerr << "troupe: node " << w.command->name << " " << ending(code) << "; starting it again in " << w.delay.count()
            << " ms, see " << w.command->node_dir << "/troupe.log\n";
  w.delay = std::min(w.delay * 2, restart_last);
}

void restart(watched& w) {
  w.due = clock::time_point::max();
  w.born = clock::now();
  // Whether it gets ready is in its log; only its end concerns the supervisor.
  auto again = start_detached(w.command->args, w.command->node_dir + "/troupe.log");
  if (again) {
    ::close(again->ready_fd);
    w.pid = again->pid;
    return;
  }
  std::cerr << "troupe: node " << w.command->name << ": " << again.error().message << "\n";
  w.due = w.born + w.delay;
}

timespec until(clock::time_point due) {
  const auto left = std::clamp(std::chrono::duration_cast<std::chrono::nanoseconds>(due - clock::now()),
                               std::chrono::nanoseconds{1ms}, std::chrono::nanoseconds{1h});
  return {static_cast<time_t>(left.count() / 1'000'000'000), static_cast<long>(left.count() % 1'000'000'000)};
}

/// Who leads, as any master says; empty when none answers.
std::string leader_of(const std::string& data_dir) {
  auto config = load_kubeconfig(data_dir + "/admin.kubeconfig");
  if (!config) return {};
  https_client client{std::move(*config)};
  http_call call;
  call.target = "/troupe/v1/members";
  const auto answer = client.call(call);
  if (!answer || answer->code != 200) return {};
  boost::system::error_code bad;
  const auto doc = json::parse(answer->body, bad);
  return bad ? std::string{} : std::string{jq::str(doc, {"leader"})};
}

bool is_master(const std::string& node_dir) { return std::filesystem::exists(node_dir + "/store"); }

} // namespace

std::string supervisor_file(const std::string& data_dir) { return data_dir + "/supervisor.lock"; }

std::vector<local_node> local_nodes(const node::cluster_config& config, const node::cluster_identity& cluster) {
  std::vector<local_node> out;
  for (const auto& n : config.nodes)
    if (n.address.empty() || net::is_own_address(n.address))
      out.push_back({n, node::address_of(cluster, n), n.address.empty() && n.name != cluster.alone.node});
  return out;
}

result<void> prepare_network(const std::string& data_dir, const node::cluster_identity& cluster, const local_node& n) {
  if (!n.in_namespace) return {};
  if (::geteuid() != 0)
    return errors::bad_request("node " + n.config.name +
                               " has no address in the config, so it runs in a network namespace, which needs root; "
                               "run troupe up as root (sudo troupe up) or give the nodes addresses");
  auto lock = node::dir_lock::take(data_dir);
  if (!lock) return lock.error();
  const net::node_network_config c{cluster.id, cluster.node_cidr};
  if (auto done = net::make_node_bridge(c); !done) return done;
  return net::make_node_namespace(c, n.config.name, n.address);
}

std::vector<node_start> start_nodes(const std::vector<node_command>& commands) {
  std::vector<node_start> out(commands.size());
  std::vector<starting> all;
  std::vector<std::size_t> of; // index in `commands`
  const auto complain_of = [&](const node_command& c, const std::string& why) {
    std::cerr << "troupe: node " << c.name << ": " << why << "\n";
  };
  for (std::size_t i = 0; i < commands.size(); ++i) {
    auto one = start_detached(commands[i].args, commands[i].node_dir + "/troupe.log");
    if (one) {
      all.push_back(*one);
      of.push_back(i);
    } else {
      complain_of(commands[i], one.error().message);
    }
  }
  const auto outcomes = await_ready(all, ready_patience, [&](std::size_t k, const std::string& why) {
    std::cout << "node " << commands[of[k]].name << " waits: " << why << std::endl;
  });
  for (std::size_t k = 0; k < outcomes.size(); ++k) {
    const auto& c = commands[of[k]];
    auto& o = out[of[k]];
    o.ready = outcomes[k].has_value();
    o.pid = ::kill(all[k].pid, 0) == 0 ? all[k].pid : 0; // who ended was waited for
    if (o.ready)
      std::cout << "node " << c.name << " is ready (pid " << o.pid << ")" << std::endl;
    else
      complain_of(c, outcomes[k].error().message);
  }
  return out;
}

void supervise_nodes(const std::vector<node_command>& commands, const std::vector<node_start>& started) {
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGTERM, SIGINT, SIGCHLD})
    sigaddset(&signals, s);
  std::vector<watched> all;
  for (std::size_t i = 0; i < commands.size(); ++i)
    all.push_back({&commands[i], started[i].pid, clock::now()});
  while (true) {
    int code = 0;
    for (pid_t pid; (pid = ::waitpid(-1, &code, WNOHANG)) > 0;)
      for (auto& w : all)
        if (w.pid == pid) on_end(w, code);
    auto due = clock::time_point::max();
    bool any = false;
    for (auto& w : all) {
      if (w.due <= clock::now()) restart(w);
      due = std::min(due, w.due);
      any = any || w.pid != 0 || w.due != clock::time_point::max();
    }
    if (!any) return;
    const auto patience = until(due);
    const int got = ::sigtimedwait(&signals, nullptr, &patience);
    if (got == SIGTERM || got == SIGINT) return;
  }
}

result<void> stop_nodes(const std::string& data_dir, const std::vector<std::string>& names) {
  std::vector<std::vector<std::pair<std::string, int>>> groups(1); // the workers, then each master by itself
  for (const auto& name : names) {
    const auto node_dir = data_dir + "/" + name;
    const auto pid = running_pid(node_dir);
    if (!pid) continue;
    if (is_master(node_dir))
      groups.push_back({{name, *pid}});
    else
      groups.front().emplace_back(name, *pid);
  }
  // The leader last: it would hand over to a master that is about to stop.
  if (groups.size() > 2)
    std::stable_partition(groups.begin() + 1, groups.end(),
                          [leader = leader_of(data_dir)](const auto& g) { return g.front().first != leader; });
  for (const auto& group : groups) {
    std::vector<int> pids;
    for (const auto& [name, pid] : group)
      pids.push_back(pid);
    if (auto stopped = stop_processes(pids, stop_grace); !stopped) return stopped;
    for (const auto& [name, pid] : group)
      std::cout << "node " << name << " stopped" << std::endl;
  }
  return {};
}

} // namespace troupe::cli

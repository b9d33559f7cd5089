// `troupe up`: starts the node(s) of a config and stays until told to stop, or detaches.
#include "actors/node/cluster_identity.hpp"
#include "actors/node/node.hpp"
#include "actors/support/component.hpp"
#include "cli/data_dir.hpp"
#include "cli/join.hpp"
#include "cli/local_nodes.hpp"
#include "cli/process.hpp"
#include "cli/verb_options.hpp"
#include "net/host/node_network.hpp"

#include <boost/program_options.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <unistd.h>

namespace troupe::cli {

namespace po = boost::program_options;

namespace {

constexpr std::chrono::seconds ready_patience{60};

struct up_options {
  std::string file, data_dir, node;
  bool detach = false;
};

/// Exit status when parsing already settled it (help, wrong usage).
std::optional<int> parse(const args& words, up_options& out) {
  po::options_description desc("usage: troupe up [-f FILE.yaml] [--data-dir DIR] [--node NAME] [--detach]\noptions");
  desc.add_options()("file,f", po::value(&out.file), "cluster config (kind: TroupeCluster)")(
      "data-dir", po::value(&out.data_dir)->default_value(default_data_dir()), "where state is kept")(
      "node", po::value(&out.node), "start only this node of the config")("detach", po::bool_switch(&out.detach),
                                                                          "return when the API answers /readyz");
  if (auto code = parse_words("up", words, desc)) return code;
  out.data_dir = absolute_dir(out.data_dir);
  return std::nullopt;
}

/// Without a file: the node that already has state here keeps its name, else the host's name is taken.
std::string single_node_name(const up_options& o) {
  if (!o.node.empty()) return o.node;
  const auto known = nodes_in(o.data_dir);
  return known.size() == 1 ? known.front() : host_node_name();
}

/// A file that names one node may be what is left of several, too.
bool others_founded(const up_options& o, const node::node_config& only) {
  const auto known = node::read_identity(o.data_dir);
  return known && known->can_grow() && known->alone.node != only.name;
}

std::optional<int> load(const up_options& o, node::cluster_config& out) {
  if (o.file.empty()) {
    const auto known = nodes_in(o.data_dir);
    if (known.size() > 1 && o.node.empty())
      return complain(o.data_dir + " holds " + std::to_string(known.size()) +
                          " nodes; say which cluster file starts them: troupe up -f FILE --data-dir " + o.data_dir,
                      2);
    out = node::single_node_config(single_node_name(o));
    return std::nullopt;
  }
  std::ifstream in(o.file);
  if (!in) return complain("cannot read " + o.file + ": " + std::strerror(errno), 2);
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = node::parse_cluster_config(text.str());
  if (auto* errors = std::get_if<1>(&parsed)) {
    for (const auto& e : *errors)
      std::cerr << o.file << ":" << e.line << ":" << e.column << ": " << e.what << "\n";
    return 2;
  }
  out = std::get<0>(std::move(parsed));
  return std::nullopt;
}

/// Of a cluster of one node.
std::optional<int> choose(const up_options& o, const node::cluster_config& c, node::node_config& self) {
  if (!o.node.empty() && c.nodes.front().name != o.node)
    return complain("no node named \"" + o.node + "\" in " + o.file + "; it has \"" + c.nodes.front().name + "\"", 2);
  self = c.nodes.front();
  if (!self.master || !self.worker)
    return complain("node \"" + self.name + "\" is the only one, so it needs both roles: [master, worker]", 2);
  return std::nullopt;
}

int already(const std::string& name, const std::string& node_dir, const std::string& data_dir) {
  const auto pid = running_pid(node_dir);
  std::cout << "node " << name << " runs already (pid " << pid.value_or(0) << ", data dir " << data_dir << ")\n";
  return 0;
}

/// The command that runs one node in a process of its own; its directory exists then.
result<node_command> command_of(const up_options& o, const std::string& name) {
  node_command c{name, o.data_dir + "/" + name, {"troupe", "up", "--data-dir", o.data_dir, "--node", name}};
  if (!o.file.empty()) c.args.insert(c.args.end(), {"-f", std::filesystem::absolute(o.file).string()});
  std::error_code ec;
  std::filesystem::create_directories(c.node_dir, ec);
  if (ec)
    return errors::bad_request("cannot make " + c.node_dir + ": " + ec.message() + "; choose another with --data-dir");
  return c;
}

void tell_kubeconfig(const up_options& o) {
  std::cout << "try: kubectl --kubeconfig " << o.data_dir << "/admin.kubeconfig get nodes" << std::endl;
}

int detach(const up_options& o, const std::string& name) {
  if (running_pid(o.data_dir + "/" + name)) return already(name, o.data_dir + "/" + name, o.data_dir);
  auto command = command_of(o, name);
  if (!command) return complain(command.error().message);
  auto pid = spawn_detached(
      command->args, command->node_dir + "/troupe.log", ready_patience,
      [&](std::size_t, const std::string& why) { std::cout << "node " << name << " waits: " << why << std::endl; });
  if (!pid) {
    std::cerr << pid.error().message << "\n";
    return 1;
  }
  std::cout << "node " << name << " is ready (pid " << *pid << ")\n";
  tell_kubeconfig(o);
  return 0;
}

void set_levels(const node::log_config& logging) {
  set_log_level("*", logging.level);
  for (const auto& [component, level] : logging.levels) {
    component_log(component);
    set_log_level(component, level);
  }
}

sigset_t stop_signals() {
  sigset_t out;
  sigemptyset(&out);
  sigaddset(&out, SIGTERM);
  sigaddset(&out, SIGINT);
  return out;
}

/// True when a stop signal came, or comes within `patience`. It stays pending, for whoever looks next.
bool told_to_stop(std::chrono::milliseconds patience) {
  const auto signals = stop_signals();
  const timespec t{static_cast<time_t>(patience.count() / 1000),
                   static_cast<long>(patience.count() % 1000) * 1'000'000};
  const int got = ::sigtimedwait(&signals, nullptr, &t);
  if (got <= 0) return false;
  ::kill(::getpid(), got);
  return true;
}

int run(const up_options& o, const node::cluster_config& c, const node::node_config& self) {
  const auto node_dir = o.data_dir + "/" + self.name;
  running_pid(node_dir); // waits for the end of a holder that is dying, so that the lock is free
  auto lock = node_lock::take(node_dir);
  if (!lock) return complain(lock.error().message);
  if (!*lock) return already(self.name, node_dir, o.data_dir);

  // Every thread inherits the mask; the main thread alone takes the signals.
  const auto signals = stop_signals();
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  set_levels(c.logging);

  node::node_options options{c, self, o.data_dir, {}, {}, [] { return told_to_stop({}); }};
  const auto cluster = node::open_identity(o.data_dir, c);
  if (!cluster) return complain(cluster.error().message);
  if (cluster->can_grow() && self.master) {
    auto found = find_membership(options, *cluster, [](std::chrono::milliseconds m) { return !told_to_stop(m); });
    if (!found) return complain(found.error().message);
    if (!*found) return 0;
  }
  auto node = node::start_node(options);
  if (!node && told_to_stop({})) return 0;
  if (!node) return complain(node.error().message);
  report_ready();
  component_log("node")->info("ready name={} api_port={} kubeconfig={}", self.name, (*node)->api_port(),
                              (*node)->kubeconfig_path());
  int signal = 0;
  sigwait(&signals, &signal);
  component_log("node")->info("stopping signal={}", signal);
  // A second signal ends the process at once.
  pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
  (*node)->stop();
  return 0;
}

/// One node of several, in this process.
int run_local(const up_options& o, const node::cluster_config& c, const node::cluster_identity& cluster,
              const local_node& self) {
  if (self.in_namespace)
    if (auto entered = net::enter_node_namespace(cluster.id, self.config.name); !entered)
      return complain(entered.error().message);
  return run(o, c, self.config);
}

result<void> stop_all(const up_options& o, const std::vector<node_command>& commands) {
  std::vector<std::string> names;
  for (const auto& c : commands)
    names.push_back(c.name);
  return stop_nodes(o.data_dir, names);
}

int supervise(const up_options& o, const std::vector<node_command>& commands, const std::vector<node_start>& started) {
  auto lock = node_lock::take_file(supervisor_file(o.data_dir));
  if (!lock) return complain(lock.error().message);
  if (!*lock) {
    std::cout << "another process supervises the nodes of " << o.data_dir << " already\n";
    return 0;
  }
  supervise_nodes(commands, started);
  auto stopped = stop_all(o, commands);
  return stopped ? 0 : complain(stopped.error().message);
}

/// All nodes of the config that belong to this machine, each in a process of its own.
int up_all(const up_options& o, const std::vector<local_node>& nodes) {
  std::vector<node_command> commands;
  for (const auto& n : nodes) {
    const auto node_dir = o.data_dir + "/" + n.config.name;
    if (running_pid(node_dir)) {
      already(n.config.name, node_dir, o.data_dir);
      continue;
    }
    auto command = command_of(o, n.config.name);
    if (!command) return complain(command.error().message);
    commands.push_back(std::move(*command));
  }
  if (commands.empty()) return 0;
  // From here on a signal must not end this process before its nodes; the wait for them is bounded.
  sigset_t signals;
  sigemptyset(&signals);
  for (int s : {SIGTERM, SIGINT, SIGCHLD})
    sigaddset(&signals, s);
  if (!o.detach) pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const auto started = start_nodes(commands);
  const bool good = std::all_of(started.begin(), started.end(), [](const auto& s) { return s.ready; });
  if (good) tell_kubeconfig(o);
  if (o.detach) return good ? 0 : 1;
  if (std::all_of(started.begin(), started.end(), [](const auto& s) { return s.pid != 0; }))
    return supervise(o, commands, started);
  (void)stop_all(o, commands); // what matters was said: why a node did not start
  return 1;
}

/// A cluster of several nodes.
int up_several(const up_options& o, const node::cluster_config& c) {
  if (o.node.empty())
    for (const auto& w : c.warnings)
      std::cerr << o.file << ":" << w.line << ":" << w.column << ": warning: " << w.what << "\n";
  auto cluster = node::open_identity(o.data_dir, c);
  if (!cluster) return complain(cluster.error().message);
  auto nodes = local_nodes(c, *cluster);
  if (!o.node.empty()) {
    if (!c.node(o.node)) return complain("no node named \"" + o.node + "\" in " + o.file, 2);
    std::erase_if(nodes, [&](const local_node& n) { return n.config.name != o.node; });
    if (nodes.empty())
      return complain("node \"" + o.node + "\" has the address " + c.node(o.node)->address +
                          ", which no device of this machine has; start it on the machine it belongs to",
                      2);
  }
  if (nodes.empty())
    return complain("none of the addresses in " + o.file + " belongs to this machine, so no node starts here", 2);
  if (std::count_if(nodes.begin(), nodes.end(), [](const auto& n) { return n.config.worker && !n.in_namespace; }) > 1)
    return complain(o.file + " gives several workers addresses of this machine; their pod networks and service rules "
                             "would collide, so give the nodes no addresses (then each gets a network namespace) or "
                             "leave one worker per machine",
                    2);
  for (const auto& n : nodes)
    if (auto done = prepare_network(o.data_dir, *cluster, n); !done) return complain(done.error().message);
  if (o.node.empty()) return up_all(o, nodes);
  return o.detach ? detach(o, o.node) : run_local(o, c, *cluster, nodes.front());
}

} // namespace

int verb_up(const args& words) {
  up_options o;
  if (auto code = parse(words, o)) return *code;
  node::cluster_config c;
  if (auto code = load(o, c)) return *code;
  if (c.nodes.size() > 1 || (!o.file.empty() && others_founded(o, c.nodes.front()))) return up_several(o, c);
  node::node_config self;
  if (auto code = choose(o, c, self)) return *code;
  return o.detach ? detach(o, self.name) : run(o, c, self);
}

} // namespace troupe::cli

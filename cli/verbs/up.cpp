// `troupe up`: starts the node(s) of a config and stays until told to stop, or detaches.
#include "actors/node/node.hpp"
#include "actors/support/component.hpp"
#include "cli/process.hpp"
#include "cli/verbs.hpp"

#include <boost/program_options.hpp>
#include <spdlog/spdlog.h>

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
      "data-dir", po::value(&out.data_dir)->default_value(default_data_dir()),
      "where state is kept")("node", po::value(&out.node), "start only this node of the config")(
      "detach", po::bool_switch(&out.detach), "return when the API answers /readyz")("help,h", "this text");
  try {
    po::variables_map vm;
    po::store(po::command_line_parser(words).options(desc).positional({}).run(), vm);
    if (vm.count("help")) {
      std::cout << desc;
      return 0;
    }
    po::notify(vm);
  } catch (const po::error& e) {
    return complain(std::string{e.what()} + "; see troupe up --help", 2);
  }
  out.data_dir = std::filesystem::absolute(out.data_dir).lexically_normal();
  if (out.data_dir.size() > 1 && out.data_dir.back() == '/') out.data_dir.pop_back();
  return std::nullopt;
}

std::string host_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  std::string out;
  for (char c : std::string_view{name}) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (!out.empty() && (c == '-' || c == '.'))) out += c;
  }
  while (!out.empty() && (out.back() == '-' || out.back() == '.'))
    out.pop_back();
  return out.empty() ? "node-1" : out;
}

/// Without a file: the node that already has state here keeps its name, else the host's name is taken.
std::string single_node_name(const up_options& o) {
  if (!o.node.empty()) return o.node;
  const auto known = nodes_in(o.data_dir);
  return known.size() == 1 ? known.front() : host_name();
}

std::optional<int> load(const up_options& o, node::cluster_config& out) {
  if (o.file.empty()) {
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

std::optional<int> choose(const up_options& o, const node::cluster_config& c, node::node_config& self) {
  if (c.nodes.size() > 1)
    return complain(o.file + " names " + std::to_string(c.nodes.size()) +
                        " nodes; this version runs clusters of one node, remove the others",
                    2);
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

int detach(const up_options& o, const std::string& name, const std::string& node_dir) {
  if (running_pid(node_dir)) return already(name, node_dir, o.data_dir);
  std::error_code ec;
  std::filesystem::create_directories(node_dir, ec);
  if (ec) return complain("cannot make " + node_dir + ": " + ec.message() + "; choose another with --data-dir");
  args again{"troupe", "up", "--data-dir", o.data_dir, "--node", name};
  if (!o.file.empty()) again.insert(again.end(), {"-f", std::filesystem::absolute(o.file).string()});
  auto pid = spawn_detached(again, node_dir + "/troupe.log", ready_patience);
  if (!pid) {
    std::cerr << pid.error().message << "\n";
    return 1;
  }
  std::cout << "node " << name << " is ready (pid " << *pid << ")\n"
            << "try: kubectl --kubeconfig " << o.data_dir << "/admin.kubeconfig get nodes\n";
  return 0;
}

void set_levels(const node::log_config& logging) {
  set_log_level("*", logging.level);
  for (const auto& [component, level] : logging.levels) {
    component_log(component);
    set_log_level(component, level);
  }
}

int run(const up_options& o, const node::cluster_config& c, const node::node_config& self,
        const std::string& node_dir) {
  running_pid(node_dir); // waits for the end of a holder that is dying, so that the lock is free
  auto lock = node_lock::take(node_dir);
  if (!lock) return complain(lock.error().message);
  if (!*lock) return already(self.name, node_dir, o.data_dir);

  // Every thread inherits the mask; the main thread alone takes the signals.
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  set_levels(c.logging);

  auto node = node::start_node({c, self, o.data_dir});
  if (!node) return complain(node.error().message);
  report_ready();
  component_log("node")->info("ready name={} api_port={} kubeconfig={}", self.name, (*node)->api_port(),
                              (*node)->kubeconfig_path());
  int signal = 0;
  sigwait(&stop_signals, &signal);
  component_log("node")->info("stopping signal={}", signal);
  // A second signal ends the process at once.
  pthread_sigmask(SIG_UNBLOCK, &stop_signals, nullptr);
  (*node)->stop();
  return 0;
}

} // namespace

int verb_up(const args& words) {
  up_options o;
  if (auto code = parse(words, o)) return *code;
  node::cluster_config c;
  if (auto code = load(o, c)) return *code;
  node::node_config self;
  if (auto code = choose(o, c, self)) return *code;
  const auto node_dir = o.data_dir + "/" + self.name;
  return o.detach ? detach(o, self.name, node_dir) : run(o, c, self, node_dir);
}

} // namespace troupe::cli

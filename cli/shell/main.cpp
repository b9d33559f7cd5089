// The `actor-shell` program: a console on a cluster, interactive, with -c, or from a script.
#include "cli/shell/session.hpp"
#include "cli/verbs.hpp"

#include <boost/program_options.hpp>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>
#include <unistd.h>

namespace {

namespace po = boost::program_options;
using namespace troupe;

struct shell_options {
  std::string data_dir, kubeconfig, script;
  std::optional<std::string> commands; // -c '' runs nothing, rather than ask for input
};

std::optional<int> parse(int argc, char** argv, shell_options& out) {
  po::options_description desc(
      "usage: actor-shell [--data-dir DIR | --kubeconfig FILE] [-c 'COMMAND; …'] [SCRIPT.ash]\noptions");
  desc.add_options()("data-dir", po::value(&out.data_dir), "data dir of a node on this machine")(
      "kubeconfig", po::value(&out.kubeconfig), "kubeconfig of a cluster anywhere")(
      "command,c", po::value<std::string>(), "run these commands and leave")("script", po::value(&out.script),
                                                                             "file of commands")("help,h", "this text");
  po::positional_options_description positional;
  positional.add("script", 1);
  try {
    po::variables_map vm;
    po::store(po::command_line_parser(argc, argv).options(desc).positional(positional).run(), vm);
    if (vm.count("help")) {
      std::cout << desc;
      return 0;
    }
    po::notify(vm);
    if (vm.count("command")) out.commands = vm["command"].as<std::string>();
  } catch (const po::error& e) {
    std::cerr << "actor-shell: " << e.what() << "; see actor-shell --help\n";
    return 2;
  }
  if (!out.data_dir.empty() && !out.kubeconfig.empty()) {
    std::cerr << "actor-shell: give --data-dir or --kubeconfig, not both\n";
    return 2;
  }
  return std::nullopt;
}

/// Runs every statement, also after one that failed; the exit status says whether all succeeded.
int run_text(cli::session& s, const std::string& text) {
  auto statements = cli::split_statements(text);
  if (!statements) {
    s.fail(statements.error().message);
    return 1;
  }
  bool ok = true;
  for (const auto& words : *statements) {
    ok = cli::run_statement(s, words) && ok;
    if (s.quit) break;
  }
  std::cout.flush();
  return ok ? 0 : 1;
}

} // namespace

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  shell_options o;
  if (auto code = parse(argc, argv, o)) return *code;
  const auto dir = o.data_dir.empty() ? cli::default_data_dir() : o.data_dir;
  auto config = cli::load_kubeconfig(o.kubeconfig.empty() ? dir + "/admin.kubeconfig" : o.kubeconfig);
  if (!config) {
    std::cerr << "actor-shell: " << config.error().message << "; is there a cluster? (troupe up)\n";
    return 1;
  }
  cli::https_client client{*config};
  cli::session s{client, std::cout, std::cerr};
  if (o.commands) return run_text(s, *o.commands);
  if (!o.script.empty()) {
    std::ifstream in(o.script);
    if (!in) {
      std::cerr << "actor-shell: cannot read " << o.script << "\n";
      return 1;
    }
    std::stringstream text;
    text << in.rdbuf();
    return run_text(s, text.str());
  }
  if (!::isatty(0)) {
    std::stringstream text;
    text << std::cin.rdbuf();
    return run_text(s, text.str());
  }
  return cli::run_console(s);
}

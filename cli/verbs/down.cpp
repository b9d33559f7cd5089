// `troupe down`: stops what `up` started; with --purge also removes all traces.
#include "actors/node/node.hpp"
#include "cli/data_dir.hpp"
#include "cli/local_nodes.hpp"
#include "cli/process.hpp"
#include "cli/verb_options.hpp"

#include <boost/program_options.hpp>

#include <filesystem>
#include <iostream>

namespace troupe::cli {

namespace po = boost::program_options;

namespace {
constexpr std::chrono::seconds supervisor_grace{120};
}

int verb_down(const args& words) {
  std::string data_dir;
  bool purge = false;
  po::options_description desc("usage: troupe down [--data-dir DIR] [--purge]\noptions");
  desc.add_options()("data-dir", po::value(&data_dir)->default_value(default_data_dir()), "where state is kept")(
      "purge", po::bool_switch(&purge), "also remove containers, network rules, mounts and data");
  if (auto code = parse_words("down", words, desc)) return *code;
  data_dir = absolute_dir(data_dir);

  const bool any = std::filesystem::exists(data_dir);
  bool ran = false;
  // A supervisor in the foreground stops its nodes itself, and would bring back those that had to be killed.
  if (const auto supervisor = lock_holder(supervisor_file(data_dir))) {
    if (auto stopped = stop_processes({*supervisor}, supervisor_grace); !stopped)
      return complain(stopped.error().message);
    ran = true;
  }
  const auto names = nodes_in(data_dir);
  for (const auto& name : names)
    ran = ran || running_pid(data_dir + "/" + name);
  if (auto stopped = stop_nodes(data_dir, names); !stopped) return complain(stopped.error().message);
  if (!purge) {
    if (!ran) std::cout << "no node of " << data_dir << " is running\n";
    return 0;
  }
  if (auto gone = node::purge_data_dir(data_dir); !gone) return complain(gone.error().message);
  std::cout << (any ? "removed everything of " : "nothing to remove: there is no ") << data_dir << "\n";
  return 0;
}

} // namespace troupe::cli

// `troupe master`: who the masters are, and changing that while they run; the same words as in actor-shell.
#include "cli/shell/session.hpp"
#include "cli/verbs.hpp"

#include <iostream>

namespace troupe::cli {

namespace {

constexpr const char* usage =
    "usage: troupe master COMMAND [--data-dir DIR | --kubeconfig FILE]\n"
    "  ls                       name, id, address, role, lag, last contact and health of each master\n"
    "  add NAME --address IP [--api-port N] [--actors-port N] [--priority N] [--learner]\n"
    "                           take one in: it learns what the others know, then it votes (--learner: it only "
    "learns)\n"
    "  remove NAME              take one out\n"
    "  replace OLD NEW --address IP …\n"
    "                           add NEW, then remove OLD\n"
    "  promote NAME             make a learner a voter\n"
    "  transfer [NAME]          hand the lead to NAME, or to whoever is best\n";

/// Takes `--name VALUE` or `--name=VALUE` out of the words.
bool take_option(args& words, const std::string& name, std::string& value) {
  for (auto it = words.begin(); it != words.end(); ++it) {
    if (it->rfind(name + "=", 0) == 0) {
      value = it->substr(name.size() + 1);
      words.erase(it);
      return true;
    }
    if (*it != name) continue;
    if (it + 1 == words.end()) return false;
    value = *(it + 1);
    words.erase(it, it + 2);
    return true;
  }
  return true;
}

} // namespace

int verb_master(const args& given) {
  auto words = given;
  for (const auto& w : words)
    if (w == "--help" || w == "-h") {
      std::cout << usage;
      return 0;
    }
  std::string data_dir, file;
  if (!take_option(words, "--data-dir", data_dir)) return complain("--data-dir needs a directory", 2);
  if (!take_option(words, "--kubeconfig", file)) return complain("--kubeconfig needs a file", 2);
  if (!data_dir.empty() && !file.empty()) return complain("give --data-dir or --kubeconfig, not both", 2);
  if (words.empty()) {
    std::cerr << usage;
    return 2;
  }
  if (file.empty()) file = (data_dir.empty() ? default_data_dir() : data_dir) + "/admin.kubeconfig";
  auto config = load_kubeconfig(file);
  if (!config) return complain(config.error().message + "; is there a cluster? (troupe up)");
  https_client client{*config};
  session s{client, std::cout, std::cerr};
  return cmd_master(s, words) ? 0 : 1;
}

} // namespace troupe::cli

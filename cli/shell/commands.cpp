// The table of commands, and the few that concern the shell itself.
#include "actors/node/cluster_config.hpp"
#include "cli/shell/session.hpp"

#include <algorithm>
#include <ostream>

namespace troupe::cli {

const std::vector<command>& commands() {
  static const std::vector<command> table{
      {"get", cmd_get, "get RESOURCE[,RESOURCE…] [NAME…] [-n NS|-A] [-l SELECTOR] [-o wide|yaml|json|name] [-w]",
       "show objects"},
      {"describe", cmd_describe, "describe RESOURCE NAME [-n NS]", "one object in detail, with its events"},
      {"apply", cmd_apply, "apply -f FILE [-n NS]", "create or update what a manifest says"},
      {"delete", cmd_delete, "delete RESOURCE NAME… | -f FILE [-n NS] [--cascade P] [--grace-period S]",
       "delete objects"},
      {"scale", cmd_scale, "scale deployment/NAME REPLICAS [-n NS]", "change the number of replicas"},
      {"logs", cmd_logs, "logs POD [-c CONTAINER] [-f] [-p] [--tail N] [--since SECONDS] [--timestamps]",
       "a container's output"},
      {"actors", cmd_actors, "actors", "the live tree of actors: mailbox, messages handled, restarts"},
      {"raft", cmd_raft, "raft", "state of the Raft group"},
      {"master", cmd_master,
       "master ls | add NAME --address IP [--api-port N] [--actors-port N] [--priority N] [--learner] | remove NAME | "
       "replace OLD NEW --address IP | promote NAME | transfer [NAME]",
       "the masters of the cluster, and changing who they are"},
      {"images", cmd_images, "images", "images on this node"},
      {"loglevel", cmd_log_level, "loglevel [COMPONENT] LEVEL", "change what the node logs, while it runs"},
      {"use", cmd_use, "use NAMESPACE", "make NAMESPACE the one for later commands"},
      {"help", cmd_help, "help [COMMAND]", "this list, or one command's usage"},
      {"quit", cmd_quit, "quit", "leave (also: exit, Ctrl-D)"},
  };
  return table;
}

namespace {
const command* find_command(const std::string& name) {
  for (const auto& c : commands())
    if (name == c.name) return &c;
  return nullptr;
}
} // namespace

bool run_statement(session& s, const word_list& words) {
  if (words.empty()) return true;
  const auto& name = words[0] == "exit" ? std::string{"quit"} : words[0];
  const auto* c = find_command(name);
  if (!c) {
    std::vector<std::string> known;
    for (const auto& k : commands())
      known.push_back(k.name);
    const auto near = node::nearest_word(name, known);
    return s.fail("no command \"" + name + "\"; " +
                  (near ? "did you mean " + *near + "?" : std::string{"help lists what there is"}));
  }
  return c->run(s, {words.begin() + 1, words.end()});
}

bool cmd_use(session& s, const word_list& words) {
  auto p = s.parse(words, {});
  if (!p) return false;
  if (p->operands.size() != 1) return s.fail("usage: use NAMESPACE");
  if (!s.ask_json("/api/v1/namespaces/" + url_encode(p->operands[0]))) return false;
  s.ns = p->operands[0];
  return true;
}

bool cmd_help(session& s, const word_list& words) {
  if (!words.empty()) {
    const auto* c = find_command(words[0]);
    if (!c) return s.fail("no command \"" + words[0] + "\"; help lists what there is");
    s.out << c->usage << "\n  " << c->help << "\n";
    return true;
  }
  for (const auto& c : commands()) {
    std::string name = c.name;
    name.resize(10, ' ');
    s.out << name << c.help << "\n";
  }
  s.out << "help COMMAND shows its options; several statements are separated by ;\n";
  return true;
}

bool cmd_quit(session& s, const word_list&) {
  s.quit = true;
  return true;
}

} // namespace troupe::cli

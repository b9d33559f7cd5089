// The `troupe` program: one verb, then its options.
#include "cli/verbs.hpp"

#include <cstdio>
#include <iostream>

namespace {

struct verb_entry {
  const char* name;
  int (*run)(const troupe::cli::args&);
  const char* help;
};

constexpr verb_entry verbs[] = {
    {"up", troupe::cli::verb_up, "start the node(s) of a config file, or one node with both roles"},
    {"down", troupe::cli::verb_down, "stop what up started; --purge removes containers, rules, mounts and data"},
    {"image", troupe::cli::verb_image, "import FILE | pull REF | ls | rm REF"},
    {"master", troupe::cli::verb_master, "ls | add | remove | replace | promote | transfer: the masters of a cluster"},
    {"backup", troupe::cli::verb_backup, "write the state of a live cluster to a checked file"},
    {"restore", troupe::cli::verb_restore, "make the store of a new cluster from a backup"},
    {"recover", troupe::cli::verb_recover, "after the loss of the majority: make a group of one survivor"},
    {"version", troupe::cli::verb_version, "print version and API level"},
};

void usage(std::ostream& out) {
  out << "usage: troupe VERB [options]\n";
  for (const auto& v : verbs) {
    std::string name = v.name;
    name.resize(9, ' ');
    out << "  " << name << v.help << "\n";
  }
  out << "Each verb explains itself with --help.\n";
}

} // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> words(argv + 1, argv + argc);
  if (words.empty() || words[0] == "help" || words[0] == "--help" || words[0] == "-h") {
    usage(words.empty() ? std::cerr : std::cout);
    return words.empty() ? 2 : 0;
  }
  for (const auto& v : verbs)
    if (words[0] == v.name) return v.run({words.begin() + 1, words.end()});
  std::cerr << "troupe: unknown verb \"" << words[0] << "\"\n";
  usage(std::cerr);
  return 2;
}

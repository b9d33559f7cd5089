// history_check FILE: judges what the harness recorded of real processes. The format is in history_file.hpp.
// Prints the first violation of each property with the lines it speaks of; exit status 0 only when there is none.
#include "tests/sim/checkers/history_file.hpp"

#include <cstdio>
#include <fstream>
#include <iostream>

int main(int argc, char** argv) {
  using namespace troupe::sim;
  if (argc != 2) {
    std::fprintf(stderr, "usage: history_check FILE    (\"-\": standard input)\n");
    return 2;
  }
  std::ifstream file;
  if (std::string(argv[1]) != "-") {
    file.open(argv[1]);
    if (!file) {
      std::fprintf(stderr, "history_check: cannot open %s\n", argv[1]);
      return 2;
    }
  }
  const auto run = read_history(file.is_open() ? file : std::cin);
  if (!run.error.empty()) {
    std::fprintf(stderr, "history_check: %s: %s\n", argv[1], run.error.c_str());
    return 2;
  }
  const auto all = judged(run);
  for (const auto& v : all) {
    std::printf("VIOLATION of %s: %s\n", v.property.c_str(), v.what.c_str());
    for (const auto n : lines_in(run, v))
      std::printf("  line %zu: %s\n", n, run.lines[n - 1].c_str());
  }
  std::printf("%zu operations (%zu of unknown fate), %zu events of %zu watchers: %s\n", run.operations, run.unknown,
              run.events, run.watchers, all.empty() ? "nothing lost, one order, watches complete" : "NOT as promised");
  return all.empty() ? 0 : 1;
}

// Plays tests/scenarios/raft/*.txt through the core: a comment with goal and source, then commands, `----`, and what
// they caused. TROUPE_REWRITE=1 writes the outcome into the files; the reviewer reads the difference.
#include "tests/unit/raft/scenario_world.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace {

std::string play(const std::string& text) {
  troupe::raft::test::scenario_world world;
  std::istringstream in(text);
  std::string line, out;
  bool expected = false;
  std::vector<std::string> commands;
  auto flush = [&] {
    if (commands.empty()) return;
    out += "----\n";
    for (const auto& c : commands)
      for (const auto& l : world.run(c))
        out += l + "\n";
    out += "\n";
    commands.clear();
  };
  while (std::getline(in, line)) {
    if (line == "----") {
      flush();
      expected = true;
    } else if (line.empty()) {
      flush(); // a block that was never played yet
      expected = false;
    } else if (!expected) {
      out += line + "\n";
      if (line[0] != '#') commands.push_back(line);
    }
  }
  flush();
  while (out.ends_with("\n\n"))
    out.pop_back();
  return out;
}

} // namespace

TEST_CASE("every Raft scenario plays as written") {
  std::vector<std::filesystem::path> files;
  for (const auto& f : std::filesystem::directory_iterator(TROUPE_SCENARIOS))
    if (f.path().extension() == ".txt") files.push_back(f.path());
  std::sort(files.begin(), files.end());
  REQUIRE(files.size() >= 10);
  for (const auto& f : files) {
    std::stringstream text;
    text << std::ifstream(f).rdbuf();
    const auto outcome = play(text.str());
    if (std::getenv("TROUPE_REWRITE"))
      std::ofstream(f) << outcome;
    else
      CHECK_MESSAGE(outcome == text.str(), f.filename().string() << " played differently:\n" << outcome);
  }
}

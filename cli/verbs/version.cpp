#include "api/version.hpp"
#include "cli/verbs.hpp"

#include <iostream>

namespace troupe::cli {

int verb_version(const args& words) {
  if (!words.empty()) return complain("version takes no arguments", 2);
  std::cout << "troupe " << version::troupe << "\nKubernetes API " << version::git_version << "\n";
  return 0;
}

} // namespace troupe::cli

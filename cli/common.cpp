#include "cli/verbs.hpp"

#include <cstdlib>
#include <iostream>
#include <unistd.h>

namespace troupe::cli {

std::string default_data_dir() {
  if (geteuid() == 0) return "/var/lib/troupe";
  if (const char* data = std::getenv("XDG_DATA_HOME"); data && *data) return std::string{data} + "/troupe";
  const char* home = std::getenv("HOME");
  return std::string{home && *home ? home : "."} + "/.local/share/troupe";
}

int complain(const std::string& sentence, int code) {
  std::cerr << "troupe: " << sentence << "\n";
  return code;
}

} // namespace troupe::cli

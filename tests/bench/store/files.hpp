// files: reads a whole small file.
// Owner:  -
// Units:  -
// Errors: std::runtime_error with the path.
// Source: ours.
#pragma once

#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>

namespace troupe::bench {

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) throw std::runtime_error("cannot read " + path);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

} // namespace troupe::bench

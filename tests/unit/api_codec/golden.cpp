#include "tests/unit/api_codec/golden.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace troupe::test {

namespace {

void print(const json::value& v, std::string& out, std::size_t indent) {
  const std::string pad(indent + 2, ' ');
  const std::string close = "\n" + std::string(indent, ' ');
  if (const auto* o = v.if_object(); o && !o->empty()) {
    bool first = true;
    out += "{";
    for (const auto& kv : *o) {
      out += (first ? "\n" : ",\n") + pad + json::serialize(kv.key()) + ": ";
      print(kv.value(), out, indent + 2);
      first = false;
    }
    out += close + "}";
  } else if (const auto* a = v.if_array(); a && !a->empty()) {
    bool first = true;
    out += "[";
    for (const auto& e : *a) {
      out += (first ? "\n" : ",\n") + pad;
      print(e, out, indent + 2);
      first = false;
    }
    out += close + "]";
  } else {
    out += json::serialize(v);
  }
}

} // namespace

std::string pretty(const json::value& v) {
  std::string out;
  print(v, out, 0);
  return out + "\n";
}

std::vector<std::filesystem::path> golden_inputs(const std::string& area) {
  std::vector<std::filesystem::path> out;
  for (const auto& e : std::filesystem::directory_iterator(std::filesystem::path{GOLDEN_DIR} / area))
    if (e.path().filename().string().find(".in.") != std::string::npos) out.push_back(e.path());
  std::sort(out.begin(), out.end());
  return out;
}

std::string read_file(const std::filesystem::path& p) {
  std::ifstream in(p, std::ios::binary);
  std::ostringstream all;
  all << in.rdbuf();
  return all.str();
}

void expect_golden(const std::filesystem::path& input, const json::value& got) {
  const auto name = input.filename().string();
  const auto out = input.parent_path() / (name.substr(0, name.find(".in.")) + ".out.json");
  const auto text = pretty(got);
  if (const char* update = std::getenv("TROUPE_UPDATE_GOLDEN"); update && *update == '1') {
    std::ofstream(out, std::ios::binary) << text;
    return;
  }
  INFO("golden file ", out.string());
  CHECK(read_file(out) == text);
}

} // namespace troupe::test

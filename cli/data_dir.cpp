#include "cli/data_dir.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <unistd.h>

namespace troupe::cli {

std::string absolute_dir(const std::string& dir) {
  auto out = std::filesystem::absolute(dir).lexically_normal().string();
  if (out.size() > 1 && out.back() == '/') out.pop_back();
  return out;
}

std::string host_node_name() {
  char name[256] = "";
  ::gethostname(name, sizeof name - 1);
  std::string out;
  for (char c : std::string_view{name}) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || (!out.empty() && (c == '-' || c == '.'))) out += c;
  }
  while (!out.empty() && (out.back() == '-' || out.back() == '.'))
    out.pop_back();
  return out.empty() ? "node-1" : out;
}

std::vector<std::string> nodes_in(const std::string& data_dir) {
  std::vector<std::string> out;
  std::error_code ec;
  for (const auto& entry : std::filesystem::directory_iterator(data_dir, ec))
    if (entry.is_directory(ec) && std::filesystem::exists(entry.path() / "lock", ec))
      out.push_back(entry.path().filename());
  std::sort(out.begin(), out.end());
  return out;
}

std::vector<std::string> workers_in(const std::string& data_dir) {
  auto out = nodes_in(data_dir);
  std::erase_if(out, [&](const auto& n) { return !std::filesystem::exists(data_dir + "/" + n + "/containers"); });
  return out;
}

result<std::string> choose_node(const std::string& data_dir, const std::string& wanted) {
  if (!wanted.empty()) return wanted;
  const auto names = nodes_in(data_dir);
  if (names.size() == 1) return names.front();
  if (names.empty())
    return errors::bad_request("no node has state in " + data_dir + "; say which one is meant with --node NAME");
  std::string all;
  for (const auto& n : names)
    all += (all.empty() ? "" : ", ") + n;
  return errors::bad_request(data_dir + " holds the nodes " + all + "; say which one is meant with --node NAME");
}

} // namespace troupe::cli

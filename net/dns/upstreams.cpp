#include "net/dns/upstreams.hpp"

#include "net/dns/limits.hpp"
#include "net/packet/address.hpp"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <sys/stat.h>

namespace troupe::net {

std::vector<upstream> parse_resolv_conf(std::string_view text) {
  std::vector<std::string> found;
  std::istringstream lines{std::string{text}};
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words{line};
    std::string key, value;
    if (words >> key >> value && key == "nameserver") found.push_back(value);
  }
  return parse_upstreams(found);
}

std::vector<upstream> parse_upstreams(const std::vector<std::string>& texts) {
  std::vector<upstream> out;
  for (const auto& t : texts) {
    auto colon = t.find(':');
    upstream u;
    u.address = t.substr(0, colon);
    if (!parse_ipv4(u.address)) continue;
    if (colon != t.npos) {
      auto [end, error] = std::from_chars(t.data() + colon + 1, t.data() + t.size(), u.port);
      if (error != std::errc{} || end != t.data() + t.size() || u.port == 0) continue;
    }
    if (std::find(out.begin(), out.end(), u) == out.end() && out.size() < limits::dns_upstreams_max) out.push_back(u);
  }
  return out;
}

std::vector<upstream> without_loops(std::vector<upstream> all, const std::vector<upstream>& own) {
  std::erase_if(all, [&](const auto& u) { return std::find(own.begin(), own.end(), u) != own.end(); });
  return all;
}

upstream_list::upstream_list(std::vector<std::string> configured, std::string resolv_conf, std::vector<upstream> own)
    : fixed_(!configured.empty()), path_(std::move(resolv_conf)), own_(std::move(own)) {
  if (fixed_) list_ = without_loops(parse_upstreams(configured), own_);
}

const std::vector<upstream>& upstream_list::current(std::chrono::steady_clock::time_point now) {
  if (fixed_ || (looked_.time_since_epoch().count() != 0 && now - looked_ < limits::resolv_conf_check)) return list_;
  looked_ = now;
  struct stat s {};
  if (::stat(path_.c_str(), &s) != 0) {
    list_.clear();
    changed_ = {};
  } else if (s.st_mtim.tv_sec != changed_.tv_sec || s.st_mtim.tv_nsec != changed_.tv_nsec) {
    changed_ = s.st_mtim;
    read();
  }
  return list_;
}

void upstream_list::read() {
  std::ifstream in{path_};
  std::stringstream text;
  text << in.rdbuf();
  list_ = without_loops(parse_resolv_conf(text.str()), own_);
}

} // namespace troupe::net

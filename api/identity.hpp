// identity: who asks. Made by authentication; components inside the process carry their own.
// Owner:  nobody; plain value.
// Units:  -
// Errors: -
// Source: Kubernetes user.Info.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

struct identity {
  std::string user;
  std::string uid;
  std::vector<std::string> groups;
  std::map<std::string, std::vector<std::string>> extra;
  bool in_group(std::string_view g) const noexcept {
    for (const auto& x : groups)
      if (x == g) return true;
    return false;
  }
};

} // namespace troupe

// user_lookup: which uid, gid and supplementary groups a container's process gets.
// Owner:  pure; any thread.
// Units:  numeric ids as the kernel knows them.
// Errors: 400 when a name is not in the image's /etc/passwd or /etc/group, or a number is out of range.
// Source: OCI image config `User`; CRI run_as_user, run_as_group, supplemental groups (merged with the image's).
#pragma once

#include "runtime/engine.hpp"

#include <string_view>
#include <vector>

namespace troupe::runtime {

struct process_user {
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> additional_gids; // sorted, without duplicates
  std::string home = "/";
};

/// `image_user` is `name|uid[:group|gid]` or empty (root); `sec` overrides it. `passwd` and `group` are the texts of
/// the image's files, empty when it has none.
result<process_user> look_up_user(std::string_view image_user, const security& sec, std::string_view passwd,
                                  std::string_view group);

} // namespace troupe::runtime

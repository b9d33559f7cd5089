// user_lookup: which uid, gid and supplementary groups a container's process gets.
#include "runtime/user_lookup.hpp"

#include <algorithm>
#include <charconv>
#include <limits>

namespace troupe::runtime {
namespace {

std::vector<std::string_view> split(std::string_view s, char separator) {
  std::vector<std::string_view> out;
  while (true) {
    const auto at = s.find(separator);
    out.push_back(s.substr(0, at));
    if (at == std::string_view::npos) return out;
    s.remove_prefix(at + 1);
  }
}

std::optional<std::uint32_t> number(std::string_view s) {
  std::uint32_t n = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (ec != std::errc() || end != s.data() + s.size() || s.empty() || n > std::numeric_limits<std::int32_t>::max())
    return std::nullopt;
  return n;
}

struct account {
  std::uint32_t uid = 0, gid = 0;
  std::string_view name, home;
};

/// First passwd line whose field `index` equals `wanted`.
std::optional<account> find_account(std::string_view passwd, std::size_t index, std::string_view wanted) {
  for (const auto line : split(passwd, '\n')) {
    const auto f = split(line, ':');
    if (f.size() < 4 || f[index] != wanted) continue;
    const auto uid = number(f[2]), gid = number(f[3]);
    if (uid && gid) return account{*uid, *gid, f[0], f.size() > 5 ? f[5] : std::string_view()};
  }
  return std::nullopt;
}

std::optional<std::uint32_t> find_group(std::string_view group, std::string_view name) {
  for (const auto line : split(group, '\n')) {
    const auto f = split(line, ':');
    if (f.size() >= 3 && f[0] == name) return number(f[2]);
  }
  return std::nullopt;
}

void add_memberships(std::string_view group, std::string_view user, std::vector<std::uint32_t>& out) {
  for (const auto line : split(group, '\n')) {
    const auto f = split(line, ':');
    if (f.size() < 4) continue;
    const auto members = split(f[3], ',');
    if (std::find(members.begin(), members.end(), user) == members.end()) continue;
    if (const auto gid = number(f[2])) out.push_back(*gid);
  }
}

result<std::uint32_t> checked(std::int64_t id, const char* what) {
  if (id < 0 || id > std::numeric_limits<std::int32_t>::max())
    return errors::bad_request(std::string(what) + " " + std::to_string(id) + " is out of range");
  return static_cast<std::uint32_t>(id);
}

} // namespace

result<process_user> look_up_user(std::string_view image_user, const security& sec, std::string_view passwd,
                                  std::string_view group) {
  process_user out;
  const auto colon = image_user.find(':');
  const auto user_part = image_user.substr(0, colon);
  const auto group_part = colon == std::string_view::npos ? std::string_view() : image_user.substr(colon + 1);

  std::optional<account> who;
  if (sec.uid) {
    auto uid = checked(*sec.uid, "runAsUser");
    if (!uid) return uid.error();
    out.uid = *uid;
    who = find_account(passwd, 2, std::to_string(out.uid));
  } else if (!user_part.empty()) {
    const auto n = number(user_part);
    who = n ? find_account(passwd, 2, user_part) : find_account(passwd, 0, user_part);
    if (!n && !who)
      return errors::bad_request("the image's user \"" + std::string(user_part) + "\" is not in its /etc/passwd");
    out.uid = n ? *n : who->uid;
  } else {
    who = find_account(passwd, 2, "0");
  }
  if (who) {
    out.gid = who->gid;
    add_memberships(group, who->name, out.additional_gids);
    if (!who->home.empty()) out.home = std::string(who->home);
  }

  if (sec.gid) {
    auto gid = checked(*sec.gid, "runAsGroup");
    if (!gid) return gid.error();
    out.gid = *gid;
  } else if (!group_part.empty() && !sec.uid) {
    const auto n = number(group_part);
    const auto found = n ? n : find_group(group, group_part);
    if (!found)
      return errors::bad_request("the image's group \"" + std::string(group_part) + "\" is not in its /etc/group");
    out.gid = *found;
  }

  for (const auto id : sec.supplemental_groups) {
    auto gid = checked(id, "supplemental group");
    if (!gid) return gid.error();
    out.additional_gids.push_back(*gid);
  }
  auto& groups = out.additional_gids;
  groups.push_back(out.gid);
  std::sort(groups.begin(), groups.end());
  groups.erase(std::unique(groups.begin(), groups.end()), groups.end());
  return out;
}

} // namespace troupe::runtime

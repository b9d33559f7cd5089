#include "store/member_file.hpp"

#include "store/crc32c.hpp"
#include "store/fault_point.hpp"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace troupe::store {

namespace {

constexpr std::string_view first_line = "troupe member file 1\n";
constexpr std::string_view file_name = "/member";
constexpr std::size_t file_bytes_max = 64 * 1024;

void line(std::string& out, std::string_view key, std::string_view value) {
  out.append(key).append(" ").append(value);
  std::replace(out.end() - static_cast<std::ptrdiff_t>(value.size()), out.end(), '\n', ' ');
  out.push_back('\n');
}
void line(std::string& out, std::string_view key, std::uint64_t value) { line(out, key, std::to_string(value)); }
void line(std::string& out, std::string_view key, const std::vector<member_id>& ids) {
  std::string list;
  for (auto id : ids)
    list += (list.empty() ? "" : " ") + std::to_string(id.v);
  line(out, key, list);
}

std::string hex(std::uint32_t v) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", v);
  return text;
}

/// Takes lines off the front, in the order encode_member wrote them.
class line_reader {
public:
  explicit line_reader(std::string_view text) : rest_(text) {}
  std::string_view value(std::string_view key) {
    const auto end = rest_.find('\n');
    if (bad_ || end == rest_.npos || !rest_.starts_with(key) || rest_.size() <= key.size() ||
        rest_[key.size()] != ' ') {
      bad_ = true;
      return {};
    }
    const auto out = rest_.substr(key.size() + 1, end - key.size() - 1);
    rest_.remove_prefix(end + 1);
    return out;
  }
  std::uint64_t number(std::string_view key) { return to_number(value(key)); }
  std::vector<member_id> ids(std::string_view key) {
    std::vector<member_id> out;
    for (auto list = value(key); !list.empty();) {
      const auto word = list.substr(0, list.find(' '));
      out.push_back(member_id{to_number(word)});
      list.remove_prefix(std::min(list.size(), word.size() + 1));
    }
    return out;
  }
  bool done() const { return rest_.empty() && !bad_; }

private:
  std::uint64_t to_number(std::string_view s) {
    std::uint64_t v = 0;
    const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
    if (s.empty() || r.ec != std::errc() || r.ptr != s.data() + s.size()) bad_ = true;
    return v;
  }
  std::string_view rest_;
  bool bad_ = false;
};

status cannot(const std::string& what, const std::string& path, int error) {
  const auto why = "cannot " + what + " " + path + ": " + std::strerror(error);
  return error == ENOSPC || error == EDQUOT ? errors::insufficient_storage(why) : errors::internal(why);
}

struct file {
  int fd;
  explicit file(int f) : fd(f) {}
  file(const file&) = delete;
  ~file() {
    if (fd >= 0) ::close(fd);
  }
};

} // namespace

std::string encode_member(const member_record& r) {
  std::string out(first_line);
  line(out, "cluster", r.cluster);
  line(out, "member", r.member.v);
  line(out, "term", r.term.v);
  line(out, "vote", r.vote.v);
  line(out, "data", r.generation);
  line(out, "voters", r.config.voters);
  line(out, "outgoing", r.config.outgoing);
  line(out, "learners", r.config.learners);
  line(out, "learners-next", r.config.learners_next);
  line(out, "auto-leave", r.config.auto_leave ? 1u : 0u);
  line(out, "condemned", r.condemned);
  line(out, "damage", r.damage);
  out += "crc32c " + hex(crc32c(out)) + "\n";
  return out;
}

result<member_record> decode_member(std::string_view text) {
  const auto last = text.rfind("crc32c ");
  if (!text.starts_with(first_line) || last == text.npos)
    return errors::internal("it is no member file of this version of troupe");
  if (text.substr(last) != "crc32c " + hex(crc32c(text.substr(0, last))) + "\n")
    return errors::internal("checksum mismatch over " + std::to_string(last) + " bytes");
  line_reader in(text.substr(first_line.size(), last - first_line.size()));
  member_record r;
  r.cluster = in.value("cluster");
  r.member = member_id{in.number("member")};
  r.term = log_term{in.number("term")};
  r.vote = member_id{in.number("vote")};
  r.generation = in.number("data");
  r.config.voters = in.ids("voters");
  r.config.outgoing = in.ids("outgoing");
  r.config.learners = in.ids("learners");
  r.config.learners_next = in.ids("learners-next");
  r.config.auto_leave = in.number("auto-leave") != 0;
  r.condemned = in.value("condemned");
  r.damage = in.value("damage");
  if (!in.done()) return errors::internal("its lines are not those of a member file");
  return r;
}

result<std::optional<member_record>> read_member_file(const std::string& dir) {
  const auto path = dir + std::string(file_name);
  file f(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (f.fd < 0 && errno == ENOENT) return std::optional<member_record>{};
  if (f.fd < 0) return cannot("open", path, errno);
  std::string text(file_bytes_max, '\0');
  const auto n = ::read(f.fd, text.data(), text.size());
  if (n < 0) return cannot("read", path, errno);
  text.resize(static_cast<std::size_t>(n));
  auto r = decode_member(text);
  if (!r) return errors::internal(path + " is damaged: " + r.error().message);
  return std::optional<member_record>(std::move(*r));
}

namespace {

/// They trade places, so that the next one has its blocks already; where that cannot be, the old one goes.
bool put_in_place(const std::string& fresh, const std::string& path) {
  return ::renameat2(AT_FDCWD, fresh.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0 ||
         ::rename(fresh.c_str(), path.c_str()) == 0;
}

} // namespace

/// Over the one before the last, so that a full disk does not keep a member from writing down a term and a vote.
result<void> write_member_file(const std::string& dir, const member_record& r) {
  const auto path = dir + std::string(file_name), beside = path + ".new";
  const auto text = encode_member(r);
  {
    file f(::open(beside.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    if (f.fd < 0) return cannot("make", beside, errno);
    const auto n = ::write(f.fd, text.data(), text.size());
    if (n < 0) return cannot("write", beside, errno);
    if (static_cast<std::size_t>(n) != text.size()) return cannot("write", beside, ENOSPC);
    if (::ftruncate(f.fd, n) != 0) return cannot("cut", beside, errno);
    fault_point();
    if (::fsync(f.fd) != 0) return cannot("sync", beside, errno);
  }
  fault_point();
  if (!put_in_place(beside, path)) return cannot("rename to", path, errno);
  fault_point();
  auto synced = sync_dir(dir);
  if (!synced) ::unlink(beside.c_str()); // it may still be the one that counts: not to be written over
  return synced;
}

result<void> sync_dir(const std::string& dir) {
  file f(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (f.fd < 0 || ::fsync(f.fd) != 0) return cannot("sync the directory", dir, errno);
  return {};
}

} // namespace troupe::store

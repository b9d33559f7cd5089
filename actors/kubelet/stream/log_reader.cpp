#include "actors/kubelet/stream/log_reader.hpp"

#include "actors/kubelet/limits.hpp"
#include "api/meta/time.hpp"

#include <algorithm>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::kubelet {

std::optional<log_line> parse_log_line(std::string_view l) noexcept {
  log_line out;
  auto word = [&]() -> std::string_view {
    auto blank = l.find(' ');
    if (blank == std::string_view::npos) return {};
    auto w = l.substr(0, blank);
    l.remove_prefix(blank + 1);
    return w;
  };
  out.time = word();
  out.stream = word();
  if (out.time.size() < 20 || (out.stream != "stdout" && out.stream != "stderr")) return std::nullopt;
  auto tag = l.find(' ') == std::string_view::npos ? std::exchange(l, {}) : word();
  tag = tag.substr(0, tag.find(':'));
  if (tag != "F" && tag != "P") return std::nullopt;
  out.partial = tag == "P";
  out.text = l;
  return out;
}

namespace {
constexpr std::size_t block_bytes = 16 * 1024;

/// Does the line beginning at `at` carry the P flag? Its head is short.
bool is_partial_at(int fd, std::uint64_t at) {
  char head[64];
  auto n = ::pread(fd, head, sizeof head, static_cast<off_t>(at));
  if (n <= 0) return false;
  std::string_view v{head, static_cast<std::size_t>(n)};
  for (int i = 0; i < 2; ++i) {
    auto blank = v.find(' ');
    if (blank == std::string_view::npos) return false;
    v.remove_prefix(blank + 1);
  }
  return v.starts_with("P ");
}
} // namespace

/// Walks line starts backwards. A text line ends with a line flagged F, so the wanted part begins behind the
/// (lines + 1)-th F line from the end; P lines before an F line belong to it.
std::uint64_t tail_offset(int fd, std::uint64_t size, std::int64_t lines) {
  if (lines <= 0) return size;
  std::uint64_t end = size, next_start = size;
  std::int64_t seen = 0;
  char block[block_bytes];
  auto passes = [&](std::uint64_t start) {
    if (start < size && !is_partial_at(fd, start) && ++seen > lines) return true;
    next_start = start;
    return false;
  };
  while (end > 0) {
    auto begin = end > block_bytes ? end - block_bytes : 0;
    auto n = ::pread(fd, block, static_cast<std::size_t>(end - begin), static_cast<off_t>(begin));
    if (n <= 0) return 0;
    for (auto i = n - 1; i >= 0; --i)
      if (block[i] == '\n' && passes(begin + static_cast<std::uint64_t>(i) + 1)) return next_start;
    end = begin;
  }
  return passes(0) ? next_start : 0;
}

namespace {
/// conmon writes the host's own offset; clients expect UTC with a Z and all nine digits.
void append_utc(std::string_view time, std::string& out) {
  const auto t = time.ends_with('Z') ? std::nullopt : parse_time(time);
  if (!t) {
    out.append(time);
    return;
  }
  auto text = format_time(std::chrono::floor<std::chrono::seconds>(*t)); // …:05Z
  text.pop_back();
  out.append(text);
  if (const auto dot = time.find('.'); dot != std::string_view::npos)
    out.append(time.substr(dot, time.find_first_of("+-Z", dot) - dot));
  out.push_back('Z');
}
} // namespace

void log_formatter::line(std::string_view whole, std::string& out) {
  auto l = parse_log_line(whole);
  if (!l) {
    out.append(whole).push_back('\n');
    return;
  }
  if (options_.since_ns > 0 && !since_passed_) {
    auto t = parse_time(l->time);
    if (t && t->time_since_epoch().count() < options_.since_ns / 1000) return;
    since_passed_ = true;
  }
  if (options_.timestamps && !inside_) {
    append_utc(l->time, out);
    out.push_back(' ');
  }
  out.append(l->text);
  if (!l->partial) out.push_back('\n');
  inside_ = l->partial;
}

std::string log_formatter::feed(std::string_view raw) {
  std::string out;
  while (!raw.empty() && !full()) {
    auto end = raw.find('\n');
    if (end == std::string_view::npos) {
      rest_.append(raw);
      break;
    }
    if (rest_.empty()) {
      line(raw.substr(0, end), out);
    } else {
      rest_.append(raw.substr(0, end));
      line(rest_, out);
      rest_.clear();
    }
    raw.remove_prefix(end + 1);
  }
  if (left_ >= 0) {
    if (static_cast<std::int64_t>(out.size()) > left_) out.resize(static_cast<std::size_t>(left_));
    left_ -= static_cast<std::int64_t>(out.size());
  }
  return out;
}

std::string log_tail_text(const std::string& path, std::size_t lines_max, std::size_t bytes_max) {
  int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  struct stat st {};
  ::fstat(fd, &st);
  auto size = static_cast<std::uint64_t>(st.st_size);
  auto at = tail_offset(fd, size, static_cast<std::int64_t>(lines_max));
  // Each line carries up to 64 bytes of head beside its text.
  auto most = static_cast<std::uint64_t>(bytes_max + lines_max * 64);
  at = std::max(at, size > most ? size - most : 0);
  std::string raw(static_cast<std::size_t>(size - at), '\0');
  auto n = ::pread(fd, raw.data(), raw.size(), static_cast<off_t>(at));
  ::close(fd);
  raw.resize(static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
  log_formatter f{log_options{}};
  auto text = f.feed(raw);
  if (text.size() > bytes_max) text.erase(0, text.size() - bytes_max);
  return text;
}

} // namespace troupe::kubelet

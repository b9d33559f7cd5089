// log_reader: reads container logs in the CRI format, forwards and from the end.
// Owner:  one reader per file; not shared between threads.
// Units:  a line is `<RFC 3339 nano time> <stdout|stderr> <F|P> <text>\n`; P marks a part of a longer line.
// Errors: a malformed line is given out as it stands; an unreadable file is a status.
// Source: Kubernetes CRI log format; kubelet logs.ReadLogs.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace troupe::kubelet {

struct log_options {
  bool timestamps = false;
  std::int64_t tail_lines = -1; // -1: all
  std::int64_t bytes_max = -1;  // -1: no limit
  std::int64_t since_ns = 0;    // epoch; older lines are left out; 0: all
};

struct log_line {
  std::string_view time, stream, text; // text without the newline
  bool partial = false;
};
/// nullopt when the line is not in the format.
std::optional<log_line> parse_log_line(std::string_view line) noexcept;

/// Offset at which the last `lines` full lines begin; reads backwards in blocks. A partial line counts with its end.
std::uint64_t tail_offset(int fd, std::uint64_t size, std::int64_t lines);

/// Turns raw bytes of the file into what a client sees; keeps what is not a whole line yet.
class log_formatter {
public:
  explicit log_formatter(log_options o) : options_(o), left_(o.bytes_max) {}
  std::string feed(std::string_view raw);
  bool full() const noexcept { return left_ == 0; }

private:
  void line(std::string_view whole, std::string& out);
  log_options options_;
  std::int64_t left_;
  std::string rest_;
  bool inside_ = false; // behind a P line: no timestamp before its continuation
  bool since_passed_ = false;
};

/// The last lines of a log as plain text, for termination messages.
std::string log_tail_text(const std::string& path, std::size_t lines_max, std::size_t bytes_max);

} // namespace troupe::kubelet

#include "store/rocks_log.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace troupe::store {

namespace {

constexpr std::size_t line_bytes_max = 4096; // the rest of a longer one is lost
constexpr off_t file_bytes_max = 1 << 20;    // then it begins anew

class own_log final : public rocksdb::Logger {
public:
  explicit own_log(const std::string& dir)
      : Logger(rocksdb::WARN_LEVEL),
        fd_(::open((dir + "/LOG").c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600)) {}
  ~own_log() override {
    if (fd_ >= 0) ::close(fd_);
  }

  void LogHeader(const char*, va_list) override {} // options, at every opening
  using Logger::Logv;
  void Logv(const char* format, va_list words) override {
    if (fd_ < 0) return;
    std::array<char, line_bytes_max> line;
    auto size = stamp(line);
    const auto told = std::vsnprintf(line.data() + size, line.size() - size, format, words);
    if (told < 0) return;
    size = std::min(size + static_cast<std::size_t>(told), line.size() - 1);
    if (line[size - 1] != '\n') line[size++] = '\n';
    if (::lseek(fd_, 0, SEEK_END) > file_bytes_max && ::ftruncate(fd_, 0) != 0) return;
    if (::write(fd_, line.data(), size) < 0) return; // nobody to tell
  }

private:
  static std::size_t stamp(std::array<char, line_bytes_max>& line) {
    const auto now = std::time(nullptr);
    std::tm utc{};
    ::gmtime_r(&now, &utc);
    return std::strftime(line.data(), line.size(), "%Y-%m-%dT%H:%M:%SZ ", &utc);
  }

  int fd_;
};

} // namespace

std::shared_ptr<rocksdb::Logger> rocks_log(const std::string& dir) { return std::make_shared<own_log>(dir); }

} // namespace troupe::store

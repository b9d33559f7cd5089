#include "net/pod/lease_journal.hpp"

#include "net/packet/host_error.hpp"
#include "net/pod/limits.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <unistd.h>

namespace troupe::net {

namespace {

status failed(const std::string& what, const std::string& path) {
  int error = errno;
  auto words = "cannot " + what + " the address file " + path + ": " + std::strerror(error);
  return error == ENOSPC ? errors::insufficient_storage(words) : host_error(words);
}

void replay(std::istream& in, address_pool& pool) {
  std::string line;
  while (std::getline(in, line)) {
    std::istringstream words{line};
    std::string sign, owner, address;
    words >> sign >> owner >> address;
    if (owner.empty()) continue;
    if (sign == "-") pool.release(owner);
    if (auto parsed = parse_ipv4(address); sign == "+" && parsed) pool.restore(owner, *parsed);
  }
}

} // namespace

lease_journal::~lease_journal() {
  if (file_ >= 0) ::close(file_);
}

result<void> lease_journal::load(address_pool& pool) {
  std::error_code ignored; // opening the file says it better
  std::filesystem::create_directories(std::filesystem::path{path_}.parent_path(), ignored);
  if (std::ifstream in{path_}) replay(in, pool);
  return rewrite(pool);
}

result<void> lease_journal::rewrite(const address_pool& pool) {
  auto fresh = path_ + ".new";
  int file = ::open(fresh.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
  if (file < 0) return failed("write", fresh);
  std::string text;
  for (const auto& owner : pool.owners())
    text += "+ " + owner + ' ' + to_text(*pool.find(owner)) + '\n';
  bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  if (!written || ::fsync(file) != 0 || ::rename(fresh.c_str(), path_.c_str()) != 0) {
    auto why = failed("write", path_);
    ::close(file);
    return why;
  }
  if (file_ >= 0) ::close(file_);
  file_ = file;
  lines_ = pool.held();
  return {};
}

result<void> lease_journal::append(const std::string& line, const address_pool& pool) {
  if (file_ < 0 || lines_ > 2 * pool.held() + limits::journal_slack_lines) return rewrite(pool);
  if (::write(file_, line.data(), line.size()) != static_cast<ssize_t>(line.size())) return failed("extend", path_);
  ++lines_;
  return {};
}

result<void> lease_journal::taken(const std::string& owner, std::uint32_t address, const address_pool& pool) {
  return append("+ " + owner + ' ' + to_text(address) + '\n', pool);
}

result<void> lease_journal::released(const std::string& owner, const address_pool& pool) {
  return append("- " + owner + '\n', pool);
}

void lease_journal::remove() {
  if (file_ >= 0) ::close(file_);
  file_ = -1;
  ::unlink(path_.c_str());
}

} // namespace troupe::net

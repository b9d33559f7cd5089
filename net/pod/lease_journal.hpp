// lease_journal: the file that remembers which pod holds which address, across restarts and kill -9.
// Owner:  bridge_network, under its mutex.
// Units:  one line per change: `+ <owner> <address>` or `- <owner>`; rewritten when it has many more lines than leases.
// Errors: status naming the file; a torn or foreign line is skipped on reading.
// Source: ours. No sync per line: what survives a power failure has no running pods left, and the kernel's own
//         devices (their alias names pod and address) are the second witness.
#pragma once

#include "net/pod/address_pool.hpp"

#include "api/status.hpp"

#include <string>

namespace troupe::net {

class lease_journal {
public:
  explicit lease_journal(std::string path) : path_(std::move(path)) {}
  ~lease_journal();
  lease_journal(const lease_journal&) = delete;
  lease_journal& operator=(const lease_journal&) = delete;

  /// Repeats the file into the pool, then writes it anew in its shortest form.
  result<void> load(address_pool& pool);
  result<void> taken(const std::string& owner, std::uint32_t address, const address_pool& pool);
  result<void> released(const std::string& owner, const address_pool& pool);
  void remove();

private:
  result<void> append(const std::string& line, const address_pool& pool);
  result<void> rewrite(const address_pool& pool);

  std::string path_;
  int file_ = -1;
  std::size_t lines_ = 0;
};

} // namespace troupe::net

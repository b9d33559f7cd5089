// target: a store under test, as the load generator sees it: operations go out, completions come back.
// Owner:  one thread of the load generator at a time: all calls come from it. Connections are served within calls, so
//         a target that nobody calls for five seconds loses them.
// Units:  a slot is one client: it has at most one operation outstanding. Connections are shared by slots.
// Errors: completion::error, one sentence; construction throws std::runtime_error.
// Source: ours; implemented over etcd's gRPC API and over our own links.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace troupe::bench {

using bench_clock = std::chrono::steady_clock;

struct target_options {
  std::vector<std::string> endpoints; // host:port; connections go round them, the first one first
  std::size_t connections = 1;
  // PEM files of the authority and of the client; empty: no TLS
  std::string ca_file, cert_file, key_file;
  std::chrono::milliseconds op_timeout{10000};
};

struct pair_to_put {
  std::string key, value;
};

struct completion {
  std::size_t slot = 0;
  std::string error; // empty: done
  std::size_t found = 0;
};

class target {
public:
  virtual ~target() = default;
  /// Durable when it completes; all pairs in one transaction.
  virtual void put(std::size_t slot, std::vector<pair_to_put> pairs) = 0;
  /// Linearizable.
  virtual void get(std::size_t slot, const std::string& key) = 0;
  /// Waits until something completed or the deadline passed, and appends all that did.
  virtual void wait(std::vector<completion>& out, bench_clock::time_point deadline) = 0;
  /// Moves a slot to the next endpoint, after an operation failed there.
  virtual void move_on(std::size_t slot) = 0;

  // Blocking questions to the first endpoint.
  /// True when that member leads its group.
  virtual bool leads() = 0;
  /// Reads a whole snapshot and throws it away; its size in bytes.
  virtual std::uint64_t snapshot() = 0;
  /// Forgets all versions but the present ones; returns when that is done.
  virtual void compact() = 0;
};

std::unique_ptr<target> make_etcd_target(const target_options& options);
std::unique_ptr<target> make_troupe_target(const target_options& options);

} // namespace troupe::bench

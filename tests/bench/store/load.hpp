// load: drives a target: so many clients, each with one operation outstanding; or operations at fixed times.
// Owner:  the thread that calls; all state lives in the call.
// Units:  microseconds; a paced operation's latency counts from when it should have begun, not from when it could.
// Errors: failed operations are counted, the first one's sentence is kept.
// Source: ours.
#pragma once

#include "tests/bench/store/target.hpp"

#include <functional>
#include <string>
#include <vector>

namespace troupe::bench {

struct load_shape {
  enum class op : std::uint8_t { put, get } what = op::put;
  std::size_t clients = 1;
  std::size_t keys = 1000; // operations go round them in a scattered order
  std::size_t value_bytes = 256;
  double seconds = 3;
  double rate = 0; // operations per second; 0: each client begins the next when one is done
};

struct load_result {
  std::vector<double> micros; // sorted
  double seconds = 0;
  std::uint64_t failed = 0;
  std::string first_error;
  double per_second() const;
  double quantile(double q) const; // 0..1
};

/// The key with that number, and a value of so many bytes that does not compress.
std::string key_of(std::size_t number);
std::string value_of(std::size_t bytes, std::uint64_t seed);

/// Runs for shape.seconds, or until `enough` says so when it is given.
load_result run_load(target& t, const load_shape& shape, const std::function<bool()>& enough = {});
/// Puts every key once, `per_txn` to a transaction.
load_result fill(target& t, const load_shape& shape, std::size_t per_txn);
/// Keeps `clients` puts going whatever happens, each retried at the next endpoint; calls `done` at each success.
void keep_putting(target& t, const load_shape& shape, const std::function<void()>& done);

} // namespace troupe::bench

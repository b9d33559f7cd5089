// proxy_core: the two decisions of the proxy: which rules are wanted, and when they are loaded.
// Owner:  proxy_actor; pure: time comes in as durations, what to do goes out as effects.
// Units:  back-off 1 s doubling to 30 s; after a load the proxy rests as long as the load took, at most 1 s.
// Errors: -
// Source: kube-proxy (serviceports, endpoints, topology without hints) and its bounded-frequency runner.
#pragma once

#include "actors/proxy/service_index_core.hpp"
#include "net/service/service_rules.hpp"

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe {

/// The rules of one Service; endpoints on `node` are local. Nobody ready: those that are closing but still serve.
std::vector<net::service_port> rules_of(const service_key&, const service_view&, const service_index_core::slices&,
                                        const std::string& node);

/// All rules, remade only for Services that changed.
class service_map_core {
public:
  explicit service_map_core(std::string node) : node_(std::move(node)) {}
  service_index_core index;
  /// Everything wanted now; clears what counted as changed.
  std::vector<net::service_port> compile();
  std::size_t endpoints() const noexcept { return endpoints_; }

private:
  std::string node_;
  std::map<service_key, std::vector<net::service_port>> ready_;
  std::size_t endpoints_ = 0;
};

/// When to load: at once when idle; changes during a load or a rest go into the next one.
class apply_gate_core {
public:
  struct effect {
    bool apply = false;
    std::optional<std::chrono::milliseconds> arm; // a timer that comes back with `epoch`
    std::uint64_t epoch = 0;
  };
  effect changed();
  effect applied(bool ok, std::chrono::milliseconds cost);
  effect timer(std::uint64_t epoch);
  bool settled() const noexcept { return !busy_ && !dirty_; }
  bool failing() const noexcept { return failures_ > 0; }

private:
  effect start();
  effect rest(std::chrono::milliseconds time);
  bool dirty_ = false, busy_ = false, resting_ = false;
  int failures_ = 0;
  std::uint64_t epoch_ = 0;
};

} // namespace troupe

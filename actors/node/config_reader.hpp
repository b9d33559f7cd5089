// config_reader: walks a YAML document key by key; every mistake is recorded with line, column and the nearest key.
// Owner:  cluster_config, for the time of one parse; pure.
// Units:  numbers and durations are checked against the bounds the caller names.
// Errors: config_error list; a value that does not fit leaves its target as it was.
// Source: ours, design section 6 (outer contract).
#pragma once

#include "actors/node/cluster_config.hpp"

#include <yaml-cpp/yaml.h>

#include <charconv>
#include <chrono>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::node::detail {

using errors_t = std::vector<config_error>;

bool is_dns_label(std::string_view s);
bool is_dns_name(std::string_view s);
bool is_ipv4(const std::string& s);
/// Accepts a network of `shortest` to `longest` bits whose host part is zero.
bool is_cidr(const std::string& s, int shortest, int longest);
/// 50ms, 2s, 1m; nothing else.
std::optional<std::chrono::milliseconds> parse_duration(std::string_view s);

/// Walks one mapping: each key goes to its handler, unknown and repeated keys become errors.
class section {
public:
  using handler = std::function<void(const YAML::Node&)>;
  section(std::string where, errors_t& errors) : where_(std::move(where)), errors_(errors) {}

  section& key(std::string name, handler h) {
    handlers_.emplace_back(std::move(name), std::move(h));
    return *this;
  }

  void read(const YAML::Node& n) const;

  void fail(const YAML::Node& n, std::string what) const {
    errors_.push_back({n.Mark().line + 1, n.Mark().column + 1, std::move(what)});
  }

private:
  void unknown(const YAML::Node& n, const std::string& name) const;

  std::string where_;
  errors_t& errors_;
  std::vector<std::pair<std::string, handler>> handlers_;
};

/// Makes handlers that check one scalar and store it.
struct reader {
  errors_t& errors;

  void fail(const YAML::Node& n, std::string what) const {
    errors.push_back({n.Mark().line + 1, n.Mark().column + 1, std::move(what)});
  }

  section::handler text(std::string name, std::string& out, std::function<bool(const std::string&)> ok,
                        std::string expected) const;

  template <class Int>
  section::handler number(std::string name, Int& out, std::int64_t low, std::int64_t high) const {
    return [=, this, &out](const YAML::Node& n) {
      std::int64_t v = 0;
      const auto s = n.IsScalar() ? n.Scalar() : std::string{};
      const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), v);
      if (s.empty() || ec != std::errc{} || end != s.data() + s.size() || v < low || v > high) {
        fail(n, name + ": expected a whole number from " + std::to_string(low) + " to " + std::to_string(high) +
                    (s.empty() ? "" : ", found \"" + s + "\""));
        return;
      }
      out = static_cast<Int>(v);
    };
  }

  section::handler map(std::string name, std::map<std::string, std::string>& out) const;
  section::handler flag(std::string name, bool& out) const;
  /// Milliseconds; `Duration` may be coarser, then a value that it cannot hold exactly is a mistake.
  template <class Duration>
  section::handler duration(std::string name, Duration& out, std::chrono::milliseconds low,
                            std::chrono::milliseconds high) const {
    return [=, this, &out](const YAML::Node& n) {
      const auto s = n.IsScalar() ? n.Scalar() : std::string{};
      const auto v = parse_duration(s);
      const auto exact = v ? std::chrono::duration_cast<Duration>(*v) : Duration{};
      if (!v || *v < low || *v > high || exact != *v) return fail(n, duration_words(name, s, low, high));
      out = exact;
    };
  }

private:
  static std::string duration_words(const std::string& name, const std::string& found, std::chrono::milliseconds low,
                                    std::chrono::milliseconds high);
};

} // namespace troupe::node::detail

// names: what names, labels, keys and generated suffixes may look like.
// Owner:  nobody; pure functions. Randomness comes from the caller's source.
// Units:  lengths in bytes; limits in k8s API section 7.
// Errors: each check returns the detail texts of what is wrong; empty means good.
// Source: k8s API section 7; apimachinery util/validation.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// A seeded generator (splitmix64). Its seed is an argument, so one seed replays every id.
class random_source {
public:
  explicit constexpr random_source(std::uint64_t seed) noexcept : state_(seed) {}
  std::uint64_t next() noexcept;
  /// Uniform in [0, bound); bound > 0.
  std::uint64_t below(std::uint64_t bound) noexcept;

private:
  std::uint64_t state_;
};

/// Five (or n) characters of the alphabet that generated names use.
std::string random_suffix(random_source& r, std::size_t n = 5);
/// First 58 characters of the base + 5 random ones.
std::string generate_name(std::string_view base, random_source& r);
/// UUID version 4.
std::string make_uid(random_source& r);

namespace names {

using faults = std::vector<std::string>;

faults dns1123_label(std::string_view s);
faults dns1123_subdomain(std::string_view s);
faults dns1035_label(std::string_view s);
faults path_segment(std::string_view s);
faults qualified(std::string_view s);
faults label_value(std::string_view s);
faults env_name(std::string_view s);
faults config_map_key(std::string_view s);
faults port_name(std::string_view s);
faults http_header_name(std::string_view s);
faults cidr(std::string_view s);
/// `prefix` of a generated name: a trailing dash is allowed. `rule` is schema::resource::name_rule.
faults by_rule(std::string_view rule, std::string_view s, bool is_prefix);

bool is_dns1123_label(std::string_view s) noexcept;
bool is_dns1123_subdomain(std::string_view s) noexcept;
bool is_qualified(std::string_view s) noexcept;
bool is_label_value(std::string_view s) noexcept;
bool is_ip(std::string_view s) noexcept;
bool is_ipv4(std::string_view s) noexcept;
bool is_ipv6(std::string_view s) noexcept;
std::string lower(std::string_view s);

} // namespace names
} // namespace troupe

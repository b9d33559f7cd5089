// chance: the generator of everything random in a simulated run; each concern has one of its own.
// Owner:  one component of the simulation.
// Units:  probabilities in [0, 1].
// Errors: -
// Source: splitmix64. Separate streams: a change in one concern leaves the decisions of the others as they were.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <string_view>

namespace troupe::sim {

class chance {
public:
  chance(std::uint64_t seed, std::string_view concern) : state_(seed) {
    for (const unsigned char c : concern)
      state_ = (state_ ^ c) * 1099511628211ull;
    next();
  }
  std::uint64_t next() noexcept {
    std::uint64_t z = (state_ += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
  }
  /// Uniform in [0, n); n > 0.
  std::uint64_t below(std::uint64_t n) noexcept { return next() % n; }
  std::uint64_t between(std::uint64_t low, std::uint64_t high) noexcept { return low + below(high - low + 1); }
  double part() noexcept { return static_cast<double>(next() >> 11) * 0x1.0p-53; }
  bool happens(double p) noexcept { return p > 0 && part() < p; }
  std::chrono::nanoseconds between(std::chrono::nanoseconds low, std::chrono::nanoseconds high) noexcept {
    if (high <= low) return low;
    return low + std::chrono::nanoseconds(
                     static_cast<std::int64_t>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  /// Exponentially distributed, at most eight times the mean.
  std::chrono::nanoseconds around(std::chrono::nanoseconds mean) noexcept {
    const double x = std::fmin(8.0, -std::log(1.0 - part()));
    return std::chrono::nanoseconds(static_cast<std::int64_t>(x * static_cast<double>(mean.count())));
  }
  template <class List>
  auto& pick(List& from) noexcept {
    return from[below(from.size())];
  }

private:
  std::uint64_t state_;
};

} // namespace troupe::sim

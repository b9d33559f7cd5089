#include "actors/support/attention.hpp"

#include <algorithm>
#include <sched.h>

namespace troupe {

bool attention::begin(instant now) {
  began_ = looked_ = now;
  return window_ > duration{0} && now >= rested_at_;
}

bool attention::go_on(instant now) {
  if (now - looked_ >= crowded_after) {
    rested_at_ = now + rest_;
    rest_ = std::min<duration>(2 * rest_, rest_longest);
    return false;
  }
  looked_ = now;
  return now - began_ < window_;
}

void attention::found() { rest_ = rest_first; }

void attention::woke(instant now) {
  const auto waited = now - began_;
  if (waited > longest)
    window_ = window_ / 2 < first ? duration{0} : window_ / 2;
  else if (waited > window_)
    window_ = std::clamp<duration>(2 * window_, first, longest);
}

void attention::give_way() { ::sched_yield(); }

} // namespace troupe

#include "actors/support/work_queue.hpp"

#include <algorithm>

namespace troupe {

void work_queue::add(std::string_view key) {
  auto [it, fresh] = keys_.try_emplace(std::string{key});
  auto& e = it->second;
  if (e.busy) {
    e.again = true;
    return;
  }
  if (e.queued) return;
  e.queued = true;
  ready_.push_back(it->first);
}

void work_queue::add_at(std::string_view key, sys_micros when) {
  auto [it, fresh] = keys_.try_emplace(std::string{key});
  auto& e = it->second;
  if (e.due && *e.due <= when) return;
  if (e.due) timed_.erase({*e.due, it->first});
  e.due = when;
  timed_.insert({when, it->first});
}

std::optional<std::string> work_queue::take() {
  if (ready_.empty()) return std::nullopt;
  auto key = std::move(ready_.front());
  ready_.pop_front();
  auto& e = keys_.at(key);
  e.queued = false;
  e.busy = true;
  return key;
}

void work_queue::drop_if_idle(map::iterator it) {
  const auto& e = it->second;
  if (!e.queued && !e.busy && !e.due && e.failures == 0) keys_.erase(it);
}

void work_queue::done(const std::string& key) {
  auto it = keys_.find(key);
  if (it == keys_.end()) return;
  auto& e = it->second;
  e.busy = false;
  e.failures = 0;
  if (std::exchange(e.again, false)) return add(key);
  drop_if_idle(it);
}

void work_queue::failed(const std::string& key, sys_micros now) {
  auto it = keys_.find(key);
  if (it == keys_.end()) return;
  auto& e = it->second;
  e.busy = false;
  e.again = false;
  auto wait = initial_;
  for (std::uint32_t i = 0; i < e.failures && wait < max_; ++i)
    wait *= 2;
  ++e.failures;
  add_at(key, now + std::min(wait, max_));
}

std::optional<sys_micros> work_queue::flush(sys_micros now) {
  while (!timed_.empty() && timed_.begin()->first <= now) {
    auto key = timed_.begin()->second;
    timed_.erase(timed_.begin());
    keys_.at(key).due.reset();
    add(key);
  }
  if (timed_.empty()) return std::nullopt;
  return timed_.begin()->first;
}

bool work_queue::busy(std::string_view key) const {
  auto it = keys_.find(std::string{key});
  return it != keys_.end() && it->second.busy;
}

} // namespace troupe

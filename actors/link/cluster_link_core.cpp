#include "actors/link/cluster_link_core.hpp"

#include "actors/link/link_limits.hpp"

#include <algorithm>

namespace troupe::link {

namespace {

constexpr int attempts_max = 3;

const json::value* document(const request& r) {
  auto* doc = std::get_if<std::shared_ptr<const json::value>>(&r.body);
  return doc ? doc->get() : nullptr;
}

std::uint64_t mixed(std::uint64_t seed, const std::string& name) {
  std::uint64_t h = seed ^ 1469598103934665603ull;
  for (unsigned char c : name)
    h = (h ^ c) * 1099511628211ull;
  return h;
}

} // namespace

bool safe_to_repeat(const request& r) {
  switch (r.what) {
  case verb::get:
  case verb::list: return true;
  case verb::update:
  case verb::patch: {
    auto* doc = document(r);
    return doc && doc->is_object() && !jq::str(*doc, {"metadata", "resourceVersion"}).empty();
  }
  case verb::delete_: {
    auto* doc = document(r);
    return doc && doc->is_object() && !jq::str(*doc, {"preconditions", "uid"}).empty();
  }
  default: return false;
  }
}

std::string cluster_link_core::active_name() const {
  auto it = masters_.find(active_);
  return it == masters_.end() ? std::string{} : it->second.name;
}

std::vector<std::string> cluster_link_core::open_names() const {
  std::vector<std::string> out;
  for (const auto& [id, m] : masters_)
    out.push_back(m.name);
  std::sort(out.begin(), out.end());
  return out;
}

// ---------------------------------------------------------------- masters

void cluster_link_core::opened(std::uint64_t session, const std::string& name, const master_state& s, instant now,
                               effects& out) {
  masters_[session] = {name, s, {}};
  choose(now, out);
}

void cluster_link_core::lost(std::uint64_t session, const std::string& why, instant now, effects& out) {
  auto it = masters_.find(session);
  if (it == masters_.end()) return;
  last_failure_ = "session with master " + it->second.name + ": " + why;
  const auto name = it->second.name;
  masters_.erase(it);
  if (active_ == session) active_ = 0, feeding_ = false;
  choose(now, out);
  std::vector<pending> cut;
  for (auto c = outstanding_.begin(); c != outstanding_.end();) {
    if (c->second.session != session) {
      ++c;
      continue;
    }
    cut.push_back(std::move(c->second));
    c = outstanding_.erase(c);
  }
  for (auto& p : cut) {
    if (safe_to_repeat(*p.req) && p.attempt < attempts_max) {
      send(std::move(p), now, out);
      continue;
    }
    refuse(p.ticket,
           errors::timeout("the connection to master " + name + " was lost before it answered (" + why +
                           "); whether the request took effect is not known: read before asking again"),
           out);
  }
}

void cluster_link_core::state(std::uint64_t session, const master_state& s, instant now, effects& out) {
  auto it = masters_.find(session);
  if (it == masters_.end()) return;
  it->second.state = s;
  choose(now, out);
}

std::tuple<bool, bool, std::uint64_t> cluster_link_core::rank(const master& m, instant now) const {
  return {m.state.serving, m.shunned_until <= now, mixed(seed_, m.name)};
}

/// Stays with the master we have while it serves: every switch costs the whole node a moment.
void cluster_link_core::choose(instant now, effects& out) {
  auto best = masters_.end();
  for (auto it = masters_.begin(); it != masters_.end(); ++it)
    if (best == masters_.end() || rank(it->second, now) > rank(best->second, now)) best = it;
  if (best == masters_.end()) return;
  if (auto held = masters_.find(active_); held != masters_.end()) {
    const auto [serves, willing, any] = rank(held->second, now);
    const auto [other_serves, other_willing, other_any] = rank(best->second, now);
    if (std::pair(serves, willing) >= std::pair(other_serves, other_willing)) return;
    out.push_back(to_master{active_, message{unsubscribe{}}});
  }
  follow(best->first, now, out);
}

void cluster_link_core::follow(std::uint64_t session, instant now, effects& out) {
  active_ = session;
  ++switches_;
  ask_feed(now, out);
  auto all = std::exchange(waiting_, {});
  for (auto& p : all)
    send(std::move(p), now, out);
}

void cluster_link_core::ask_feed(instant now, effects& out) {
  feeding_ = false;
  feed_asked_ = now;
  taken_ = 0;
  out.push_back(to_master{active_, message{subscribe{++epoch_, cursor_, tables_, limits::link::feed_credit_bytes}}});
}

// ---------------------------------------------------------------- calls

void cluster_link_core::ask(std::uint64_t ticket, component as, request_ptr req, instant now, effects& out) {
  if (outstanding_.size() >= limits::link::calls_max || waiting_.size() >= limits::link::calls_waiting_max)
    return refuse(ticket, errors::too_many_requests("too many calls of this node wait for a master", 1), out);
  send({ticket, as, std::move(req), 0, 0, now}, now, out);
}

void cluster_link_core::send(pending p, instant now, effects& out) {
  if (active_ == 0) {
    p.session = 0;
    p.since = now;
    waiting_.push_back(std::move(p));
    return;
  }
  p.session = active_;
  ++p.attempt;
  p.since = now;
  const auto id = next_call_++;
  out.push_back(to_master{active_, message{call{id, p.as, p.req}}});
  outstanding_.emplace(id, std::move(p));
}

void cluster_link_core::answered(std::uint64_t session, std::uint64_t id, response_ptr res, effects& out) {
  auto it = outstanding_.find(id);
  if (it == outstanding_.end() || it->second.session != session) return;
  out.push_back(to_caller{it->second.ticket, std::move(res)});
  outstanding_.erase(it);
}

void cluster_link_core::refuse(std::uint64_t ticket, status s, effects& out) const {
  auto r = std::make_shared<response>();
  r->code = s.code;
  r->error = std::make_shared<const status>(std::move(s));
  out.push_back(to_caller{ticket, std::move(r)});
}

status cluster_link_core::no_master() const {
  return errors::unavailable("no master of the cluster can be reached from this node; " + last_failure_, 1);
}

// ---------------------------------------------------------------- feed

bool cluster_link_core::feed_begun(std::uint64_t session, const feed_begin& m) {
  if (session != active_ || m.epoch != epoch_) return false;
  feeding_ = true;
  tables_ = m.tables;
  return true;
}

void cluster_link_core::took(std::size_t bytes, store::revision cursor, effects& out) {
  cursor_ = cursor;
  taken_ += static_cast<std::int64_t>(bytes);
  if (taken_ < limits::link::feed_credit_bytes / 4 || active_ == 0) return;
  out.push_back(to_master{active_, message{credit{std::exchange(taken_, 0)}}});
}

bool cluster_link_core::start_over(std::uint64_t session, const link::start_over& m, instant now, effects& out) {
  if (session != active_ || m.epoch != epoch_) return false;
  cursor_ = 0;
  tables_ = 0;
  ask_feed(now, out);
  return true;
}

// ---------------------------------------------------------------- time

void cluster_link_core::tick(instant now, effects& out) {
  while (!waiting_.empty() && now - waiting_.front().since > limits::link::no_master_patience) {
    refuse(waiting_.front().ticket, no_master(), out);
    waiting_.pop_front();
  }
  for (auto it = outstanding_.begin(); it != outstanding_.end();) {
    if (now - it->second.since <= limits::link::answer_patience) {
      ++it;
      continue;
    }
    refuse(it->second.ticket,
           errors::timeout("master " + active_name() +
                           " did not answer in time; whether the request took effect is "
                           "not known"),
           out);
    it = outstanding_.erase(it);
  }
  if (active_ != 0 && !feeding_ && now - feed_asked_ > limits::link::feed_patience) {
    auto& held = masters_.at(active_);
    held.shunned_until = now + 4 * limits::link::feed_patience; // it lags behind what this node has seen
    feed_asked_ = now;
    choose(now, out);
  }
}

void cluster_link_core::stop(effects& out) {
  const auto why = errors::unavailable("this node stops");
  for (const auto& [id, p] : outstanding_)
    refuse(p.ticket, why, out);
  for (const auto& p : waiting_)
    refuse(p.ticket, why, out);
  outstanding_.clear();
  waiting_.clear();
  masters_.clear();
  active_ = 0;
}

} // namespace troupe::link

#include "actors/link/master_sessions.hpp"

#include "api/version.hpp"

#include <algorithm>
#include <random>

namespace troupe::link {

namespace {

std::uint64_t random_life() {
  std::random_device device;
  return (static_cast<std::uint64_t>(device()) << 32 | device()) | 1;
}

bool same_place(const master_address& a, const master_address& b) { return a.address == b.address && a.port == b.port; }

/// On the i/o thread: streams are served at once.
result<void> on_frame(const std::function<void(std::uint64_t, message, frame_link_ptr, std::size_t)>& said,
                      std::uint64_t id, served_streams& streams, const frame_link_ptr& link, std::string_view payload) {
  auto decoded = decode_payload(payload);
  if (!decoded) return decoded.error();
  auto& m = *decoded;
  if (auto* b = std::get_if<bye>(&m)) return errors::unavailable(b->why);
  if (auto* s = std::get_if<stream_open>(&m)) return streams.on(*s), result<void>{};
  if (auto* s = std::get_if<stream_next>(&m)) return streams.on(*s), result<void>{};
  if (auto* s = std::get_if<stream_input>(&m)) return streams.on(std::move(*s)), result<void>{};
  if (auto* s = std::get_if<stream_close_input>(&m)) return streams.on(*s), result<void>{};
  if (auto* s = std::get_if<stream_close>(&m)) return streams.on(*s), result<void>{};
  if (auto* s = std::get_if<stats_question>(&m)) return streams.on(*s), result<void>{};
  link->hold(payload.size());
  said(id, std::move(m), link, payload.size());
  return {};
}

} // namespace

master_sessions::master_sessions(caf::actor_system& sys, master_sessions_options options)
    : system_(sys), o_(std::move(options)), life_(random_life()), loop_(frame_loop::make(o_.name)) {}

master_sessions::~master_sessions() { stop(); }

void master_sessions::stop() {
  std::vector<std::unique_ptr<dialer>> all;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(stopped_, true)) return;
    all.swap(dialers_);
    for (auto& d : retired_)
      all.push_back(std::move(d));
    retired_.clear();
  }
  for (auto& d : all)
    d->stop();
  all.clear();
  loop_->stop(); // with their links the streams end that these serve
  place_->set(kubelet_actor{});
}

void master_sessions::dial(const std::vector<master_address>& masters) {
  std::lock_guard lock(mutex_);
  if (stopped_) return;
  for (auto it = dialers_.begin(); it != dialers_.end();) {
    const auto wanted =
        std::any_of(masters.begin(), masters.end(), [&](const auto& m) { return same_place(m, (*it)->to()); });
    if (wanted) {
      ++it;
      continue;
    }
    (*it)->stop(); // it ends by itself; joined when all stop
    retired_.push_back(std::move(*it));
    it = dialers_.erase(it);
  }
  for (const auto& m : masters) {
    const auto there =
        std::any_of(dialers_.begin(), dialers_.end(), [&](const auto& d) { return same_place(m, d->to()); });
    if (!there) dialers_.push_back(std::make_unique<dialer>(options_for(m)));
  }
}

dialer_options master_sessions::options_for(const master_address& m) {
  dialer_options d;
  d.to = m;
  d.tls = o_.tls;
  d.first = {limits::link::protocol_version, o_.cluster_id, o_.node_name, version::git_version, life_};
  d.is_master = o_.is_master;
  d.on_session = [weak = weak_from_this()](session s, welcome w, std::function<void()> over) {
    auto me = weak.lock();
    return me ? me->adopt(std::move(s), std::move(w), std::move(over)) : over();
  };
  d.on_failure = [failed = events_.failed, m](const std::string& why) { failed(m, why); };
  return d;
}

void master_sessions::adopt(session s, welcome w, std::function<void()> over) {
  const auto id = next_session_.fetch_add(1);
  auto streams = std::make_shared<served_streams>(system_, place_);
  auto slot = std::make_shared<frame_link_ptr>();
  frame_handlers h;
  h.on_frame = [said = events_.said, id, streams, slot](std::string_view payload) {
    return on_frame(said, id, *streams, *slot, payload);
  };
  h.on_closed = [told = events_.over, id, streams, slot, over](const std::string& why) {
    streams->lost();
    slot->reset();
    told(id, why);
    over();
  };
  frame_bounds b;
  b.peer = side::master;
  b.ping_every = limits::link::ping_every;
  b.silence_max = limits::link::silence_max;
  auto link = loop_->adopt(std::move(s), std::move(h), b);
  *slot = link;
  streams->use(link);
  events_.opened(id, std::move(w), link); // before any frame of the session
  link->start();
}

} // namespace troupe::link

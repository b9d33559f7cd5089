#include "actors/link/mesh_table.hpp"

#include "actors/link/mesh_limits.hpp"
#include "actors/raft/parcel_codec.hpp"
#include "actors/support/component.hpp"

#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace troupe::mesh {

namespace limits = troupe::limits::mesh;
using clock = std::chrono::steady_clock;

peer_entry::peer_entry(mesh_peer at) {
  status_.at = std::move(at);
  status_.since = std::chrono::system_clock::now();
  status_.last_error = "no link has been made yet";
}

void peer_entry::send(const raft::parcel& p) {
  {
    std::lock_guard lock(mutex_);
    if (phase_ != phase::up) {
      ++status_.dropped_parcels;
      return;
    }
  }
  auto bytes = raft::encode_parcel(p);
  if (bytes.size() > limits::parcel_bytes_max)
    component_log("mesh")->error("a parcel of {} bytes for {} is larger than any link carries and is dropped",
                                 bytes.size(), at().name);
  std::lock_guard lock(mutex_);
  const auto waiting = sent_ - taken_;
  const bool fits = waiting == 0 || waiting + bytes.size() <= limits::backlog_bytes;
  if (phase_ != phase::up || !fits || bytes.size() > limits::parcel_bytes_max) {
    ++status_.dropped_parcels;
    return;
  }
  sent_ += bytes.size();
  ++status_.sent_parcels;
  status_.sent_bytes += bytes.size();
  // Under the lock: the parts of two parcels never mix.
  if (bytes.size() <= limits::part_bytes) {
    caf::anon_send(remote_, part{link_, 1, std::move(bytes)});
    return;
  }
  for (std::size_t from = 0; from < bytes.size(); from += limits::part_bytes) {
    const bool last = from + limits::part_bytes >= bytes.size();
    caf::anon_send(remote_, part{link_, last, bytes.substr(from, limits::part_bytes)});
  }
}

void peer_entry::set_phase(phase p) {
  phase_ = p;
  changed_.notify_all();
}

void peer_entry::link_up(std::uint64_t link, const mesh_hello& theirs, caf::actor remote) {
  std::lock_guard lock(mutex_);
  link_ = link;
  if (store_.empty()) store_ = theirs.store;
  remote_ = std::move(remote);
  sent_ = taken_ = 0;
  ++status_.links;
  status_.round_trip = std::chrono::nanoseconds{0};
  status_.since = std::chrono::system_clock::now();
  set_phase(phase::up);
}

void peer_entry::link_down(std::uint64_t link, const std::string& why) {
  caf::actor last_handle; // released outside of the lock
  std::lock_guard lock(mutex_);
  if (phase_ == phase::up ? link != link_ : phase_ == phase::apart) return;
  if (phase_ == phase::up) status_.since = std::chrono::system_clock::now();
  last_handle = std::move(remote_);
  remote_ = nullptr;
  link_ = 0;
  sent_ = taken_ = 0;
  if (!why.empty()) status_.last_error = why;
  set_phase(phase::apart);
}

void peer_entry::taken(std::uint64_t link, std::uint64_t bytes) {
  std::lock_guard lock(mutex_);
  if (phase_ == phase::up && link == link_) taken_ = std::clamp(bytes, taken_, sent_);
}

void peer_entry::round_trip(std::chrono::nanoseconds t) {
  std::lock_guard lock(mutex_);
  status_.round_trip = t;
}

void peer_entry::received(std::uint64_t bytes, bool whole_parcel) {
  std::lock_guard lock(mutex_);
  status_.received_bytes += bytes;
  if (whole_parcel) ++status_.received_parcels;
}

bool peer_entry::wait_until_apart() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return retired_ || (phase_ == phase::apart && !left_); });
  return !retired_;
}

bool peer_entry::pause(std::chrono::milliseconds t) {
  std::unique_lock lock(mutex_);
  return !changed_.wait_for(lock, t, [&] { return retired_; });
}

bool peer_entry::begin_dial(mesh_peer& at) {
  std::lock_guard lock(mutex_);
  if (retired_ || left_ || phase_ != phase::apart) return false;
  at = status_.at;
  set_phase(phase::joining);
  return true;
}

bool peer_entry::dial_failed(const std::string& why) {
  std::lock_guard lock(mutex_);
  if (phase_ == phase::joining) set_phase(phase::apart);
  const auto now = clock::now();
  const bool news = why != status_.last_error || now - last_told_ >= limits::repeat_log;
  if (news) last_told_ = now;
  status_.last_error = why;
  return news;
}

bool peer_entry::wait_until_up() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return retired_ || phase_ != phase::joining; });
  return phase_ == phase::up;
}

void peer_entry::move_to(const mesh_peer& at) {
  std::lock_guard lock(mutex_);
  status_.at = at;
}

void peer_entry::set_left(bool left) {
  std::lock_guard lock(mutex_);
  if (left && !left_) left_since_ = clock::now();
  left_ = left;
  changed_.notify_all();
}

bool peer_entry::has_left(clock::time_point now, std::chrono::milliseconds for_at_least) const {
  std::lock_guard lock(mutex_);
  return retired_ || (left_ && now - left_since_ >= for_at_least);
}

void peer_entry::retire() {
  std::lock_guard lock(mutex_);
  retired_ = true;
  changed_.notify_all();
}

mesh_peer peer_entry::at() const {
  std::lock_guard lock(mutex_);
  return status_.at;
}

mesh_peer_status peer_entry::status() const {
  std::lock_guard lock(mutex_);
  auto s = status_;
  s.connected = phase_ == phase::up;
  s.backlog_bytes = sent_ - taken_;
  return s;
}

std::string peer_entry::store() const {
  std::lock_guard lock(mutex_);
  return store_;
}

table::change table::set(const std::vector<mesh_peer>& peers) {
  std::lock_guard lock(mutex_);
  change c;
  std::map<store::member_id, peer_ptr> next;
  for (const auto& p : peers) {
    auto& slot = next[p.member];
    const auto had = peers_.find(p.member);
    // Another name is another master: its links are not the old one's.
    if (had != peers_.end() && had->second->at().name == p.name) {
      slot = had->second;
      slot->move_to(p);
      slot->set_left(false);
      peers_.erase(had);
    } else {
      slot = std::make_shared<peer_entry>(p);
      c.added.push_back(slot);
    }
  }
  for (const auto& [id, gone] : peers_) {
    gone->retire();
    c.gone.push_back(gone);
  }
  peers_ = std::move(next);
  return c;
}

void table::members(const std::vector<store::member_id>& all) {
  std::lock_guard lock(mutex_);
  std::set<store::member_id> now(all.begin(), all.end());
  for (const auto& [id, p] : peers_)
    if (now.contains(id))
      p->set_left(false);
    else if (group_.contains(id)) // one that is not in yet is about to be added
      p->set_left(true);
  group_ = std::move(now);
}

peer_ptr table::find(store::member_id who) const {
  std::lock_guard lock(mutex_);
  const auto it = peers_.find(who);
  return it == peers_.end() ? nullptr : it->second;
}

std::vector<peer_ptr> table::all() const {
  std::lock_guard lock(mutex_);
  std::vector<peer_ptr> out;
  for (const auto& [id, p] : peers_)
    out.push_back(p);
  return out;
}

std::vector<mesh_peer> table::addresses() const {
  std::vector<mesh_peer> out;
  for (const auto& p : all())
    if (!p->has_left(clock::now(), std::chrono::milliseconds{0})) out.push_back(p->at());
  return out;
}

} // namespace troupe::mesh

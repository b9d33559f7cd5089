#include "actors/link/cluster_link_dialer.hpp"

#include "actors/link/node_session_hello.hpp"

#include <algorithm>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace troupe::link {

result<std::pair<session, welcome>> greet(const master_address& to, const std::shared_ptr<const session_tls>& tls,
                                          const hello& first, std::chrono::milliseconds patience, int stop_fd,
                                          bool* refused_us) {
  dial_options d;
  d.address = to.address;
  d.port = to.port;
  d.tls = tls;
  d.protocol = workers_protocol;
  d.by = std::chrono::steady_clock::now() + patience;
  d.stop_fd = stop_fd;
  auto s = dial(d);
  if (!s) return s.error();
  if (auto w = write_frame(*s, encode_payload(first), d.by, stop_fd); !w) return w.error();
  auto payload = read_frame(*s, limits::link::welcome_bytes_max, d.by, stop_fd);
  if (!payload) return payload.error();
  auto m = decode_payload(*payload);
  if (!m) return m.error();
  if (auto* r = std::get_if<refused>(&*m)) {
    if (refused_us) *refused_us = true;
    return errors::unavailable(r->why);
  }
  auto* w = std::get_if<welcome>(&*m);
  if (!w) return errors::bad_request(s->peer_address() + " answered the hello with something else than a welcome");
  if (auto why = refuse_welcome(*w, first.name, first.cluster_id, s->peer_address())) {
    if (refused_us) *refused_us = true;
    return errors::unavailable(*why);
  }
  return std::pair<session, welcome>{std::move(*s), std::move(*w)};
}

dialer::dialer(dialer_options options) : o_(std::move(options)), stop_fd_(::eventfd(0, EFD_CLOEXEC)) {
  thread_ = std::thread([this] { run(); });
  ::pthread_setname_np(thread_.native_handle(), "link-dialer");
}

dialer::~dialer() {
  stop();
  thread_.join();
  ::close(stop_fd_);
}

void dialer::stop() {
  const std::uint64_t one = 1;
  (void)!::write(stop_fd_, &one, sizeof one);
  std::lock_guard lock(gate_->mutex);
  gate_->stopping = true;
  gate_->changed.notify_all();
}

/// False: stop.
bool dialer::rest(std::chrono::milliseconds d) {
  std::unique_lock lock(gate_->mutex);
  gate_->changed.wait_for(lock, d, [&] { return gate_->stopping; });
  return !gate_->stopping;
}

void dialer::run() {
  auto pause = limits::link::redial_first;
  for (;;) {
    refused_ = false;
    if (auto had = once(); had) {
      pause = limits::link::redial_first;
    } else {
      o_.on_failure(had.error().message);
      pause = refused_ ? limits::link::redial_refused : std::min(2 * pause, limits::link::redial_last);
    }
    if (!rest(pause)) return;
  }
}

/// Success: a session was had, and is over.
result<void> dialer::once() {
  auto greeted = greet(o_.to, o_.tls, o_.first, limits::link::dial_patience, stop_fd_, &refused_);
  if (!greeted) return greeted.error();
  auto& [s, w] = *greeted;
  if (o_.is_master && s.tls() && !o_.is_master(s.peer(), w.master)) {
    refused_ = true;
    return errors::unavailable(s.peer_address() + " calls itself master " + w.master + ", but its certificate (" +
                               s.peer().user + ") is not one of a master");
  }
  {
    std::lock_guard lock(gate_->mutex);
    if (gate_->stopping) return {};
    gate_->over = false;
  }
  o_.on_session(std::move(s), std::move(w), [g = gate_] {
    std::lock_guard lock(g->mutex);
    g->over = true;
    g->changed.notify_all();
  });
  std::unique_lock lock(gate_->mutex);
  gate_->changed.wait(lock, [&] { return gate_->over || gate_->stopping; });
  return {};
}

} // namespace troupe::link

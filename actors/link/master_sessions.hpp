// master_sessions: one session to each master of a set, dialed again when it is over; the node's kubelet is served
//                  through each of them, what else a master says goes to whoever made it.
// Owner:  a cluster link or a kubelet link; one dialing thread per master, one i/o thread.
// Units:  link/link_limits.hpp.
// Errors: told as sentences through the events; dialing goes on until `stop`.
// Source: ours.
#pragma once

#include "actors/link/cluster_link_dialer.hpp"
#include "actors/link/cluster_link_streams.hpp"

#include <caf/fwd.hpp>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe::link {

struct master_sessions_options {
  std::string name; // of the i/o thread
  std::shared_ptr<const session_tls> tls;
  std::string node_name, cluster_id;
  std::function<bool(const identity& peer, const std::string& master_name)> is_master; // may be empty
};

/// Called on the threads of this; they must only post or send. Sessions are numbered from 1, in the order they came.
struct master_sessions_events {
  std::function<void(std::uint64_t session, welcome, frame_link_ptr)> opened; // before any `said` of it
  /// Whatever is not about the kubelet. `bytes` are held back on the link until they are released.
  std::function<void(std::uint64_t session, message, frame_link_ptr, std::size_t bytes)> said;
  std::function<void(std::uint64_t session, const std::string& why)> over;
  std::function<void(const master_address& to, const std::string& why)> failed; // no session could be had
};

class master_sessions : public std::enable_shared_from_this<master_sessions> {
public:
  master_sessions(caf::actor_system& sys, master_sessions_options options);
  ~master_sessions(); // stops
  master_sessions(const master_sessions&) = delete;

  /// Once, before the first `dial`.
  void tell(master_sessions_events events) { events_ = std::move(events); }
  /// Keeps the dialers that go where they should, ends the others, starts what is missing. A session that stands is
  /// left to its master to end.
  void dial(const std::vector<master_address>& masters);
  /// The node's kubelet; again after each restart.
  void serve(kubelet_actor door) { place_->set(std::move(door)); }
  /// Idempotent; any thread but those of the events.
  void stop();

private:
  dialer_options options_for(const master_address& m);
  void adopt(session s, welcome w, std::function<void()> over);

  caf::actor_system& system_;
  const master_sessions_options o_;
  const std::uint64_t life_;
  const std::shared_ptr<frame_loop> loop_;
  const std::shared_ptr<kubelet_place> place_ = std::make_shared<kubelet_place>();
  std::atomic<std::uint64_t> next_session_{1};
  master_sessions_events events_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<dialer>> dialers_, retired_;
  bool stopped_ = false;
};

} // namespace troupe::link

// basp_session: CAF's remoting over a session that we made: established, authenticated, handed to the BASP broker.
// Owner:  the middleman's i/o thread owns the socket from the hand-over on; basp_link is how others look at it.
// Units:  -
// Errors: a session that breaks ends in `on_closed`, and in down messages for actors behind it.
// Source: CAF 0.17.6; caf::openssl as shipped breaks all sessions of a process when one of them fails.
#pragma once

#include "net/link/secure_session.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/network/multiplexer.hpp>
#include <caf/io/scribe.hpp>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>

namespace troupe {

/// BASP's own watch over its connections: whoever says nothing for `silence` is gone.
struct basp_timing {
  std::chrono::milliseconds heartbeat_every{100};
  std::chrono::milliseconds silence{600};
};

/// What the config of every process that links with other masters needs; call once, in its constructor. Also registers
/// the messages of the mesh.
void configure_middleman(caf::actor_system_config& config, basp_timing timing = {});

/// Whether this program was linked so that CAF names its node by our drawn number and not by the process id; without
/// it two masters in two namespaces of one machine may pass for one node.
bool node_name_is_drawn(const caf::actor_system& sys);

/// A session after its hand-over.
class basp_link : public std::enable_shared_from_this<basp_link> {
public:
  /// Any thread; the i/o thread notices at once. Idempotent.
  void close();
  bool closed() const;
  std::uint64_t bytes_in() const { return in_.load(std::memory_order_relaxed); }
  std::uint64_t bytes_out() const { return out_.load(std::memory_order_relaxed); }

private:
  friend class basp_wire;
  friend class basp_scribe;
  void leave(); // i/o thread
  mutable std::mutex mutex_;
  class basp_scribe* scribe_ = nullptr; // from its start to its end, both on the i/o thread
  caf::io::network::multiplexer* loop_ = nullptr;
  bool closing_ = false;
  int fd_ = -1; // -1: closed; the scribe closes the descriptor itself
  std::atomic<std::uint64_t> in_{0}, out_{0};
};

struct handed_over {
  caf::io::scribe_ptr scribe; // for the BASP broker: publish_atom on the accepting side, connect_atom on the dialing
  std::shared_ptr<basp_link> link;
};
/// `on_closed` is called once, on the i/o thread, when BASP has forgotten the session; it must only post.
handed_over hand_over(caf::actor_system& sys, link::session s, std::function<void()> on_closed);

} // namespace troupe

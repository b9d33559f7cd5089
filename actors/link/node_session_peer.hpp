// node_session_peer: one session as a master sees it: what the other side sends is turned into API calls, feed messages
//                    and streams, each under the identity its certificate gives it.
// Owner:  node_sessions; lives as long as its link. Called on the i/o thread; answers come from any thread.
// Units:  limits::link::calls_max answers outstanding; bytes of unanswered calls hold the reading back.
// Errors: a message that does not decode, or that this kind of peer may not send, ends the session with a sentence.
// Source: design section 9.
#pragma once

#include "actors/link/frame_loop.hpp"
#include "actors/link/remote_kubelet.hpp"

#include <caf/actor.hpp>

#include <atomic>

namespace troupe::link {

struct peer_facts {
  std::string name;  // of the node, or of a client
  std::string from;  // address
  identity who;      // of the certificate
  bool node = false; // whether it is a node's
  std::uint64_t life = 0;
};

class session_peer : public std::enable_shared_from_this<session_peer> {
public:
  session_peer(peer_facts facts, api_actor api);

  const peer_facts& facts() const noexcept { return facts_; }
  /// Before the link starts. `feed` only of nodes.
  void use(frame_link_ptr link, caf::actor feed, kubelet_actor door, std::shared_ptr<remote_streams> streams);
  const frame_link_ptr& link() const noexcept { return link_; }
  const kubelet_actor& door() const noexcept { return door_; }

  result<void> on_frame(std::string_view payload);
  void on_closed(const std::string& why);

private:
  result<void> on_call(call&& m, std::size_t bytes);
  result<void> to_feed(message m);
  void reply(std::uint64_t id, response_ptr res);

  const peer_facts facts_;
  const api_actor api_;
  frame_link_ptr link_;
  caf::actor feed_;
  kubelet_actor door_;
  std::shared_ptr<remote_streams> streams_;
  std::atomic<std::size_t> calls_{0};
};

} // namespace troupe::link

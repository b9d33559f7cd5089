// remote_kubelet: a worker's kubelet as a master sees it: logs, exec, attach, port-forward and stats over the session.
// Owner:  the node's session; `door` is what the node directory holds. Callbacks come on the session's i/o thread.
// Units:  limits::link::stream_*: chunks on their way are counted, so are input bytes the container has not taken.
// Errors: when the session ends, every stream ends with a Status on channel 3, every question with 503.
// Source: protocol.hpp (pod_stream); ours.
#pragma once

#include "actors/link/frame_loop.hpp"
#include "actors/protocol.hpp"

#include <caf/fwd.hpp>

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

namespace troupe::link {

class remote_stream;

/// The open streams and questions of one session. Thread-safe.
class remote_streams : public std::enable_shared_from_this<remote_streams> {
public:
  remote_streams(std::string node) : node_(std::move(node)) {}
  void use(frame_link_ptr link);

  void open(const open_stream& what, std::function<void(stream_opened_ptr)> done);
  void stats(std::function<void(std::string)> done);

  // What the worker says. A status: it breaks the rules.
  void on(const stream_answer& m);
  result<void> on(stream_piece&& m);
  void on(const stream_drained& m);
  void on(const stream_close& m);
  void on(stats_answer&& m);
  /// The session is over.
  void lost(const std::string& why);

private:
  friend class remote_stream;
  struct opening {
    std::shared_ptr<remote_stream> stream;
    std::function<void(stream_opened_ptr)> done;
  };
  std::shared_ptr<remote_stream> find(std::uint64_t stream) const;
  void drop(std::uint64_t stream);
  status gone() const;

  const std::string node_;
  mutable std::mutex mutex_;
  frame_link_ptr link_; // null: not yet, or no more
  std::uint64_t next_ = 1;
  std::map<std::uint64_t, opening> opening_;
  std::map<std::uint64_t, std::weak_ptr<remote_stream>> open_;
  std::map<std::uint64_t, std::function<void(std::string)>> questions_;
};

kubelet_actor spawn_remote_kubelet(caf::actor_system& sys, std::shared_ptr<remote_streams> streams);

} // namespace troupe::link

// cluster_link_streams: the worker's end of streams: what masters ask of this node's kubelet through one session.
// Owner:  one session of the cluster link; called on its i/o thread, answered from any thread.
// Units:  limits::link::stream_*; a chunk is asked of the pod only when the master has room for it.
// Errors: refusals travel as the Status of stream_answer; a lost session closes every stream.
// Source: protocol.hpp (pod_stream); ours.
#pragma once

#include "actors/link/frame_loop.hpp"
#include "actors/protocol.hpp"

#include <caf/fwd.hpp>

#include <map>
#include <memory>
#include <mutex>

namespace troupe::link {

/// Where the kubelet's door is now; shared by the sessions of a link.
class kubelet_place {
public:
  void set(kubelet_actor door);
  kubelet_actor get() const; // null: none yet

private:
  mutable std::mutex mutex_;
  kubelet_actor door_;
};

class served_streams : public std::enable_shared_from_this<served_streams> {
public:
  served_streams(caf::actor_system& sys, std::shared_ptr<kubelet_place> place)
      : system_(sys), place_(std::move(place)) {}
  ~served_streams() { lost(); }
  void use(frame_link_ptr link);

  void on(const stream_open& m);
  void on(const stream_next& m);
  void on(stream_input&& m);
  void on(const stream_close_input& m);
  void on(const stream_close& m);
  void on(const stats_question& m);
  void lost();

private:
  struct served {
    pod_stream_ptr stream;
    std::uint32_t credit = limits::link::stream_chunks;
    bool asking = false;
    std::uint64_t untold = 0; // input bytes of which the master does not know yet that they were taken
  };
  void opened(std::uint64_t id, const stream_opened& got);
  void refuse(std::uint64_t id, status s);
  void tell_taken(std::uint64_t id);
  void pump(std::uint64_t id);
  void give(std::uint64_t id, stream_chunk c);
  pod_stream_ptr find(std::uint64_t id) const;
  frame_link_ptr link() const;

  caf::actor_system& system_;
  const std::shared_ptr<kubelet_place> place_;
  mutable std::mutex mutex_;
  frame_link_ptr link_; // null: lost
  std::map<std::uint64_t, served> streams_;
};

} // namespace troupe::link

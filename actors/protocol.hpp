// protocol: every actor interface and message of the system, on one page.
// Owner:  -; messages are immutable once sent; payloads are shared_ptr<const T> inside a process.
// Units:  -
// Errors: each answer carries its own status; CAF errors mean the actor is gone.
// Source: ours; docs/ARCHITECTURE.md shows the arrows.
#pragma once

#include "actors/raft/parcel.hpp"
#include "api/request.hpp"
#include "store/state_view.hpp"
#include "store/txn.hpp"
#include "store/view.hpp"
#include "store/watch_hub.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/atom.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe {

// ---------------------------------------------------------------- store: api -> raft -> store -> api

/// api -> raft: append this transaction. The answer comes back as one entry of a txns_done batch.
struct propose {
  std::uint64_t ticket = 0; // chosen by the proposer, unique for it
  store::txn change;
};
using propose_ptr = std::shared_ptr<propose>; // moved from by raft; one owner

/// store -> proposer: transactions that were applied (or refused), in log order.
struct txns_done {
  std::vector<std::pair<std::uint64_t, store::txn_result>> items;
};
using txns_done_ptr = std::shared_ptr<txns_done>;

using txn_sink_actor = caf::typed_actor<caf::reacts_to<txns_done_ptr>>;

/// A change of the group's membership, or of its leader; only the leader carries it out (503 elsewhere, with its id).
struct member_command {
  enum class op : std::uint8_t { add_learner, promote, remove, transfer } what = op::add_learner;
  store::member_id who;
};
using member_command_ptr = std::shared_ptr<const member_command>;
/// code 0 when the change is committed (or the transfer under way).
using status_ptr = std::shared_ptr<const status>;

/// What a backup is made of: the state as of one entry.
struct state_copy {
  std::string cluster_id;
  store::log_position at;
  store::group_config config;
  std::shared_ptr<const store::state_view> view;
};
using state_copy_ptr = std::shared_ptr<const state_copy>;
using get_state_copy = caf::atom_constant<caf::atom("statecopy")>;

/// What anyone may ask of the group: role, term, indexes, members (as JSON, for `raft` in the shell and /metrics).
using get_raft_status = caf::atom_constant<caf::atom("raftstat")>;
using flush_and_stop = caf::atom_constant<caf::atom("flushstop")>;

using raft_actor = caf::typed_actor<
    /// Append a transaction; the sink receives its result.
    caf::reacts_to<propose_ptr, txn_sink_actor>,
    /// From another member.
    caf::reacts_to<raft::parcel_ptr>,
    /// Membership and leadership; answered when it is done, or refused.
    caf::replies_to<member_command_ptr>::with<status_ptr>,
    /// The applied state, for a backup; costs nothing until it is read.
    caf::replies_to<get_state_copy>::with<state_copy_ptr>,
    /// State of the member as JSON text.
    caf::replies_to<get_raft_status>::with<std::string>,
    /// Planned stop: syncs what is accepted, then answers.
    caf::replies_to<flush_and_stop>::with<bool>>;

// ---------------------------------------------------------------- api

/// One call with its continuation, for callers that are not actors (HTTP threads). `done` only posts.
struct api_call {
  request_ptr req;
  std::function<void(response_ptr)> done;
};
using api_call_ptr = std::shared_ptr<const api_call>;

using api_actor = caf::typed_actor<
    /// From the HTTP front.
    caf::reacts_to<api_call_ptr>,
    /// From components inside the process: scheduler, controllers, kubelet, proxy, actor-shell.
    caf::replies_to<request_ptr>::with<response_ptr>, caf::reacts_to<txns_done_ptr>>;

// ---------------------------------------------------------------- kubelet streams: logs, exec, attach, port-forward

/// One piece of a stream from a pod. Channels as in the WebSocket protocol: 1 stdout, 2 stderr, 3 error (Status JSON).
struct stream_chunk {
  int channel = 1;
  std::string bytes;
  bool end = false; // last chunk; channel 3 bytes then hold the Status
};

/// A live stream of a pod; thread-safe. One `next` may be outstanding: that is the credit.
class pod_stream {
public:
  virtual ~pod_stream() = default; // closes
  virtual void next(std::function<void(stream_chunk)> got) = 0;
  /// Channel 0 stdin, 4 resize (JSON {"Width","Height"}). Returns false when the stream is full: wait for `drained`.
  virtual bool write(int channel, std::string bytes, std::function<void()> drained) = 0;
  virtual void close_stdin() = 0;
  virtual void close() = 0;
};
using pod_stream_ptr = std::shared_ptr<pod_stream>;

struct open_stream {
  enum class kind { logs, exec, attach, port_forward } what = kind::logs;
  std::string ns, pod, container;
  std::vector<std::string> command;
  bool in = false, out = true, err = true, tty = false;
  // logs
  bool follow = false, previous = false, timestamps = false;
  std::int64_t tail_lines = -1, limit_bytes = -1, since_seconds = -1;
  std::string since_time;
  // port-forward
  std::uint16_t port = 0;
};
using open_stream_ptr = std::shared_ptr<const open_stream>;

/// Either a stream or the Status that refuses it.
struct stream_opened {
  pod_stream_ptr stream;
  std::shared_ptr<const status> error;
};
using stream_opened_ptr = std::shared_ptr<const stream_opened>;

/// The door of a node for streams (and stats); implemented by the kubelet, found by node name in the api server.
using node_stats_atom = caf::atom_constant<caf::atom("nodestats")>;
using kubelet_actor = caf::typed_actor<caf::replies_to<open_stream_ptr>::with<stream_opened_ptr>,
                                       caf::replies_to<node_stats_atom>::with<std::string>>;

// ---------------------------------------------------------------- supervision

/// One line of `actors` in the shell.
struct actor_info {
  std::string path; // e.g. node/kubelet/pod default/web-1
  std::size_t mailbox = 0;
  std::uint64_t handled = 0;
  std::uint64_t restarts = 0;
  std::string state; // one short word or sentence
};

} // namespace troupe

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::propose_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::member_command_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::status_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::state_copy_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::txns_done_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::request_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::response_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::api_call_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::open_stream_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::stream_opened_ptr)

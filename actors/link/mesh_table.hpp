// mesh_table: what the mesh knows of each peer, shared by the Raft actor (sends), the gateway and the dialers.
// Owner:  master_mesh; every function is thread-safe and short.
// Units:  bytes are those of encoded parcels; limits::mesh::backlog_bytes per peer.
// Errors: -
// Source: ours: credit by acknowledgement, because CAF's mailboxes and write buffers have no bounds.
#pragma once

#include "actors/link/master_mesh.hpp"
#include "actors/link/mesh_messages.hpp"

#include <caf/actor.hpp>

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace troupe::mesh {

/// One peer. On the dialing side a link is `joining` from the dial until the gateways have heard of each other.
class peer_entry {
public:
  enum class phase : std::uint8_t { apart, joining, up };

  explicit peer_entry(mesh_peer at);

  /// Raft actor: encodes, cuts and sends, or drops.
  void send(const raft::parcel& p);

  // Gateway.
  void link_up(std::uint64_t link, const mesh_hello& theirs, caf::actor remote);
  /// The session is gone; ignored when another one is up.
  void link_down(std::uint64_t link, const std::string& why);
  void taken(std::uint64_t link, std::uint64_t bytes);
  void round_trip(std::chrono::nanoseconds t);
  void received(std::uint64_t bytes, bool whole_parcel);

  // Dialer.
  /// Blocks until this peer wants dialing, or for ever as long as it is linked; false: it never will again.
  bool wait_until_apart();
  /// Blocks for the pause; false: retired meanwhile.
  bool pause(std::chrono::milliseconds t);
  /// Where to dial now; false: not now.
  bool begin_dial(mesh_peer& at);
  /// Returns true when it is news: another text, or long ago.
  bool dial_failed(const std::string& why);
  /// After a session was given to the gateway: blocks until it is up (true) or has failed.
  bool wait_until_up();

  // Table.
  void move_to(const mesh_peer& at);
  void set_left(bool left); // the group: no more dials
  bool has_left(std::chrono::steady_clock::time_point now, std::chrono::milliseconds for_at_least) const;
  void retire(); // for ever: wakes its dialer

  mesh_peer at() const;
  mesh_peer_status status() const;
  std::string store() const; // that it came with first; empty: not known yet

private:
  void set_phase(phase p);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  phase phase_ = phase::apart;
  bool retired_ = false, left_ = false;
  std::chrono::steady_clock::time_point left_since_{}, last_told_{};
  caf::actor remote_;
  std::string store_;
  std::uint64_t link_ = 0;
  std::uint64_t sent_ = 0, taken_ = 0; // of this link
  mesh_peer_status status_;
};
using peer_ptr = std::shared_ptr<peer_entry>;

class table {
public:
  /// Entries that came and entries that went (retired already).
  struct change {
    std::vector<peer_ptr> added, gone;
  };
  change set(const std::vector<mesh_peer>& peers);
  void members(const std::vector<store::member_id>& all);
  peer_ptr find(store::member_id who) const; // null: unknown
  std::vector<peer_ptr> all() const;
  std::vector<mesh_peer> addresses() const; // of those that have not left

private:
  mutable std::mutex mutex_;
  std::map<store::member_id, peer_ptr> peers_;
  std::set<store::member_id> group_; // as last told; empty: nothing told yet
};

} // namespace troupe::mesh

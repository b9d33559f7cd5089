// group_board: what the process may know of its Raft group at any time without a mailbox: role, term, leader; and the
//              gate that makes a read linearizable.
// Owner:  written by the Raft actor only; read from any thread. Callbacks must only post or send.
// Units:  -
// Errors: -
// Source: Raft thesis 6.4 (ReadIndex); ours.
#pragma once

#include "actors/raft/raft_types.hpp"
#include "api/status.hpp"

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe {

struct group_status {
  raft::role role = raft::role::follower;
  store::member_id member, leader; // leader 0: none known
  store::log_term term;
  /// This member leads and has applied an entry of its own term: its view holds everything that was acknowledged.
  bool serving = false;
  bool alone = true;          // the only voter: reads need no round
  std::string out_of_service; // why this member must not be asked any more; empty: it may
  friend bool operator==(const group_status&, const group_status&) = default;
};

class group_board {
public:
  group_status now() const;
  /// now().alone && now().serving, without a lock: asked for every request.
  bool alone_and_serving() const noexcept { return alone_serving_.load(std::memory_order_acquire); }
  /// now().out_of_service.empty(), without a lock.
  bool in_service() const noexcept { return in_service_.load(std::memory_order_acquire); }
  /// Calls `fn` after every change, on the Raft actor's thread, until the token dies. The first call comes at once, on
  /// the caller's thread, with the present status.
  std::shared_ptr<void> subscribe(std::function<void(const group_status&)> fn);

  /// Calls `done` when the local view holds everything acknowledged before this call (at once when this member is the
  /// only one), or with the reason why it cannot be known. Any thread; `done` runs on any thread and must only post.
  void read_barrier(std::function<void(const status&)> done);

  // Of the Raft actor.
  void set(group_status s);
  /// Called when the list of waiting readers becomes non-empty; only sends.
  void on_readers(std::function<void()> wake);
  std::vector<std::function<void(const status&)>> take_readers();

private:
  struct listener {
    std::weak_ptr<void> token;
    std::function<void(const group_status&)> fn;
  };
  mutable std::mutex mutex_;
  std::atomic<bool> alone_serving_{false}, in_service_{true};
  group_status now_;
  std::vector<std::shared_ptr<listener>> listeners_;
  std::vector<std::function<void(const status&)>> readers_;
  std::function<void()> wake_;
};

} // namespace troupe

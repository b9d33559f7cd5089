// master_part: what makes a node a master: store and group, the mesh to the other masters, the API, the sessions of
//              workers, and the duties of the leader.
// Owner:  live_node, on the main thread.
// Units:  -
// Errors: one sentence that says what to do (port in use, other owner of the data, no majority).
// Source: docs/ARCHITECTURE.md, "Actors".
#pragma once

#include "actors/apiserver/apiserver.hpp"
#include "actors/link/kubelet_link.hpp"
#include "actors/link/master_mesh.hpp"
#include "actors/link/node_session.hpp"
#include "actors/node/member_keeper.hpp"
#include "actors/node/node_base.hpp"
#include "actors/node/supervisor.hpp"
#include "actors/raft/raft_actor.hpp"
#include "runtime/engine.hpp"

#include <memory>
#include <vector>

namespace troupe::node {

class master_part {
public:
  explicit master_part(node_base& base) : base_(base) {}

  /// Opens store, mesh and API. Images are the node's own, for /troupe/v1/images; may be null.
  result<void> open(std::shared_ptr<runtime::image_store> images);
  /// Waits until this master knows its leader and has applied its state, then writes the kubeconfigs.
  result<void> await_ready();
  component_env env(identity who) const;
  /// The kubelet of this very node, after each of its starts: for this master, and for the others where there are any.
  void serve(const kubelet_actor& door);
  std::uint16_t api_port() const { return api_.port; }
  /// For the node's supervisor: what is watched only.
  std::vector<child_spec> watched() const;

  /// Ends what writes, then what serves; then hands over the lead, syncs and ends the store.
  void stop();

private:
  result<void> open_store();
  result<void> open_mesh();
  result<void> open_api(std::shared_ptr<runtime::image_store> images);
  result<void> open_sessions();
  result<void> open_kubelet_link();
  void spawn_duties();
  void spawn_masters_watch();
  result<void> note_begun();
  bool has_others() const;
  result<void> write_kubeconfigs() const;

  node_base& base_;
  std::shared_ptr<group_board> group_;
  std::shared_ptr<master_mesh> mesh_;
  raft_handles raft_;
  api_handles api_;
  std::shared_ptr<link::node_sessions> sessions_;
  std::shared_ptr<link::kubelet_link> kubelet_link_; // of a node of several that is a worker, too
  std::shared_ptr<node_directory> doors_ = std::make_shared<node_directory>();
  caf::actor duties_, masters_watch_;
  members_actor members_;
  std::shared_future<void> ready_;
};

} // namespace troupe::node

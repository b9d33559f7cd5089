// kubelet_link: of a node that is master and worker: its kubelet for the other masters (logs, exec, attach,
//               port-forward, stats). Nothing else goes over it: the node's components have a store of their own, and
//               masters speak with each other over the mesh.
// Owner:  the master's part of a node; one dialing thread per other master, one i/o thread.
// Units:  link/link_limits.hpp.
// Errors: a master that cannot be reached or refuses this node is logged with its sentence, once until it changes.
// Source: ours.
#pragma once

#include "actors/link/master_sessions.hpp"

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace troupe::link {

struct kubelet_link_options {
  std::shared_ptr<const session_tls> tls; // own certificate: system:node:NAME in group system:nodes
  std::string node_name, cluster_id;
  std::function<bool(const identity& peer, const std::string& master_name)> is_master;
};

class kubelet_link {
public:
  kubelet_link(caf::actor_system& sys, kubelet_link_options options);
  /// Where the masters are now; the one of this node's own name is left out.
  void set_masters(const std::vector<master_address>& masters);
  /// Again after each restart of the kubelet.
  void serve(kubelet_actor door) { sessions_->serve(std::move(door)); }
  /// Idempotent; before it is destroyed.
  void stop() { sessions_->stop(); }

private:
  /// The last sentence about each master, so that a master that is down is told of once.
  struct complaints {
    std::mutex mutex;
    std::map<std::string, std::string> last;
    bool news(const std::string& master, const std::string& why);
  };
  const std::string own_;
  const std::shared_ptr<complaints> told_ = std::make_shared<complaints>();
  const std::shared_ptr<master_sessions> sessions_;
};

} // namespace troupe::link

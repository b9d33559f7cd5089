// apiserver: spawns the api actors and the HTTPS front over one raft group.
// Owner:  the node supervisor; stop() before the actor system goes.
// Units:  ports; addresses as text; CIDR as text.
// Errors: port in use, bad CIDR, unusable keys: one sentence that says what to do.
// Source: ours; Kubernetes API level 1.32.
#pragma once

#include "actors/apiserver/node_directory.hpp"
#include "actors/protocol.hpp"
#include "actors/support/member_directory.hpp"
#include "net/tls/pki.hpp"

#include <caf/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace troupe {

class actor_board;
class group_board;
namespace http {
class exchange;
}

/// A call of one of Troupe's own paths (/troupe/v1/…: actors, raft, images, log levels). Authorized like any
/// non-resource path before it gets here. `done` may be called from any thread, once.
struct own_call {
  std::string method, path;
  std::vector<std::pair<std::string, std::string>> query;
  std::string body;
  identity who;
  std::function<void(response_ptr)> done;
  /// Instead of `done`, for answers that are streams: called with the exchange on the connection's io thread.
  std::function<void(std::function<void(http::exchange&)>)> later;
};

struct api_options {
  std::string listen_address = "0.0.0.0";
  std::uint16_t port = 6443; // 0: ephemeral, for tests
  /// What Endpoints default/kubernetes carries; pods reach the API there.
  std::string advertise_address = "127.0.0.1";
  std::string node_name;
  std::string service_cidr = "10.96.0.0/16";
  std::uint16_t node_port_first = 30000, node_port_last = 32767;
  std::string cluster_domain = "cluster.local";
  unsigned io_threads = 2;
  unsigned api_actors = 2;
  bool anonymous = true;

  std::shared_ptr<const tls::pki> pki;
  raft_actor raft;
  /// Of that raft actor. Null: this member is the only one and always leads.
  std::shared_ptr<group_board> group;
  std::shared_ptr<store::published> state;
  std::shared_ptr<store::watch_hub> hub;
  /// This master's row in the directory of masters, kept right by itself; a row without a name: it has none.
  master_row self;
  /// The rows of those that found the group, this master's among them; the first leader writes them.
  std::vector<master_row> founders;
  std::shared_ptr<node_directory> nodes;
  std::shared_ptr<actor_board> board; // may be null
  /// More checks of /readyz, by name: empty string when fine, else the reason. May be empty.
  std::vector<std::pair<std::string, std::function<std::string()>>> ready_checks;
  /// Text appended to /metrics (Prometheus exposition). May be empty.
  std::function<std::string()> more_metrics;
  /// Called once, on an actor's thread, when this master knows its leader and has applied its state, the bootstrap
  /// objects among it. May be empty.
  std::function<void()> on_ready;
  /// Answers /troupe/v1/…; when empty those paths are 404.
  std::function<void(own_call)> own_paths;
};

class api_server {
public:
  virtual ~api_server() = default;
  /// Stops the front (no new requests, open ones cut), then the actors. Idempotent; any thread.
  virtual void stop() = 0;
  virtual std::uint16_t port() const noexcept = 0;
  /// Serves with renewed certificates from now on; open connections keep theirs.
  virtual result<void> reload(const tls::pki& renewed) = 0;
  /// True once the bootstrap objects are there.
  virtual bool ready() const noexcept = 0;
};

struct api_handles {
  api_actor api;
  std::uint16_t port = 0;
  std::shared_ptr<api_server> server;
};

result<api_handles> spawn_apiserver(caf::actor_system& sys, api_options options);

} // namespace troupe

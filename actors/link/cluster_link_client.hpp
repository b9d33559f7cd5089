// cluster_link_client: calls to one master over the link, for benchmarks and tools: no actors, no blocking calls.
// Owner:  whoever makes it; `call` from any thread, continuations run on its loop's thread and must only post.
// Units:  any number of calls may be outstanding up to limits::link::calls_max.
// Errors: a lost session answers every outstanding call with 503; the caller makes a new client.
// Source: ours.
#pragma once

#include "api/request.hpp"
#include "net/link/secure_session.hpp"

#include <functional>
#include <memory>
#include <string>

namespace troupe::link {

struct link_client_options {
  std::string address;
  std::uint16_t port = 0;
  std::shared_ptr<const session_tls> tls; // null: plain TCP; the master then decides who we are
  std::string cluster_id;                 // empty: whatever the master belongs to
  std::string name = "client";
  std::chrono::milliseconds setup{3000};
  std::shared_ptr<class frame_loop> loop; // shared with others, perhaps driven by the caller; null: one of its own
};

class link_client {
public:
  virtual ~link_client() = default; // closes
  /// `done` runs exactly once. The identity is that of the certificate: `who` in the request is ignored.
  virtual void call(request_ptr req, std::function<void(response_ptr)> done) = 0;
  virtual bool open() const = 0;
};

/// Blocks until the master has welcomed us, at most `setup`.
result<std::shared_ptr<link_client>> open_link_client(const link_client_options& options);

} // namespace troupe::link

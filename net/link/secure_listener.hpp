// secure_listener: one port on which other nodes open sessions; each session begins with one frame, the dialer's hello.
// Owner:  a thread of its own, which accepts, shakes hands and reads hellos for all connections at once.
// Units:  limits::session_setup from accept to hello; limits::sessions_half_open_max connections on the way.
// Errors: start: a sentence with the address. A connection that is mute, slow, wrong or garbage is closed and counted.
// Source: ours. Plain TCP (null tls, benchmarks only): the dialer sends its protocol's name first, as ALPN does.
#pragma once

#include "net/link/limits.hpp"
#include "net/link/secure_session.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace troupe::link {

struct listener_options {
  std::string address;                    // IP address; not empty
  std::uint16_t port = 0;                 // 0: any free one, see port()
  std::shared_ptr<const session_tls> tls; // null: plain TCP, for benchmarks
  std::chrono::milliseconds setup = limits::session_setup;
  std::size_t half_open_max = limits::sessions_half_open_max;
};

struct listener_counts {
  std::uint64_t accepted = 0, established = 0, failed = 0, timed_out = 0, evicted = 0;
  std::size_t half_open = 0;
  std::string last_error; // of the last connection that failed, with its address
};

class secure_listener {
public:
  /// Called on the listener's thread with an established session and its hello (at most limits::hello_bytes_max):
  /// must not block; answers by write_frame with a short deadline, or hands the session on.
  using on_session = std::function<void(session, std::string hello)>;

  static result<std::unique_ptr<secure_listener>> make(listener_options options);
  virtual ~secure_listener() = default; // stops
  /// What to do with sessions of a protocol; before start(). A protocol without a handler is not offered by ALPN.
  virtual void serve(std::string protocol, on_session handler) = 0;
  virtual result<void> start() = 0;
  /// Closes the port and all connections that are not handed over; no handler runs after it returns.
  virtual void stop() = 0;
  virtual std::uint16_t port() const = 0;
  virtual listener_counts counts() const = 0;
};

} // namespace troupe::link

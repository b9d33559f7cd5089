// scratch_host: a host of its own for a test: a fresh network namespace for this thread, with pods as processes.
// Owner:  one test; every process and namespace ends with it.
// Units:  -
// Errors: doctest REQUIRE.
// Source: ours.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace troupe::testing {

/// False (with a printed reason) where namespaces cannot be made; tests then return.
bool can_make_namespaces();

/// Moves the calling thread into a fresh network namespace with lo up; processes and threads made later inherit it.
/// With `outside` a namespace is wired to it that stands for the rest of the network: host 192.0.2.1, outside
/// 192.0.2.2, default route to the latter.
class scratch_host {
public:
  explicit scratch_host(bool with_outside = false);
  ~scratch_host();
  std::string outside_path() const; // netns of the outside

  struct impl;

private:
  std::unique_ptr<impl> impl_;
};

/// A process in a network namespace of its own, listening on TCP and UDP `ports` as soon as it was asked to; every
/// answer is `<name> <address of the peer as seen>\n`.
class scratch_pod {
public:
  explicit scratch_pod(std::string name);
  ~scratch_pod(); // killed
  scratch_pod(scratch_pod&&) noexcept;
  std::string netns() const; // path
  void serve(const std::vector<std::uint16_t>& ports);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

struct reply {
  int error = 0;    // errno of connect or read
  std::string text; // first word: who answered
  std::string peer; // how the server saw us
};

/// One exchange from the namespace (empty: the calling thread's). Waits at most two seconds.
reply ask_tcp(const std::string& netns, const std::string& address, std::uint16_t port, const std::string& from = {});
reply ask_udp(const std::string& netns, const std::string& address, std::uint16_t port, std::uint16_t from_port = 0);

/// Runs a program and returns its output; for reading rules back.
std::string output_of(const std::string& command);

} // namespace troupe::testing

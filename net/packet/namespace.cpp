#include "net/packet/namespace.hpp"

#include "net/packet/host_error.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sched.h>
#include <thread>
#include <unistd.h>

namespace troupe::net {

result<void> in_namespace(const std::string& netns_path, const std::function<void()>& what) {
  int ns = ::open(netns_path.c_str(), O_RDONLY | O_CLOEXEC);
  if (ns < 0) return host_error("cannot open network namespace " + netns_path + ": " + std::strerror(errno));
  int error = 0;
  std::thread{[&] {
    if (::setns(ns, CLONE_NEWNET) != 0)
      error = errno;
    else
      what();
  }}.join();
  ::close(ns);
  if (error != 0) return host_error("cannot enter network namespace " + netns_path + ": " + std::strerror(error));
  return {};
}

} // namespace troupe::net

// exit_watcher: one thread that learns of container exits (files in the exit directory) and of dead conmons (pidfds).
#include "runtime/linux/exit_watcher.hpp"

#include <fcntl.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/wait.h>

#include <cerrno>
#include <climits>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

namespace troupe::runtime::linux_host {

exit_watcher::~exit_watcher() { stop(); }

result<void> exit_watcher::start(const std::string& dir, std::function<void(const std::string&)> on_file,
                                 std::function<void(const std::string&)> on_gone) {
  on_file_ = std::move(on_file);
  on_gone_ = std::move(on_gone);
  epoll_.reset(::epoll_create1(EPOLL_CLOEXEC));
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!epoll_ || !wake_) return system_error("watch for container exits", errno);
  if (!inotify_ || ::inotify_add_watch(inotify_.get(), dir.c_str(), IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) < 0)
    return system_error("watch " + dir + " (raise fs.inotify.max_user_instances if it is used up)", errno);
  for (const int fd : {wake_.get(), inotify_.get()}) {
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.fd = fd;
    if (::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e) != 0) return system_error("watch for container exits", errno);
  }
  thread_ = std::thread([this] { loop(); });
  return {};
}

void exit_watcher::watch(const std::string& id, const unique_fd& pidfd) {
  unique_fd own(::fcntl(pidfd.get(), F_DUPFD_CLOEXEC, 3));
  if (!own || !epoll_) return;
  const int fd = own.get();
  std::lock_guard guard(lock_);
  watched_[fd] = {id, std::move(own)};
  epoll_event e{};
  e.events = EPOLLIN;
  e.data.fd = fd;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &e);
}

void exit_watcher::stop() {
  if (!thread_.joinable()) return;
  const std::uint64_t one = 1;
  if (::write(wake_.get(), &one, sizeof one) > 0) thread_.join();
}

void exit_watcher::loop() {
  sigset_t all;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_BLOCK, &all, nullptr);
  epoll_event events[32];
  while (true) {
    const int n = ::epoll_wait(epoll_.get(), events, 32, -1);
    for (int i = 0; i < n; ++i) {
      if (events[i].data.fd == wake_.get()) return;
      if (events[i].data.fd == inotify_.get()) read_directory_events();
    }
    // After the files: a conmon that ended in good order has written its file first.
    for (int i = 0; i < n; ++i)
      if (events[i].data.fd != inotify_.get()) process_gone(events[i].data.fd);
  }
}

void exit_watcher::read_directory_events() {
  alignas(inotify_event) char buffer[64 * (sizeof(inotify_event) + NAME_MAX + 1)];
  while (true) {
    const auto n = ::read(inotify_.get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return;
    for (ssize_t at = 0; at < n;) {
      const auto* e = reinterpret_cast<const inotify_event*>(buffer + at);
      at += static_cast<ssize_t>(sizeof(inotify_event) + e->len);
      // An overflow names no file: the pidfd of each conmon still reports its exit.
      if (e->len > 0) on_file_(e->name);
    }
  }
}

void exit_watcher::process_gone(int fd) {
  std::string id;
  {
    std::lock_guard guard(lock_);
    const auto it = watched_.find(fd);
    if (it == watched_.end()) return;
    siginfo_t info{};
    ::waitid(static_cast<idtype_t>(P_PIDFD), static_cast<id_t>(fd), &info, WEXITED | WNOHANG);
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
    id = it->second.first;
    watched_.erase(it);
  }
  on_gone_(id);
}

} // namespace troupe::runtime::linux_host

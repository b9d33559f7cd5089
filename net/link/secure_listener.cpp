#include "net/link/secure_listener.hpp"

#include "net/link/handshake.hpp"

#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <deque>
#include <map>
#include <mutex>
#include <thread>

namespace troupe::link {

namespace {

using what = io_step::what;
using clock = std::chrono::steady_clock;
constexpr std::size_t head_bytes = 4; // the length in front of a frame

class owned_fd {
public:
  explicit owned_fd(int fd = -1) : fd_(fd) {}
  owned_fd(const owned_fd&) = delete;
  owned_fd& operator=(const owned_fd&) = delete;
  ~owned_fd() { reset(-1); }
  int get() const { return fd_; }
  void reset(int fd) {
    if (fd_ >= 0) ::close(fd_);
    fd_ = fd;
  }

private:
  int fd_;
};

/// A connection that has not said hello yet.
struct half_open {
  enum class stage : std::uint8_t { protocol_name, handshake, hello } at = stage::handshake;
  session s;
  deadline by;
  what needs = what::want_read;
  std::string got;      // of the present stage
  std::size_t want = 0; // bytes of it in all; grows when a length has been read
};

class listener final : public secure_listener {
public:
  explicit listener(listener_options o) : options_(std::move(o)) {}
  ~listener() override { stop(); }

  result<void> bind_port();
  void serve(std::string protocol, on_session handler) override { handlers_[std::move(protocol)] = std::move(handler); }
  result<void> start() override;
  void stop() override;
  std::uint16_t port() const override { return port_; }
  listener_counts counts() const override {
    std::lock_guard lock(mutex_);
    return counts_;
  }

private:
  void run();
  void wait_and_collect(std::vector<half_open*>& ready);
  void part_from(half_open& c);
  void see_off(const std::vector<pollfd>& fds, std::size_t first);
  void accept_some();
  void admit(int fd);
  enum class progress : std::uint8_t { goes_on, waits, done, broken };
  progress advance(half_open& c, std::string& why);
  progress fill(half_open& c, std::string& why);
  progress name_read(half_open& c, std::string& why);
  progress shake(half_open& c, std::string& why);
  progress begin_hello(half_open& c, std::string& why);
  progress hello_read(half_open& c, std::string& why);
  void hand_over(half_open& c);
  void drop_late();
  void note_failure(const half_open& c, const std::string& why, std::uint64_t listener_counts::*which);

  listener_options options_;
  std::map<std::string, on_session> handlers_;
  std::string offered_; // as ALPN carries it
  std::uint16_t port_ = 0;
  owned_fd listening_, wake_;
  std::thread thread_;
  std::atomic<bool> stopping_{false};
  clock::time_point accept_again_{}; // out of descriptors: not before
  std::deque<half_open> waiting_;    // oldest first
  std::deque<half_open> parting_;    // refused: have their reason, are read until they hang up
  mutable std::mutex mutex_;
  listener_counts counts_;
};

result<void> listener::bind_port() {
  const auto text = options_.address + ":" + std::to_string(options_.port);
  addrinfo wanted{};
  wanted.ai_socktype = SOCK_STREAM;
  wanted.ai_flags = AI_NUMERICHOST | AI_PASSIVE;
  addrinfo* found = nullptr;
  if (const int r = ::getaddrinfo(options_.address.c_str(), nullptr, &wanted, &found); r != 0)
    return errors::bad_request("cannot listen on " + text + ": give an IP address of this host (" + ::gai_strerror(r) +
                               ")");
  std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner{found, ::freeaddrinfo};
  listening_.reset(::socket(found->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  const int on = 1;
  ::setsockopt(listening_.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  // The port lies at the same place in both kinds of address.
  reinterpret_cast<sockaddr_in*>(found->ai_addr)->sin_port = htons(options_.port);
  if (listening_.get() < 0 || ::bind(listening_.get(), found->ai_addr, found->ai_addrlen) != 0 ||
      ::listen(listening_.get(), limits::listen_backlog) != 0)
    return errors::unavailable("cannot listen on " + text + ": " + detail::errno_text(errno));
  sockaddr_storage at{};
  socklen_t bytes = sizeof at;
  ::getsockname(listening_.get(), reinterpret_cast<sockaddr*>(&at), &bytes);
  port_ = ntohs(reinterpret_cast<sockaddr_in&>(at).sin_port);
  wake_.reset(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
  if (wake_.get() < 0) return errors::unavailable(std::string("cannot make an eventfd: ") + detail::errno_text(errno));
  return {};
}

result<void> listener::start() {
  std::vector<std::string> names;
  for (const auto& [name, handler] : handlers_)
    names.push_back(name);
  if (names.empty()) return errors::internal("a listener needs a protocol to serve");
  offered_ = detail::alpn_list(names);
  thread_ = std::thread([this] { run(); });
  return {};
}

void listener::stop() {
  stopping_ = true;
  const std::uint64_t one = 1;
  if (wake_.get() >= 0) (void)!::write(wake_.get(), &one, sizeof one);
  if (thread_.joinable()) thread_.join();
  waiting_.clear();
  parting_.clear();
  listening_.reset(-1);
}

void listener::run() {
  std::vector<half_open*> ready;
  while (!stopping_) {
    wait_and_collect(ready);
    for (auto* c : ready) {
      std::string why;
      const auto r = advance(*c, why);
      if (r == progress::done) hand_over(*c);
      if (r == progress::broken) {
        note_failure(*c, why, &listener_counts::failed);
        part_from(*c);
      }
      if (r != progress::waits) c->s.close();
    }
    std::erase_if(waiting_, [](const half_open& c) { return !c.s; });
    drop_late();
    accept_some();
    std::lock_guard lock(mutex_);
    counts_.half_open = waiting_.size();
  }
}

void listener::wait_and_collect(std::vector<half_open*>& ready) {
  ready.clear();
  const auto now = clock::now();
  auto until = now + std::chrono::minutes(1);
  if (accept_again_ > now) until = accept_again_;
  if (!waiting_.empty()) until = std::min(until, waiting_.front().by);
  std::vector<pollfd> fds;
  fds.push_back({wake_.get(), POLLIN, 0});
  fds.push_back({accept_again_ > now ? -1 : listening_.get(), POLLIN, 0});
  for (const auto& c : waiting_)
    fds.push_back({c.s.fd(), static_cast<short>(c.needs == what::want_write ? POLLOUT : POLLIN), 0});
  for (const auto& c : parting_)
    fds.push_back({c.s.fd(), POLLIN, 0});
  if (!parting_.empty()) until = std::min(until, parting_.front().by);
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - now).count();
  ::poll(fds.data(), fds.size(), static_cast<int>(std::max<std::int64_t>(left, 0)));
  for (std::size_t i = 0; i < waiting_.size(); ++i)
    if (fds[i + 2].revents != 0) ready.push_back(&waiting_[i]);
  see_off(fds, waiting_.size() + 2);
}

/// Closing with unread bytes would reset the connection, and the peer would never read the alert that says why.
void listener::part_from(half_open& c) {
  if (parting_.size() >= options_.half_open_max) parting_.pop_front();
  ::shutdown(c.s.fd(), SHUT_WR);
  c.by = clock::now() + limits::parting;
  parting_.push_back(std::move(c));
}

void listener::see_off(const std::vector<pollfd>& fds, std::size_t first) {
  char sink[4096];
  for (std::size_t i = 0; i < parting_.size(); ++i) {
    if (fds[first + i].revents == 0) continue;
    const auto n = ::recv(parting_[i].s.fd(), sink, sizeof sink, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) parting_[i].s.close();
  }
  const auto now = clock::now();
  std::erase_if(parting_, [now](const half_open& c) { return !c.s || c.by <= now; });
}

void listener::accept_some() {
  if (clock::now() < accept_again_) return;
  // A few at a time, so that those on the way are not starved by a storm.
  for (int i = 0; i < 16; ++i) {
    const int fd = ::accept4(listening_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      admit(fd);
      continue;
    }
    // Out of descriptors or memory: the port stays readable, so pause instead of spinning.
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
      accept_again_ = clock::now() + std::chrono::milliseconds(100);
    if (errno != EINTR && errno != ECONNABORTED) return;
  }
}

void listener::admit(int fd) {
  if (waiting_.size() >= options_.half_open_max) {
    // The oldest has had the most time: an honest peer needs milliseconds, a mute one never finishes.
    note_failure(waiting_.front(), "closed to make room for newer connections", &listener_counts::evicted);
    waiting_.pop_front();
  }
  half_open c;
  c.s = session{fd, detail::peer_text(fd)};
  c.by = clock::now() + options_.setup;
  detail::tune_socket(fd);
  if (options_.tls) {
    auto tls = detail::begin_server(*options_.tls, fd, &offered_);
    if (!tls) return;
    c.s.attach(std::move(tls));
  } else {
    c.at = half_open::stage::protocol_name;
    c.want = 1;
  }
  waiting_.push_back(std::move(c));
  std::lock_guard lock(mutex_);
  ++counts_.accepted;
}

listener::progress listener::advance(half_open& c, std::string& why) {
  for (;;) {
    auto r = c.at == half_open::stage::handshake ? shake(c, why) : fill(c, why);
    if (r == progress::goes_on && c.at == half_open::stage::protocol_name)
      r = name_read(c, why);
    else if (r == progress::goes_on && c.at == half_open::stage::hello)
      r = hello_read(c, why);
    else if (r == progress::goes_on)
      r = begin_hello(c, why);
    if (r != progress::goes_on) return r;
  }
}

listener::progress listener::shake(half_open& c, std::string& why) {
  c.needs = detail::handshake_step(c.s.tls(), why);
  if (c.needs == what::closed) return progress::broken;
  if (c.needs != what::moved) return progress::waits;
  detail::finish_handshake(c.s);
  return progress::goes_on;
}

/// Reads until `want` bytes are there.
listener::progress listener::fill(half_open& c, std::string& why) {
  while (c.got.size() < c.want) {
    const auto had = c.got.size();
    c.got.resize(c.want);
    const auto step = c.s.read_some(c.got.data() + had, c.want - had);
    c.got.resize(had + step.bytes);
    if (step.state == what::moved) continue;
    c.needs = step.state;
    if (step.state != what::closed) return progress::waits;
    why = c.s.why_closed();
    return progress::broken;
  }
  return progress::goes_on;
}

listener::progress listener::name_read(half_open& c, std::string& why) {
  const std::size_t whole = 1 + static_cast<std::size_t>(static_cast<unsigned char>(c.got[0]));
  if (c.want == whole) {
    c.s.establish({}, c.got.substr(1));
    return begin_hello(c, why);
  }
  c.want = whole;
  return progress::goes_on;
}

listener::progress listener::begin_hello(half_open& c, std::string& why) {
  if (!handlers_.contains(c.s.protocol())) {
    why = "it asked for a protocol that is not spoken here";
    return progress::broken;
  }
  c.at = half_open::stage::hello;
  c.got.clear();
  c.want = head_bytes;
  return progress::goes_on;
}

listener::progress listener::hello_read(half_open& c, std::string& why) {
  if (c.want > head_bytes) return progress::done;
  std::size_t n = 0;
  for (const char byte : c.got)
    n = n << 8 | static_cast<unsigned char>(byte);
  if (n == 0 || n > limits::hello_bytes_max) {
    why = "its hello would be " + std::to_string(n) + " bytes where 1 to " + std::to_string(limits::hello_bytes_max) +
          " are allowed";
    return progress::broken;
  }
  c.want = head_bytes + n;
  return progress::goes_on;
}

void listener::hand_over(half_open& c) {
  {
    std::lock_guard lock(mutex_);
    ++counts_.established;
  }
  const auto& handler = handlers_.at(c.s.protocol());
  handler(std::move(c.s), c.got.substr(head_bytes));
}

void listener::drop_late() {
  // All have the same time: the oldest is the first to be late.
  while (!waiting_.empty() && waiting_.front().by <= clock::now()) {
    note_failure(waiting_.front(), "it was connected but did not finish handshake and hello in time",
                 &listener_counts::timed_out);
    waiting_.pop_front();
  }
}

void listener::note_failure(const half_open& c, const std::string& why, std::uint64_t listener_counts::*which) {
  std::lock_guard lock(mutex_);
  ++(counts_.*which);
  counts_.last_error = c.s.peer_address() + ": " + why;
}

} // namespace

result<std::unique_ptr<secure_listener>> secure_listener::make(listener_options options) {
  auto made = std::make_unique<listener>(std::move(options));
  if (auto r = made->bind_port(); !r) return r.error();
  return std::unique_ptr<secure_listener>{std::move(made)};
}

} // namespace troupe::link

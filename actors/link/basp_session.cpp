#include "actors/link/basp_session.hpp"

#include "actors/link/mesh_messages.hpp"
#include "actors/support/attention.hpp"

#include <caf/detail/get_process_id.hpp>
#include <caf/io/middleman.hpp>
#include <caf/io/network/default_multiplexer.hpp>
#include <caf/io/network/stream_impl.hpp>

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <sys/random.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

// CAF names a node by a hash of hardware addresses, the root file system and the process id: two containers, or two
// network namespaces of one machine with equal process ids, would be one node, and messages go astray. The library
// takes this definition instead of its own: fresh at every start.
namespace caf::detail {
unsigned get_process_id() {
  static const unsigned id = [] {
    unsigned drawn = 0;
    while (drawn == 0)
      if (::getrandom(&drawn, sizeof drawn, 0) != sizeof drawn) drawn = 0;
    return drawn;
  }();
  return id;
}
} // namespace caf::detail

namespace troupe {

namespace io = caf::io;
namespace net = caf::io::network;

namespace {

/// Written in one turn of the loop; then others have theirs.
constexpr std::size_t write_turn_bytes = 256 * 1024;

/// Descriptors are used again by the kernel at once, and BASP may still hold the state of the last connection under
/// the old number: so a session gets a number that is never used again.
caf::io::connection_handle fresh_handle() {
  static std::atomic<std::int64_t> next{std::int64_t{1} << 40};
  return caf::io::connection_handle::from_int(next.fetch_add(1));
}

/// CAF's loop, which looks for something to do a while before it sleeps.
class attentive_multiplexer final : public net::default_multiplexer {
public:
  using default_multiplexer::default_multiplexer;

  void run() override {
    while (num_socket_handlers() > 0) {
      if (attention_.look([this] { return try_run_once(); })) continue;
      run_once();
      attention_.woke();
    }
  }

private:
  attention attention_;
};

} // namespace

/// Bytes of one session, as the i/o thread moves them. BASP reads a message in two steps and writes it in one: reading
/// ahead and writing at once spare most of the calls into the kernel that its loop would make.
class basp_wire {
public:
  basp_wire(net::native_socket fd, std::shared_ptr<ssl_st> tls, std::shared_ptr<basp_link> link)
      : fd_(fd), tls_(std::move(tls)), link_(std::move(link)) {
    if (tls_) SSL_set_read_ahead(tls_.get(), 1); // a record in one call instead of two
  }
  basp_wire(const basp_wire&) = delete;
  basp_wire& operator=(const basp_wire&) = delete;
  ~basp_wire() {
    if (!tls_ || !SSL_is_init_finished(tls_.get())) return;
    ERR_clear_error();
    SSL_shutdown(tls_.get()); // says good-bye where the stream still stands
    ERR_clear_error();
  }

  /// False: the session is broken. 0 bytes: nothing there now.
  bool read(char* into, std::size_t bytes_max, std::size_t& bytes) {
    bytes = std::min(bytes_max, ahead_end_ - ahead_begin_);
    if (bytes > 0) {
      std::memcpy(into, ahead_ + ahead_begin_, bytes);
      ahead_begin_ += bytes;
      return true;
    }
    if (std::exchange(drained_, false)) return true;
    const bool direct = bytes_max >= sizeof ahead_;
    const auto room = direct ? bytes_max : sizeof ahead_;
    const auto step = link::stream_read(fd_, tls_.get(), direct ? into : ahead_, room, why_);
    if (step.state == link::io_step::what::closed) return false;
    link_->in_.fetch_add(step.bytes, std::memory_order_relaxed);
    // A plain socket that gave less than was asked for has no more.
    drained_ = !tls_ && step.bytes > 0 && step.bytes < room;
    if (direct) {
      bytes = step.bytes;
      return true;
    }
    ahead_begin_ = 0;
    ahead_end_ = step.bytes;
    bytes = std::min(bytes_max, ahead_end_);
    std::memcpy(into, ahead_, bytes);
    ahead_begin_ = bytes;
    return true;
  }
  /// Bytes that the descriptor will never announce.
  bool holds_more() const { return ahead_begin_ < ahead_end_ || (tls_ && SSL_has_pending(tls_.get()) == 1); }

  /// False: the session is broken. Writes what the kernel takes, up to one turn.
  bool write(const char* from, std::size_t wanted, std::size_t& bytes) {
    bytes = 0;
    const auto goal = std::min(wanted, write_turn_bytes);
    bool good = true;
    while (bytes < goal) {
      const auto step = link::stream_write(fd_, tls_.get(), from + bytes, wanted - bytes, why_);
      good = step.state != link::io_step::what::closed;
      if (step.state != link::io_step::what::moved) break;
      bytes += step.bytes;
    }
    link_->out_.fetch_add(bytes, std::memory_order_relaxed);
    return good;
  }

  /// The loop writes when the kernel takes more; until then nothing may overtake.
  bool queued = false;
  const std::vector<char>* queue = nullptr; // the stream's, of what was added since

private:
  net::native_socket fd_;
  std::shared_ptr<ssl_st> tls_;
  std::shared_ptr<basp_link> link_;
  const char* why_ = "";
  char ahead_[16 * 1024];
  std::size_t ahead_begin_ = 0, ahead_end_ = 0;
  bool drained_ = false;
};

class basp_policy {
public:
  explicit basp_policy(std::unique_ptr<basp_wire> wire) : wire_(std::move(wire)) {}

  net::rw_state read_some(std::size_t& bytes, net::native_socket fd, void* into, std::size_t bytes_max) {
    return wire_->read(static_cast<char*>(into), bytes_max, bytes) ? net::rw_state::success : broken(fd);
  }
  net::rw_state write_some(std::size_t& bytes, net::native_socket fd, const void* from, std::size_t wanted) {
    bytes = 0;
    if (wanted > 0 && !wire_->write(static_cast<const char*>(from), wanted, bytes)) return broken(fd);
    if (bytes == wanted && wire_->queue->empty()) wire_->queued = false;
    return wanted > 0 ? net::rw_state::success : net::rw_state::indeterminate;
  }
  bool must_read_more(net::native_socket, std::size_t) const { return wire_->holds_more(); }

private:
  /// CAF keeps a stream alive while the other direction waits, for a dead host some 15 minutes: end both.
  static net::rw_state broken(net::native_socket fd) {
    ::shutdown(fd, SHUT_RDWR);
    return net::rw_state::failure;
  }

  std::unique_ptr<basp_wire> wire_; // says good-bye before the stream closes the descriptor
};

class basp_scribe final : public io::scribe {
public:
  basp_scribe(net::default_multiplexer& loop, link::session::parts parts, std::string address,
              std::shared_ptr<basp_link> link, std::function<void()> on_closed)
      : scribe(fresh_handle()), address_(std::move(address)), link_(link), on_closed_(std::move(on_closed)),
        wire_(new basp_wire(parts.fd, std::move(parts.tls), std::move(link))),
        stream_(loop, parts.fd, std::unique_ptr<basp_wire>(wire_)) {
    wire_->queue = &stream_.wr_buf();
    link_->fd_ = parts.fd;
    link_->loop_ = &loop;
  }
  ~basp_scribe() override {
    {
      std::lock_guard lock(link_->mutex_);
      link_->fd_ = -1; // before the stream closes it
      link_->scribe_ = nullptr;
    }
    if (on_closed_) on_closed_();
  }

  void configure_read(io::receive_policy::config config) override {
    stream_.configure_read(config);
    if (std::exchange(started_, true)) return;
    stream_.start(this);
    std::lock_guard lock(link_->mutex_);
    link_->scribe_ = this;
    if (link_->closing_) stream_.backend().post([l = link_] { l->leave(); });
  }
  void ack_writes(bool enable) override { stream_.ack_writes(enable); }
  std::vector<char>& wr_buf() override { return stream_.wr_buf(); }
  std::vector<char>& rd_buf() override { return stream_.rd_buf(); }
  /// Mostly the kernel takes it at once. A failure is left to the loop: BASP must not hear of it within its own call.
  void flush() override {
    auto& bytes = stream_.wr_buf();
    if (!wire_->queued) {
      std::size_t written = 0;
      (void)wire_->write(bytes.data(), bytes.size(), written);
      bytes.erase(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(written));
      if (bytes.empty()) return;
    }
    wire_->queued = true;
    stream_.flush(this);
  }
  /// BASP calls this for peers that went silent: waiting for what they have not read would take for ever.
  void graceful_shutdown() override {
    stream_.graceful_shutdown();
    ::shutdown(stream_.fd(), SHUT_RDWR);
    detach(&stream_.backend(), false);
  }
  void add_to_loop() override { stream_.activate(this); }
  void remove_from_loop() override { stream_.passivate(); }
  std::string addr() const override { return address_; }
  std::uint16_t port() const override { return 0; }

  /// BASP lets go at once, the loop after what it has queued. CAF forgets a stream that is taken out of its loop in the
  /// turn that put it in (a dial that meets a heartbeat): it would hold itself, and its socket, for ever.
  void leave() {
    detach(&stream_.backend(), true);
    stream_.backend().post([me = caf::intrusive_ptr<basp_scribe>(this)] {
      if (me->stream_.eventbf() != 0) return; // the broken socket ends it
      me->stream_.removed_from_loop(net::operation::read);
      me->stream_.removed_from_loop(net::operation::write);
    });
  }

private:
  std::string address_;
  std::shared_ptr<basp_link> link_;
  std::function<void()> on_closed_;
  bool started_ = false;
  basp_wire* wire_; // the stream's
  net::stream_impl<basp_policy> stream_;
};

void basp_link::close() {
  std::lock_guard lock(mutex_);
  if (fd_ < 0) return;
  ::shutdown(fd_, SHUT_RDWR);
  if (std::exchange(closing_, true)) return;
  loop_->post([me = shared_from_this()] { me->leave(); });
}

void basp_link::leave() {
  caf::intrusive_ptr<basp_scribe> s;
  {
    std::lock_guard lock(mutex_);
    s.reset(scribe_);
  }
  if (s) s->leave();
}

bool basp_link::closed() const {
  std::lock_guard lock(mutex_);
  return fd_ < 0;
}

bool node_name_is_drawn(const caf::actor_system& sys) {
  return to_string(sys.node()).ends_with("#" + std::to_string(caf::detail::get_process_id()));
}

handed_over hand_over(caf::actor_system& sys, link::session s, std::function<void()> on_closed) {
  auto link = std::make_shared<basp_link>();
  auto address = s.peer_address();
  auto& loop = static_cast<net::default_multiplexer&>(sys.middleman().backend());
  auto scribe = caf::make_counted<basp_scribe>(loop, s.release(), std::move(address), link, std::move(on_closed));
  return {std::move(scribe), std::move(link)};
}

void configure_middleman(caf::actor_system_config& config, basp_timing timing) {
  config.load<io::middleman, attentive_multiplexer>();
  config.set("middleman.heartbeat-interval", caf::timespan{timing.heartbeat_every});
  config.set("middleman.connection-timeout", caf::timespan{timing.silence});
  config.set("middleman.app-identifiers", std::vector<std::string>{link::masters_protocol});
  // Messages are decoded by the i/o thread: on few cores a worker per message costs more than it saves.
  config.set("middleman.workers", std::size_t{0});
  config.add_message_type<mesh::attach>("ma");
  config.add_message_type<mesh::attached>("md");
  config.add_message_type<mesh::part>("mp");
  config.add_message_type<mesh::taken>("mt");
  config.add_message_type<mesh::ping>("mi");
  config.add_message_type<mesh::pong>("mo");
}

} // namespace troupe

#include "actors/kubelet/stream/fd_stream.hpp"

#include "actors/kubelet/io_thread.hpp"
#include "actors/kubelet/limits.hpp"

#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <deque>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace troupe::kubelet {

namespace asio = boost::asio;
using boost::system::error_code;

namespace {

/// The live part: all members but the write counter on the io thread.
class fd_core : public std::enable_shared_from_this<fd_core> {
public:
  fd_core(const context_ptr& ctx, fd_stream_setup setup)
      : slow_(ctx->slow), io_(ctx->io->context()), setup_(std::move(setup)),
        in_(io_), outs_{source{io_, 1}, source{io_, 2}} {
    open(in_, setup_.in);
    open(outs_[0].fd, setup_.out);
    open(outs_[1].fd, setup_.err);
    for (auto& s : outs_)
      s.ended = !s.fd.is_open();
  }

  void next(std::function<void(stream_chunk)> got) {
    asio::post(io_, [me = shared_from_this(), got = std::move(got)]() mutable {
      me->want_ = std::move(got);
      me->turn();
    });
  }

  bool write(std::string bytes, std::function<void()> drained) {
    auto waiting = queued_.fetch_add(bytes.size()) + bytes.size();
    bool full = waiting > limits::stream_write_bytes_max;
    if (!full) drained = nullptr;
    asio::post(io_, [me = shared_from_this(), bytes = std::move(bytes), drained = std::move(drained)]() mutable {
      if (drained) me->drained_ = std::move(drained);
      me->input_.push_back(std::move(bytes));
      me->pump_input();
    });
    return !full;
  }

  void close_stdin() {
    asio::post(io_, [me = shared_from_this()] {
      me->input_ended_ = true;
      me->pump_input();
    });
  }

  void resize(std::uint16_t width, std::uint16_t height) {
    if (setup_.resize)
      (void)slow_->post([me = shared_from_this(), width, height] { me->setup_.resize(width, height); });
  }

  void close() {
    asio::post(io_, [me = shared_from_this()] { me->shut(); });
  }

private:
  struct source {
    source(asio::io_context& io, int ch) : fd(io), channel(ch) {}
    asio::posix::stream_descriptor fd;
    int channel;
    bool reading = false, ended = true;
    std::string ready;
    std::array<char, limits::stream_chunk_bytes> buffer;
  };

  void open(asio::posix::stream_descriptor& d, int fd) {
    if (fd < 0) return;
    error_code ec;
    d.assign(fd, ec);
    if (ec)
      ::close(fd);
    else
      d.non_blocking(true, ec);
  }

  void turn() {
    if (!want_) return;
    for (auto& s : outs_)
      if (!s.ready.empty()) return give({s.channel, std::exchange(s.ready, {}), false});
    for (auto& s : outs_)
      if (!s.ended && !s.reading) read(s);
    if (outs_[0].ended && outs_[1].ended && !ending_) finish();
  }

  void give(stream_chunk c) {
    auto got = std::exchange(want_, nullptr);
    got(std::move(c));
  }

  void read(source& s) {
    s.reading = true;
    s.fd.async_read_some(asio::buffer(s.buffer), [me = shared_from_this(), &s](error_code ec, std::size_t n) {
      s.reading = false;
      if (n > 0) s.ready.assign(s.buffer.data(), n);
      if (ec) s.ended = true; // a terminal whose other side is gone reads as an error
      me->turn();
    });
  }

  void finish() {
    ending_ = true;
    auto work = [me = shared_from_this()] {
      auto last = me->setup_.end ? me->setup_.end() : stream_chunk{1, {}, true};
      asio::post(me->io_, [me, last = std::move(last)]() mutable {
        me->done_ = true;
        if (me->want_) me->give(std::move(last));
      });
    };
    if (!slow_->post(work)) give({3, errors::too_many_requests("this node is busy", 1).to_bytes(), true});
  }

  void pump_input() {
    if (writing_) return;
    if (input_.empty()) {
      if (auto d = std::exchange(drained_, nullptr)) d();
      if (input_ended_) end_input();
      return;
    }
    if (!in_.is_open()) return drop_input();
    writing_ = true;
    asio::async_write(in_, asio::buffer(input_.front()), [me = shared_from_this()](error_code ec, std::size_t) {
      me->writing_ = false;
      if (ec) {
        me->end_input();
        return me->drop_input();
      }
      me->queued_ -= me->input_.front().size();
      me->input_.pop_front();
      me->pump_input();
    });
  }

  /// Nobody reads it any more.
  void drop_input() {
    for (const auto& b : input_)
      queued_ -= b.size();
    input_.clear();
    if (auto d = std::exchange(drained_, nullptr)) d();
  }

  void end_input() {
    if (!in_.is_open()) return;
    if (setup_.in_is_socket) ::shutdown(in_.native_handle(), SHUT_WR);
    error_code ec;
    in_.close(ec);
  }

  void shut() {
    if (closed_) return;
    closed_ = true;
    want_ = nullptr;
    drained_ = nullptr;
    error_code ec;
    in_.close(ec);
    for (auto& s : outs_)
      s.fd.close(ec);
    if (!ending_ && setup_.abandon) {
      ending_ = true;
      (void)slow_->post([me = shared_from_this()] { me->setup_.abandon(); });
    }
  }

  std::shared_ptr<executor> slow_;
  asio::io_context& io_; // of the context the handle keeps alive; keeping it here would be a cycle
  fd_stream_setup setup_;
  asio::posix::stream_descriptor in_;
  std::array<source, 2> outs_;
  std::function<void(stream_chunk)> want_;
  std::deque<std::string> input_;
  std::atomic<std::size_t> queued_{0};
  std::function<void()> drained_;
  bool writing_ = false, input_ended_ = false, ending_ = false, done_ = false, closed_ = false;
};

/// What the client holds: letting go of it closes the stream.
class fd_handle final : public pod_stream {
public:
  fd_handle(context_ptr ctx, std::shared_ptr<fd_core> core) : ctx_(std::move(ctx)), core_(std::move(core)) {}
  ~fd_handle() override { core_->close(); }
  void next(std::function<void(stream_chunk)> got) override { core_->next(std::move(got)); }
  bool write(int channel, std::string bytes, std::function<void()> drained) override {
    if (channel == 0) return core_->write(std::move(bytes), std::move(drained));
    if (channel == 4) resize(bytes);
    return true;
  }
  void close_stdin() override { core_->close_stdin(); }
  void close() override { core_->close(); }

private:
  void resize(const std::string& text) {
    boost::system::error_code ec;
    auto v = json::parse(text, ec);
    if (ec) return;
    auto width = jq::num(v, {"Width"}), height = jq::num(v, {"Height"});
    if (width > 0 && height > 0 && width <= 65535 && height <= 65535)
      core_->resize(static_cast<std::uint16_t>(width), static_cast<std::uint16_t>(height));
  }
  context_ptr ctx_;
  std::shared_ptr<fd_core> core_;
};

} // namespace

pod_stream_ptr make_fd_stream(const context_ptr& ctx, fd_stream_setup setup) {
  return std::make_shared<fd_handle>(ctx, std::make_shared<fd_core>(ctx, std::move(setup)));
}

} // namespace troupe::kubelet

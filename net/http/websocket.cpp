#include "net/http/websocket.hpp"

#include "net/http/limits.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/message.hpp>
#include <boost/beast/websocket.hpp>

#include <deque>

namespace troupe::http {

namespace ws = boost::beast::websocket;
using error_code = boost::system::error_code;

// Found by argument-dependent lookup when Beast closes the stream below.
void teardown(boost::beast::role_type, socket& s, error_code& ec) {
  s.close();
  ec = {};
}
template <class Done>
void async_teardown(boost::beast::role_type, socket& s, Done&& done) {
  s.close();
  boost::asio::post(s.get_executor(), [d = std::forward<Done>(done)]() mutable { d(error_code{}); });
}
void beast_close_socket(socket& s) { s.close(); }

class websocket_session final : public web_socket, public std::enable_shared_from_this<websocket_session> {
public:
  websocket_session(reactor& home, socket s) : home_(home), ws_(std::move(s)) { home_.enter(this); }
  ~websocket_session() override { home_.leave(this); }

  void accept(const request_view& request, std::string subprotocol, std::function<void(web_socket_ptr)> opened) {
    namespace bh = boost::beast::http;
    bh::request<bh::empty_body> req;
    req.method(bh::verb::get);
    req.version(11);
    req.target({request.target.data(), request.target.size()});
    for (const auto& [n, v] : request.headers) {
      const boost::beast::string_view name{n.data(), n.size()}, value{v.data(), v.size()};
      req.insert(name, value);
    }
    auto timing = ws::stream_base::timeout::suggested(boost::beast::role_type::server);
    timing.keep_alive_pings = true;
    ws_.set_option(timing);
    ws_.read_message_max(limits::ws_message_bytes_max);
    ws_.auto_fragment(false);
    ws_.set_option(ws::stream_base::decorator([subprotocol](ws::response_type& res) {
      if (!subprotocol.empty()) res.set(bh::field::sec_websocket_protocol, subprotocol);
    }));
    auto kept = std::make_shared<bh::request<bh::empty_body>>(std::move(req));
    ws_.async_accept(*kept, [self = shared_from_this(), kept, opened = std::move(opened)](error_code ec) {
      if (ec) return self->gone();
      opened(self);
      self->read_next();
    });
  }

  bool write(std::string message, bool binary) override {
    if (closed_ || closing_) return true;
    queued_ += message.size();
    out_.push_back({std::move(message), binary});
    write_next();
    return queued_ < limits::stream_buffer_bytes_max;
  }
  void on_message(std::function<void(std::string_view, bool)> fn) override { on_message_ = std::move(fn); }
  void on_drained(std::function<void()> fn) override { on_drained_ = std::move(fn); }
  void on_closed(std::function<void()> fn) override { on_closed_ = std::move(fn); }

  void pause_reading(bool paused) override {
    paused_ = paused;
    if (!paused) read_next();
  }

  void close(std::uint16_t code, std::string reason) override {
    if (closing_ || closed_) return;
    closing_ = true;
    close_code_ = code;
    close_reason_ = std::move(reason);
    if (!writing_) send_close();
  }

  void post(std::function<void()> fn) override { boost::asio::post(ws_.get_executor(), std::move(fn)); }

  void after(std::chrono::milliseconds delay, std::function<void()> fn) override {
    auto timer = std::make_shared<boost::asio::steady_timer>(ws_.get_executor(), delay);
    timer->async_wait([timer, fn = std::move(fn)](error_code ec) {
      if (!ec) fn();
    });
  }

  void abort() {
    ws_.next_layer().close();
    gone();
  }

private:
  struct outbound {
    std::string bytes;
    bool binary;
  };

  void read_next() {
    if (reading_ || paused_ || closed_) return;
    reading_ = true;
    ws_.async_read(in_, [self = shared_from_this()](error_code ec, std::size_t) {
      self->reading_ = false;
      if (ec) return self->gone();
      const auto data = self->in_.cdata();
      if (self->on_message_) {
        auto fn = self->on_message_;
        fn({static_cast<const char*>(data.data()), data.size()}, self->ws_.got_binary());
      }
      self->in_.consume(self->in_.size());
      self->read_next();
    });
  }

  void write_next() {
    if (writing_ || closed_) return;
    if (out_.empty()) {
      if (closing_) send_close();
      return;
    }
    writing_ = true;
    ws_.binary(out_.front().binary);
    ws_.async_write(boost::asio::buffer(out_.front().bytes), [self = shared_from_this()](error_code ec, std::size_t) {
      self->writing_ = false;
      if (ec) return self->gone();
      self->queued_ -= self->out_.front().bytes.size();
      self->out_.pop_front();
      if (self->out_.empty() && self->on_drained_ && !self->closing_) {
        auto fn = self->on_drained_;
        fn();
      }
      self->write_next();
    });
  }

  void send_close() {
    if (close_sent_ || closed_) return;
    close_sent_ = true;
    ws_.async_close(
        ws::close_reason(static_cast<ws::close_code>(close_code_), boost::beast::string_view(close_reason_)),
        [self = shared_from_this()](error_code) { self->gone(); });
  }

  void gone() {
    if (std::exchange(closed_, true)) return;
    on_message_ = nullptr;
    on_drained_ = nullptr;
    if (auto fn = std::exchange(on_closed_, nullptr)) fn();
  }

  reactor& home_;
  ws::stream<socket> ws_;
  boost::beast::flat_buffer in_;
  std::deque<outbound> out_;
  std::size_t queued_ = 0;
  bool reading_ = false, writing_ = false, paused_ = false, closing_ = false, close_sent_ = false, closed_ = false;
  std::uint16_t close_code_ = 1000;
  std::string close_reason_;
  std::function<void(std::string_view, bool)> on_message_;
  std::function<void()> on_drained_, on_closed_;
};

void open_websocket(reactor& home, socket sock, const request_view& request, std::string subprotocol,
                    std::function<void(web_socket_ptr)> opened) {
  auto s = std::make_shared<websocket_session>(home, std::move(sock));
  s->accept(request, std::move(subprotocol), std::move(opened));
}

void cut(websocket_session& s) {
  auto keep = s.shared_from_this();
  keep->abort();
}

} // namespace troupe::http

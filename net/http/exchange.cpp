// The ways of answering later: deferred replies, streams and upgrades of a connection.
#include "net/http/chunk_stream.hpp"
#include "net/http/connection.hpp"
#include "net/http/limits.hpp"
#include "net/http/response_text.hpp"
#include "net/http/websocket.hpp"

#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>

namespace troupe::http {

namespace {

/// Carries one answer to the io thread; without an answer the client gets a 500 instead of silence.
class promise {
public:
  explicit promise(std::shared_ptr<connection> c, tcp::socket::executor_type ex) : conn_(std::move(c)), ex_(ex) {}
  ~promise() {
    if (conn_) deliver([](exchange& e) { e.send(no_answer()); });
  }
  void deliver(std::function<void(exchange&)> fn) {
    auto c = std::move(conn_);
    if (!c) return;
    boost::asio::post(ex_, [c = std::move(c), fn = std::move(fn)] { fn(*c); });
  }
  void deliver(reply r) {
    auto c = std::move(conn_);
    if (!c) return;
    boost::asio::post(ex_, [c = std::move(c), r = std::move(r)]() mutable { c->send(std::move(r)); });
  }

private:
  static reply no_answer() {
    reply r;
    r.code = 500;
    r.body = errors::internal("the request was dropped").to_bytes();
    return r;
  }
  std::shared_ptr<connection> conn_;
  tcp::socket::executor_type ex_;
};

} // namespace

std::function<void(reply)> connection::defer() {
  phase_ = phase::deferred;
  auto p = std::make_shared<promise>(shared_from_this(), sock_.get_executor());
  return [p](reply r) { p->deliver(std::move(r)); };
}

std::function<void(std::function<void(exchange&)>)> connection::defer_any() {
  phase_ = phase::deferred;
  auto p = std::make_shared<promise>(shared_from_this(), sock_.get_executor());
  return [p](std::function<void(exchange&)> fn) { p->deliver(std::move(fn)); };
}

body_stream_ptr connection::stream(int code, std::string_view content_type, header_list headers) {
  stream_ = std::make_shared<chunk_stream>(shared_from_this());
  if (phase_ == phase::closed) {
    auto s = std::exchange(stream_, nullptr);
    boost::asio::post(sock_.get_executor(), [s] { s->closed(); });
    return s;
  }
  phase_ = phase::streaming;
  deadline_ = steady::time_point::max();
  std::string head;
  append_head(head, code, content_type, headers, std::string_view::npos, close_after_, home_.date());
  auto s = stream_;
  enqueue(std::move(head));
  flush();
  if (phase_ == phase::streaming) wait_readable(io::want_read);
  return s;
}

void connection::on_stream_queue_empty() {
  deadline_ = steady::time_point::max();
  auto s = stream_;
  if (!s) return;
  if (s->ended()) {
    stream_.reset();
    phase_ = phase::writing;
    if (close_after_) return drop();
    parser_.reset();
    continued_ = false;
    phase_ = phase::reading;
    deadline_in(limits::idle_timeout);
    boost::asio::post(sock_.get_executor(), [self = shared_from_this()] { self->turn(); });
    return;
  }
  s->drained();
}

void connection::upgrade(std::string subprotocol, std::function<void(web_socket_ptr)> opened) {
  if (phase_ == phase::closed) return;
  phase_ = phase::upgraded;
  home_.leave(this);
  open_websocket(home_, std::move(sock_), view_, std::move(subprotocol), std::move(opened));
}

// ---------------------------------------------------------------- chunk_stream

bool chunk_stream::write(std::string_view bytes) {
  auto c = conn_.lock();
  if (!c || ended_ || c->phase_ != connection::phase::streaming) return true;
  if (bytes.empty()) return c->out_bytes_ < limits::stream_buffer_bytes_max;
  std::string text;
  text.reserve(bytes.size() + 16);
  append_chunk_size(text, bytes.size());
  text.append(bytes).append("\r\n");
  c->enqueue(std::move(text));
  in_write_ = true;
  c->flush();
  in_write_ = false;
  return c->out_bytes_ < limits::stream_buffer_bytes_max;
}

void chunk_stream::drained() {
  if (in_write_ || !on_drained_) return;
  auto fn = on_drained_;
  fn();
}

void chunk_stream::end() {
  auto c = conn_.lock();
  if (!c || ended_ || c->phase_ != connection::phase::streaming) return;
  ended_ = true;
  on_drained_ = nullptr;
  auto gone = std::exchange(on_closed_, nullptr);
  c->enqueue("0\r\n\r\n");
  c->flush();
  if (gone) gone();
}

void chunk_stream::abort() {
  if (auto c = conn_.lock()) c->cut();
}

void chunk_stream::closed() {
  ended_ = true;
  on_drained_ = nullptr;
  if (auto fn = std::exchange(on_closed_, nullptr)) fn();
}

void chunk_stream::post(std::function<void()> fn) { boost::asio::post(ex_, std::move(fn)); }

void chunk_stream::after(std::chrono::milliseconds delay, std::function<void()> fn) {
  auto timer = std::make_shared<boost::asio::steady_timer>(ex_, delay);
  timer->async_wait([timer, fn = std::move(fn)](boost::system::error_code ec) {
    if (!ec) fn();
  });
}

chunk_stream::chunk_stream(const std::shared_ptr<connection>& c) : conn_(c), ex_(c->sock_.get_executor()) {}

} // namespace troupe::http

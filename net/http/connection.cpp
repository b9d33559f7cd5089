#include "net/http/connection.hpp"

#include "net/http/chunk_stream.hpp"
#include "net/http/limits.hpp"
#include "net/http/response_text.hpp"
#include "net/http/websocket.hpp"

#include <boost/asio/post.hpp>

#include <openssl/x509.h>

#include <algorithm>

namespace troupe::http {

namespace {
constexpr std::size_t read_room = 32 * 1024;
constexpr std::size_t inline_body_max = 64 * 1024; // larger bodies are not copied behind their header
constexpr int requests_per_turn_max = 64;          // then other connections get theirs
} // namespace

connection::connection(reactor& home, tcp::socket s, std::shared_ptr<SSL_CTX> ctx, bool refuse)
    : home_(home), sock_(std::move(s), std::move(ctx)), refuse_(refuse) {
  boost::system::error_code ec;
  const auto remote = sock_.lowest().remote_endpoint(ec);
  if (!ec) peer_.address = remote.address().to_string();
  home_.enter(this);
}

connection::~connection() { home_.leave(this); }

void connection::begin() {
  deadline_in(limit_of(home_.setup().options.handshake_timeout, limits::handshake_timeout));
  step_handshake();
}

void connection::step_handshake() {
  if (phase_ != phase::handshake) return;
  const io r = sock_.handshake();
  if (r == io::want_read || r == io::want_write) {
    sock_.wait_for(r, [self = shared_from_this()](boost::system::error_code ec) {
      if (!ec) self->step_handshake();
    });
    return;
  }
  if (r != io::done) {
    ++home_.setup().stats.handshakes_failed;
    return drop();
  }
  if (sock_.is_tls()) {
    if (X509* cert = SSL_get1_peer_certificate(sock_.ssl())) {
      auto who = std::make_shared<identity>(tls::identity_of(cert));
      X509_free(cert);
      if (!who->user.empty()) peer_.certificate = std::move(who);
    }
  }
  phase_ = phase::reading;
  deadline_in(limit_of(home_.setup().options.idle_timeout, limits::idle_timeout));
  turn();
}

void connection::turn() {
  if (turning_) return;
  turning_ = true;
  auto self = shared_from_this();
  static thread_local std::string room(read_room, '\0');
  for (int n = 0; phase_ == phase::reading;) {
    if (n >= requests_per_turn_max) {
      boost::asio::post(sock_.get_executor(), [self] { self->turn(); });
      break;
    }
    if (!pending_.empty()) {
      const auto used = parser_.put(pending_.data(), pending_.size());
      pending_.erase(0, used);
    }
    if (pending_.empty() && !parser_.done() && parser_.error() == fault::none) {
      std::size_t got = 0;
      const io r = sock_.read(room.data(), room.size(), got);
      if (r == io::want_read || r == io::want_write) {
        wait_readable(r);
        break;
      }
      if (r != io::done) {
        drop();
        break;
      }
      if (!parser_.started()) deadline_in(limit_of(home_.setup().options.request_timeout, limits::request_timeout));
      take(room.data(), got);
    }
    if (parser_.error() != fault::none || parser_.done()) {
      ++n;
      if (!dispatch()) break;
    } else if (!pending_.empty()) {
      // The parser wants the rest of a header whose begin is kept here.
      std::size_t got = 0;
      const io r = sock_.read(room.data(), room.size(), got);
      if (r == io::want_read || r == io::want_write) {
        wait_readable(r);
        break;
      }
      if (r != io::done) {
        drop();
        break;
      }
      pending_.append(room.data(), got);
      if (pending_.size() > limits::header_bytes_max + read_room) {
        refuse_with(431, "RequestHeaderFieldsTooLarge", "the request's headers are larger than 64 KiB");
        break;
      }
    }
  }
  turning_ = false;
}

void connection::take(const char* data, std::size_t size) {
  const auto used = parser_.put(data, size);
  if (used < size) pending_.append(data + used, size - used);
  if (!continued_ && parser_.header_done() && !parser_.done() && parser_.wants_continue()) {
    continued_ = true;
    enqueue("HTTP/1.1 100 Continue\r\n\r\n");
    flush();
  }
}

bool connection::dispatch() {
  switch (parser_.error()) {
  case fault::none: break;
  case fault::malformed: refuse_with(400, "BadRequest", "malformed HTTP request"); return false;
  case fault::header_too_large:
    refuse_with(431, "RequestHeaderFieldsTooLarge", "the request's headers are larger than 64 KiB");
    return false;
  case fault::body_too_large:
    refuse_with(413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728");
    return false;
  }
  if (refuse_) {
    refuse_with(503, "ServiceUnavailable", "too many connections");
    return false;
  }
  ++home_.setup().stats.requests;
  parser_.fill(view_);
  view_.peer = &peer_;
  head_only_ = view_.method == "HEAD";
  close_after_ = !parser_.keep_alive();
  accepts_gzip_ = view_.header("accept-encoding").find("gzip") != std::string_view::npos;
  phase_ = phase::handling;
  deadline_ = steady::time_point::max();
  in_handler_ = true;
  try {
    home_.setup().on_request(view_, *this);
  } catch (const std::exception& e) {
    if (phase_ == phase::handling)
      refuse_with(500, "InternalError", std::string("Internal error occurred: ") + e.what());
  }
  in_handler_ = false;
  if (phase_ == phase::handling) refuse_with(500, "InternalError", "Internal error occurred: no answer");
  return phase_ == phase::reading;
}

void connection::refuse_with(int code, std::string_view reason, std::string message) {
  status s;
  s.code = code;
  s.reason = reason;
  s.message = std::move(message);
  reply r;
  r.code = code;
  if (code == 503) {
    s.retry_after_s = 1;
    r.headers.emplace_back("Retry-After", "1");
  }
  r.body = s.to_bytes();
  close_after_ = true;
  linger_after_ = !parser_.done(); // the client may still be sending
  finish(std::move(r));
}

void connection::wait_readable(io why) {
  if (waiting_read_) return;
  waiting_read_ = true;
  sock_.wait_for(why, [self = shared_from_this()](boost::system::error_code ec) {
    self->waiting_read_ = false;
    if (ec) return self->drop();
    if (self->phase_ == phase::streaming) return self->watch_for_eof();
    if (self->phase_ == phase::lingering) return self->discard();
    self->turn();
  });
}

void connection::send(reply r) { finish(std::move(r)); }

void connection::finish(reply r) {
  if (phase_ == phase::closed || phase_ == phase::streaming || phase_ == phase::upgraded) return;
  if (accepts_gzip_ && r.may_compress) {
    const auto whole = r.keep ? r.shared : std::string_view(r.body);
    if (whole.size() >= limits::gzip_bytes_min) {
      auto packed = gzip(std::string(whole).append(r.tail));
      if (!packed.empty()) {
        r.body = std::move(packed);
        r.keep.reset();
        r.tail = {};
        r.headers.emplace_back("Content-Encoding", "gzip");
        r.headers.emplace_back("Vary", "Accept-Encoding");
      }
    }
  }
  static thread_local std::string head;
  head.clear();
  const std::string_view body = r.keep ? r.shared : std::string_view(r.body);
  append_head(head, r.code, r.content_type, r.headers, body.size() + r.tail.size(), close_after_, home_.date());
  phase_ = phase::writing;
  deadline_in(limits::write_timeout);
  if (head_only_) {
    put(head, {}, nullptr, {});
  } else if (!r.keep && body.size() > inline_body_max) {
    auto kept = std::make_shared<const std::string>(std::move(r.body));
    put(head, *kept, kept, r.tail);
  } else {
    put(head, body, r.keep, r.tail);
  }
  if (phase_ == phase::writing && out_.empty()) answered();
}

/// Sends at once what fits; queues the rest. `body` is kept alive by `keep`, or copied when that is null.
void connection::put(std::string_view head, std::string_view body, const std::shared_ptr<const void>& keep,
                     std::string_view tail) {
  static thread_local std::string text;
  text.assign(head);
  const bool small = body.size() <= inline_body_max;
  if (small) text.append(body).append(tail);
  std::size_t done = 0;
  while (out_.empty() && done < text.size()) {
    std::size_t sent = 0;
    const io r = sock_.write(text.data() + done, text.size() - done, sent);
    if (r == io::want_read || r == io::want_write) break;
    if (r != io::done) return drop();
    done += sent;
  }
  if (done < text.size()) enqueue(text.substr(done));
  if (!small) {
    out_.push_back({{}, keep, body});
    out_bytes_ += body.size();
    if (!tail.empty()) enqueue(std::string(tail));
  }
  if (!out_.empty()) flush();
}

void connection::enqueue(std::string bytes) {
  out_bytes_ += bytes.size();
  out_.push_back({std::move(bytes), nullptr, {}});
  out_.back().rest = out_.back().own;
}

void connection::flush() {
  while (!out_.empty() && !waiting_write_) {
    auto& s = out_.front();
    std::size_t sent = 0;
    const io r = s.rest.empty() ? io::done : sock_.write(s.rest.data(), s.rest.size(), sent);
    if (r == io::want_read || r == io::want_write) {
      waiting_write_ = true;
      sock_.wait_for(r, [self = shared_from_this()](boost::system::error_code ec) {
        self->waiting_write_ = false;
        if (ec || self->phase_ == phase::closed) return self->drop();
        self->flush();
        if (self->out_.empty() && self->phase_ == phase::writing) self->answered();
      });
      return;
    }
    if (r != io::done) return drop();
    out_bytes_ -= sent;
    s.rest.remove_prefix(sent);
    if (s.rest.empty()) out_.pop_front();
    if (phase_ == phase::writing || phase_ == phase::streaming) deadline_in(limits::write_timeout);
  }
  if (out_.empty() && phase_ == phase::streaming) on_stream_queue_empty();
}

/// The whole answer has left: the next request, or the end.
void connection::answered() {
  parser_.reset();
  continued_ = false;
  if (close_after_) return linger_after_ ? linger() : drop();
  phase_ = phase::reading;
  deadline_in(limit_of(home_.setup().options.idle_timeout, limits::idle_timeout));
  if (!turning_) turn();
}

/// Closing a socket with unread bytes resets the connection, and the answer is lost with it.
void connection::linger() {
  phase_ = phase::lingering;
  linger_end_ = steady::now() + limits::linger_timeout;
  deadline_in(limits::linger_idle_timeout);
  pending_.clear();
  sock_.finish_writing();
  discard();
}

void connection::discard() {
  static thread_local std::string room(read_room, '\0');
  for (int n = 0; n < requests_per_turn_max; ++n) {
    std::size_t got = 0;
    const io r = sock_.read(room.data(), room.size(), got);
    if (r == io::want_read || r == io::want_write) return wait_readable(r);
    discarded_bytes_ += got;
    if (r != io::done || discarded_bytes_ > limits::linger_bytes_max) return drop();
    deadline_ = std::min(steady::now() + limits::linger_idle_timeout, linger_end_);
  }
  boost::asio::post(sock_.get_executor(), [self = shared_from_this()] {
    if (self->phase_ == phase::lingering) self->discard();
  });
}

void connection::sweep(steady::time_point now) {
  if (now < deadline_ || phase_ == phase::closed) return;
  auto self = shared_from_this();
  if (phase_ == phase::reading && parser_.started())
    return refuse_with(408, "RequestTimeout", "the request took too long to arrive");
  if (phase_ == phase::handshake) ++home_.setup().stats.handshakes_failed;
  drop();
}

void connection::cut() { drop(); }

void connection::drop() {
  if (phase_ == phase::closed || phase_ == phase::upgraded) return;
  auto self = shared_from_this();
  phase_ = phase::closed;
  out_.clear();
  out_bytes_ = 0;
  sock_.close();
  if (auto s = std::exchange(stream_, nullptr)) s->closed();
}

void connection::watch_for_eof() {
  static thread_local std::string room(4096, '\0');
  for (;;) {
    std::size_t got = 0;
    const io r = sock_.read(room.data(), room.size(), got);
    if (r == io::want_read || r == io::want_write) return wait_readable(r);
    if (r != io::done) return drop();
    pending_.append(room.data(), got);
    if (pending_.size() > read_room) return; // a client that talks during its own stream waits for its end
  }
}

} // namespace troupe::http

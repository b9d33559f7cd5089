#include "actors/apiserver/stream_bridge.hpp"

namespace troupe::apiserver {

namespace {

class log_bridge : public std::enable_shared_from_this<log_bridge> {
public:
  log_bridge(http::body_stream_ptr out, pod_stream_ptr in) : out_(std::move(out)), in_(std::move(in)) {}

  void begin() {
    auto self = shared_from_this();
    out_->on_closed([self] { self->stop(); });
    out_->on_drained([weak = weak_from_this()] {
      if (auto me = weak.lock(); me && std::exchange(me->full_, false)) me->ask();
    });
    ask();
  }

private:
  void ask() {
    if (done_) return;
    in_->next([self = shared_from_this(), out = out_](stream_chunk c) {
      auto moved = std::make_shared<stream_chunk>(std::move(c));
      out->post([self, moved] { self->got(*moved); });
    });
  }

  void got(const stream_chunk& c) {
    if (done_) return;
    auto self = shared_from_this();
    bool room = true;
    if (c.channel != 3 && !c.bytes.empty()) room = out_->write(c.bytes);
    if (done_) return;
    if (c.end) {
      auto out = out_;
      stop();
      return out->end();
    }
    if (room)
      ask();
    else
      full_ = true;
  }

  void stop() {
    if (std::exchange(done_, true)) return;
    in_->close();
  }

  http::body_stream_ptr out_;
  pod_stream_ptr in_;
  bool done_ = false, full_ = false;
};

class channel_bridge : public std::enable_shared_from_this<channel_bridge> {
public:
  channel_bridge(http::web_socket_ptr ws, pod_stream_ptr stream, bool v5)
      : ws_(std::move(ws)), stream_(std::move(stream)), v5_(v5) {}

  void begin(const open_stream& shape) {
    auto self = shared_from_this();
    ws_->on_closed([self] { self->stop(); });
    ws_->on_message([weak = weak_from_this()](std::string_view m, bool) {
      if (auto me = weak.lock()) me->message(m);
    });
    ws_->on_drained([weak = weak_from_this()] {
      if (auto me = weak.lock(); me && std::exchange(me->full_, false)) me->ask();
    });
    const char first = shape.out ? 1 : shape.err ? 2 : 3;
    ws_->write(std::string(1, first), true);
    ask();
  }

private:
  static constexpr unsigned char close_channel = 255;

  void ask() {
    if (done_) return;
    stream_->next([self = shared_from_this(), ws = ws_](stream_chunk c) {
      auto moved = std::make_shared<stream_chunk>(std::move(c));
      ws->post([self, moved] { self->got(*moved); });
    });
  }

  void got(const stream_chunk& c) {
    if (done_) return;
    auto self = shared_from_this();
    bool room = true;
    if (!c.bytes.empty()) {
      std::string m;
      m.reserve(c.bytes.size() + 1);
      m.push_back(static_cast<char>(c.channel));
      m += c.bytes;
      room = ws_->write(std::move(m), true);
    }
    if (c.end) {
      auto ws = ws_;
      stop();
      return ws->close();
    }
    if (room)
      ask();
    else
      full_ = true;
  }

  void message(std::string_view m) {
    if (done_ || m.empty()) return;
    const auto channel = static_cast<unsigned char>(m[0]);
    const auto data = m.substr(1);
    if (channel == close_channel && v5_) {
      if (!data.empty() && data[0] == 0) stream_->close_stdin();
      return;
    }
    if (channel != 0 && channel != 4) return; // clients own stdin and resize only
    if (data.empty()) return;
    const bool room = stream_->write(channel, std::string(data), [weak = weak_from_this(), ws = ws_] {
      ws->post([weak] {
        if (auto me = weak.lock(); me && !me->done_) me->ws_->pause_reading(false);
      });
    });
    if (!room) ws_->pause_reading(true);
  }

  void stop() {
    if (std::exchange(done_, true)) return;
    stream_->close();
  }

  http::web_socket_ptr ws_;
  pod_stream_ptr stream_;
  bool v5_, done_ = false, full_ = false;
};

} // namespace

void bridge_log(http::body_stream_ptr out, pod_stream_ptr in) {
  std::make_shared<log_bridge>(std::move(out), std::move(in))->begin();
}

void bridge_channels(http::web_socket_ptr ws, pod_stream_ptr stream, const open_stream& shape, bool v5) {
  std::make_shared<channel_bridge>(std::move(ws), std::move(stream), v5)->begin(shape);
}

} // namespace troupe::apiserver

// Port-forward over WebSocket in the channel form: the ports stand in the query.
#include "actors/apiserver/front.hpp"
#include "actors/apiserver/stream_bridge.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include <charconv>

namespace troupe::apiserver {

namespace {

constexpr std::size_t ports_max = 32;

/// One connection per named port; channel 2i carries its bytes, 2i + 1 its error.
class port_bridge : public std::enable_shared_from_this<port_bridge> {
public:
  port_bridge(http::web_socket_ptr ws, std::vector<std::uint16_t> ports)
      : ws_(std::move(ws)), ports_(std::move(ports)), streams_(ports_.size()) {}

  void begin(caf::actor_system& sys, const kubelet_actor& door, const open_stream& base) {
    auto self = shared_from_this();
    ws_->on_closed([self] { self->stop(); });
    ws_->on_message([weak = weak_from_this()](std::string_view m, bool) {
      if (auto me = weak.lock()) me->message(m);
    });
    ws_->on_drained([weak = weak_from_this()] {
      auto me = weak.lock();
      if (!me) return;
      auto asks = std::move(me->held_);
      me->held_.clear();
      for (auto i : asks)
        me->ask(i);
    });
    for (std::size_t i = 0; i < ports_.size(); ++i)
      open(sys, door, base, i);
  }

private:
  void open(caf::actor_system& sys, const kubelet_actor& door, const open_stream& base, std::size_t i) {
    // Both channels begin with the port, two bytes, low one first.
    const char low = static_cast<char>(ports_[i] & 0xff), high = static_cast<char>(ports_[i] >> 8);
    for (std::size_t c : {2 * i, 2 * i + 1})
      ws_->write(std::string{static_cast<char>(c), low, high}, true);
    auto wanted = std::make_shared<open_stream>(base);
    wanted->port = ports_[i];
    auto done = [self = shared_from_this(), ws = ws_, i](stream_opened_ptr got) {
      ws->post([self, got, i] { self->opened(i, got); });
    };
    sys.spawn([door, req = open_stream_ptr(wanted), done](caf::event_based_actor* a) {
      a->request(door, std::chrono::seconds(30), req)
          .then([done](const stream_opened_ptr& got) { done(got); },
                [done](const caf::error&) {
                  auto failed = std::make_shared<stream_opened>();
                  failed->error = std::make_shared<const status>(errors::unavailable("the kubelet does not answer"));
                  done(failed);
                });
    });
  }

  void opened(std::size_t i, const stream_opened_ptr& got) {
    if (done_) {
      if (got->stream) got->stream->close();
      return;
    }
    if (got->error) return fail(i, got->error->message);
    streams_[i] = got->stream;
    ask(i);
  }

  void fail(std::size_t i, const std::string& why) {
    ws_->write(std::string(1, static_cast<char>(2 * i + 1)) + why, true);
  }

  void ask(std::size_t i) {
    if (done_ || !streams_[i]) return;
    streams_[i]->next([self = shared_from_this(), ws = ws_, i](stream_chunk c) {
      auto moved = std::make_shared<stream_chunk>(std::move(c));
      ws->post([self, moved, i] { self->got(i, *moved); });
    });
  }

  void got(std::size_t i, const stream_chunk& c) {
    if (done_) return;
    bool room = true;
    if (c.channel == 3) {
      if (!c.bytes.empty() && c.bytes.find("\"Success\"") == std::string::npos) fail(i, c.bytes);
    } else if (!c.bytes.empty()) {
      room = ws_->write(std::string(1, static_cast<char>(2 * i)) + c.bytes, true);
    }
    if (c.end) {
      streams_[i]->close();
      streams_[i].reset();
      for (const auto& s : streams_)
        if (s) return;
      return ws_->close();
    }
    if (room)
      ask(i);
    else
      held_.push_back(i);
  }

  void message(std::string_view m) {
    if (done_ || m.empty()) return;
    const auto channel = static_cast<unsigned char>(m[0]);
    const std::size_t i = channel / 2;
    if (channel % 2 != 0 || i >= streams_.size() || !streams_[i] || m.size() < 2) return;
    const bool room = streams_[i]->write(0, std::string(m.substr(1)), [weak = weak_from_this(), ws = ws_] {
      ws->post([weak] {
        if (auto me = weak.lock(); me && !me->done_) me->ws_->pause_reading(false);
      });
    });
    if (!room) ws_->pause_reading(true);
  }

  void stop() {
    if (std::exchange(done_, true)) return;
    for (auto& s : streams_)
      if (s) s->close();
  }

  http::web_socket_ptr ws_;
  std::vector<std::uint16_t> ports_;
  std::vector<pod_stream_ptr> streams_;
  std::vector<std::size_t> held_;
  bool done_ = false;
};

result<std::vector<std::uint16_t>> read_ports(const request& r) {
  std::vector<std::uint16_t> out;
  for (const auto& [k, v] : r.query) {
    if (k != "ports") continue;
    std::string_view rest = v;
    while (!rest.empty()) {
      const auto one = rest.substr(0, rest.find(','));
      rest = one.size() == rest.size() ? std::string_view{} : rest.substr(one.size() + 1);
      unsigned n = 0;
      const auto got = std::from_chars(one.data(), one.data() + one.size(), n);
      if (got.ec != std::errc{} || got.ptr != one.data() + one.size() || n == 0 || n > 65535)
        return errors::bad_request("ports: \"" + std::string(one) + "\" must be between 1 and 65535");
      out.push_back(static_cast<std::uint16_t>(n));
    }
  }
  if (out.empty()) return errors::bad_request("query parameter \"ports\" is required");
  if (out.size() > ports_max) return errors::bad_request("at most 32 ports at once");
  return out;
}

} // namespace

void forward_ports(caf::actor_system& sys, kubelet_actor door, const std::string& node, const open_stream& base,
                   const request& r, http::exchange& x, const std::string& protocol) {
  if (protocol.rfind("SPDY", 0) == 0)
    return send_status(x,
                       errors::bad_request(
                           "port-forward is offered over WebSocket with v4.channel.k8s.io and ports in the query; SPDY "
                           "streams inside a WebSocket, as kubectl sends them, are not spoken yet"));
  auto ports = read_ports(r);
  if (!ports) return send_status(x, ports.error());
  x.upgrade(protocol, [&sys, door, base, list = *ports](http::web_socket_ptr ws) {
    std::make_shared<port_bridge>(ws, list)->begin(sys, door, base);
  });
}

} // namespace troupe::apiserver

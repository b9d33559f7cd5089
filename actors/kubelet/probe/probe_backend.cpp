#include "actors/kubelet/probe/probe_backend.hpp"

#include "actors/kubelet/io_thread.hpp"
#include "actors/kubelet/limits.hpp"

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/ssl/context.hpp>
#include <boost/asio/ssl/stream.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/streambuf.hpp>
#include <boost/asio/write.hpp>

#include <istream>
#include <memory>

namespace troupe::kubelet {

namespace asio = boost::asio;
using tcp = asio::ip::tcp;
using boost::system::error_code;

namespace {

/// One probe in flight: resolves, connects, perhaps asks. Ends once, by answer, error or time-out.
class probe_run : public std::enable_shared_from_this<probe_run> {
public:
  probe_run(asio::io_context& io, probe_spec spec, std::string host, probe_done done)
      : resolver_(io), socket_(io), timer_(io), spec_(std::move(spec)), host_(std::move(host)), done_(std::move(done)) {
  }

  void start() {
    timer_.expires_after(spec_.timeout);
    timer_.async_wait([me = shared_from_this()](error_code ec) {
      if (!ec)
        me->end({.message = me->prefix() + "context deadline exceeded (timeout " +
                            std::to_string(me->spec_.timeout.count()) + "s)"});
    });
    error_code ec;
    auto address = asio::ip::make_address(host_, ec);
    if (!ec) return connect(tcp::endpoint{address, spec_.port});
    resolver_.async_resolve(host_, std::to_string(spec_.port), [me = shared_from_this()](error_code e, auto list) {
      if (e || list.empty()) return me->end({.message = me->prefix() + "lookup " + me->host_ + ": " + e.message()});
      me->connect(list.begin()->endpoint());
    });
  }

private:
  std::string prefix() const {
    auto where = host_ + ":" + std::to_string(spec_.port);
    if (spec_.what == probe_spec::how::tcp) return "dial tcp " + where + ": ";
    return "Get \"" + std::string{spec_.scheme == "HTTPS" ? "https" : "http"} + "://" + where + spec_.path + "\": ";
  }

  void connect(tcp::endpoint to) {
    socket_.async_connect(to, [me = shared_from_this()](error_code ec) {
      if (ec) return me->end({.message = me->prefix() + "connect: " + ec.message()});
      if (me->spec_.what == probe_spec::how::tcp) return me->end({.ok = true});
      if (me->spec_.scheme == "HTTPS") return me->handshake();
      me->ask(me->socket_);
    });
  }

  void handshake() {
    tls_context_ = std::make_unique<asio::ssl::context>(asio::ssl::context::tls_client);
    tls_ = std::make_unique<asio::ssl::stream<tcp::socket&>>(socket_, *tls_context_);
    // The kubelet checks that a server answers, not who it is.
    tls_->set_verify_mode(asio::ssl::verify_none);
    tls_->async_handshake(asio::ssl::stream_base::client, [me = shared_from_this()](error_code ec) {
      if (ec) return me->end({.message = me->prefix() + "tls: " + ec.message()});
      me->ask(*me->tls_);
    });
  }

  std::string request_text() const {
    auto path = spec_.path.empty() || spec_.path.front() != '/' ? "/" + spec_.path : spec_.path;
    std::string host = host_ + ":" + std::to_string(spec_.port), extra;
    bool agent = false, accept = false;
    for (const auto& [k, v] : spec_.headers) {
      if (k == "Host" || k == "host") {
        host = v;
        continue;
      }
      agent = agent || k == "User-Agent";
      accept = accept || k == "Accept";
      extra += k + ": " + v + "\r\n";
    }
    if (!agent) extra += "User-Agent: kube-probe/1.32\r\n";
    if (!accept) extra += "Accept: */*\r\n";
    return "GET " + path + " HTTP/1.1\r\nHost: " + host + "\r\n" + extra + "Connection: close\r\n\r\n";
  }

  template <class Stream>
  void ask(Stream& stream) {
    request_ = request_text();
    asio::async_write(stream, asio::buffer(request_), [me = shared_from_this(), &stream](error_code ec, std::size_t) {
      if (ec) return me->end({.message = me->prefix() + ec.message()});
      asio::async_read_until(stream, me->answer_, '\n', [me](error_code e, std::size_t) { me->on_status_line(e); });
    });
  }

  void on_status_line(error_code ec) {
    std::istream in{&answer_};
    std::string version, code;
    in >> version >> code;
    if (!version.starts_with("HTTP/") || code.size() != 3 || code.find_first_not_of("0123456789") != std::string::npos)
      return end({.message = prefix() + (ec ? ec.message() : "malformed HTTP response")});
    auto n = std::stoi(code);
    if (n >= 200 && n < 400) return end({.ok = true});
    end({.message = "HTTP probe failed with statuscode: " + code});
  }

  void end(probe_outcome o) {
    if (!done_) return;
    auto done = std::exchange(done_, nullptr);
    error_code ec;
    timer_.cancel();
    resolver_.cancel();
    socket_.close(ec);
    if (o.message.size() > limits::probe_message_bytes_max) o.message.resize(limits::probe_message_bytes_max);
    done(std::move(o));
  }

  tcp::resolver resolver_;
  tcp::socket socket_;
  asio::steady_timer timer_;
  std::unique_ptr<asio::ssl::context> tls_context_;
  std::unique_ptr<asio::ssl::stream<tcp::socket&>> tls_;
  probe_spec spec_;
  std::string host_, request_;
  asio::streambuf answer_{limits::probe_body_bytes_max};
  probe_done done_;
};

void launch(io_thread& io, const probe_spec& spec, const std::string& pod_ip, probe_done done) {
  auto run = std::make_shared<probe_run>(io.context(), spec, spec.host.empty() ? pod_ip : spec.host, std::move(done));
  asio::post(io.context(), [run] { run->start(); });
}

} // namespace

void probe_http(io_thread& io, const probe_spec& spec, const std::string& pod_ip, probe_done done) {
  launch(io, spec, pod_ip, std::move(done));
}

void probe_tcp(io_thread& io, const probe_spec& spec, const std::string& pod_ip, probe_done done) {
  launch(io, spec, pod_ip, std::move(done));
}

} // namespace troupe::kubelet

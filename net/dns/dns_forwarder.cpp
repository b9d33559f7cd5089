#include "net/dns/dns_forwarder.hpp"

#include "net/dns/limits.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <array>
#include <optional>

namespace troupe::net {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using error_code = boost::system::error_code;

/// One question on its way. Every wait belongs to a try; what comes back for an earlier try is ignored.
class question_job : public std::enable_shared_from_this<question_job> {
public:
  question_job(asio::io_context& ioc, dns_bytes question, bool over_tcp, std::vector<upstream> upstreams,
               std::uint16_t id, dns_forwarder::done_fn done)
      : udp_(ioc), tcp_(ioc), timer_(ioc), question_(std::move(question)), over_tcp_(over_tcp),
        upstreams_(std::move(upstreams)), id_(id), asked_id_(id_of(question_)), done_(std::move(done)) {
    set_id(question_, id_);
  }

  void next() {
    ++try_;
    error_code ignored;
    udp_.close(ignored);
    tcp_.close(ignored);
    if (at_ >= upstreams_.size()) return finish({});
    const auto& to = upstreams_[at_++];
    auto address = asio::ip::make_address_v4(to.address, ignored);
    timer_.expires_after(limits::dns_upstream_timeout);
    timer_.async_wait([self = shared_from_this(), mine = try_](error_code e) {
      if (!e && mine == self->try_) self->next();
    });
    if (over_tcp_)
      connect(tcp::endpoint{address, to.port});
    else
      send(udp::endpoint{address, to.port});
  }

private:
  void send(const udp::endpoint& to) {
    error_code e;
    udp_.open(udp::v4(), e);
    if (!e) udp_.connect(to, e); // only this upstream may answer
    if (!e) udp_.send(asio::buffer(question_), 0, e);
    if (e) return next();
    receive();
  }

  void receive() {
    udp_.async_receive(asio::buffer(buffer_), [self = shared_from_this(), mine = try_](error_code e, std::size_t n) {
      if (mine != self->try_) return;
      if (e) return self->next();
      dns_view got{self->buffer_.data(), n};
      if (!answers(got, self->id_, question_of(self->question_))) return self->receive();
      self->finish({got.begin(), got.end()});
    });
  }

  void connect(const tcp::endpoint& to) {
    tcp_.async_connect(to, [self = shared_from_this(), mine = try_](error_code e) {
      if (mine != self->try_) return;
      if (e) return self->next();
      self->size_ = {static_cast<std::uint8_t>(self->question_.size() >> 8),
                     static_cast<std::uint8_t>(self->question_.size())};
      std::array<asio::const_buffer, 2> parts{asio::buffer(self->size_), asio::buffer(self->question_)};
      asio::async_write(self->tcp_, parts, [self, mine](error_code failed, std::size_t) {
        if (mine == self->try_) failed ? self->next() : self->read_size();
      });
    });
  }

  void read_size() {
    asio::async_read(tcp_, asio::buffer(size_), [self = shared_from_this(), mine = try_](error_code e, std::size_t) {
      if (mine != self->try_) return;
      if (e) return self->next();
      self->answer_.resize(static_cast<std::size_t>(self->size_[0] << 8 | self->size_[1]));
      self->read_answer();
    });
  }

  void read_answer() {
    asio::async_read(tcp_, asio::buffer(answer_), [self = shared_from_this(), mine = try_](error_code e, std::size_t) {
      if (mine != self->try_) return;
      if (e || !answers(self->answer_, self->id_, question_of(self->question_))) return self->next();
      self->finish(std::move(self->answer_));
    });
  }

  void finish(dns_bytes answer) {
    ++try_;
    timer_.cancel();
    error_code ignored;
    udp_.close(ignored);
    tcp_.close(ignored);
    set_id(answer, asked_id_);
    if (auto done = std::move(done_)) done(std::move(answer));
  }

  udp::socket udp_;
  tcp::socket tcp_;
  asio::steady_timer timer_;
  dns_bytes question_, answer_;
  std::array<std::uint8_t, 2> size_{};
  std::array<std::uint8_t, 4096> buffer_{};
  bool over_tcp_;
  std::vector<upstream> upstreams_;
  std::size_t at_ = 0;
  std::uint64_t try_ = 0;
  std::uint16_t id_, asked_id_;
  dns_forwarder::done_fn done_;
};

} // namespace

void dns_forwarder::ask(dns_bytes question, bool over_tcp, std::vector<upstream> upstreams, done_fn done) {
  if (*waiting_ >= limits::dns_forwards_max || upstreams.empty() || question_of(question).empty()) return done({});
  ++*waiting_;
  auto counted = [waiting = waiting_, done = std::move(done)](dns_bytes answer) {
    --*waiting;
    done(std::move(answer));
  };
  auto id = static_cast<std::uint16_t>(random_());
  std::make_shared<question_job>(ioc_, std::move(question), over_tcp, std::move(upstreams), id, std::move(counted))
      ->next();
}

} // namespace troupe::net

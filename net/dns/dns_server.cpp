#include "net/dns/dns_server.hpp"

#include "net/dns/dns_codec.hpp"
#include "net/dns/dns_forwarder.hpp"
#include "net/dns/limits.hpp"
#include "net/packet/host_error.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/read.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <mutex>
#include <shared_mutex>
#include <thread>

namespace troupe::net {

namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::ip::udp;
using error_code = boost::system::error_code;
using send_fn = std::function<void(dns_bytes)>;

struct shared_counters {
  std::atomic<std::uint64_t> queries{0}, cluster_answers{0}, forwarded{0}, forward_failures{0}, malformed{0},
      dropped{0};
};

/// Turns one message into one answer, now or when an upstream has spoken.
class responder {
public:
  responder(asio::io_context& ioc, const dns_config& c, std::vector<upstream> own)
      : table(c.domain, c.pod_cidr), forwarder_(ioc), upstreams_(c.upstreams, c.resolv_conf, std::move(own)) {}

  void handle(dns_view packet, bool over_tcp, send_fn send) {
    counters.queries.fetch_add(1, std::memory_order_relaxed);
    dns_query q;
    auto fault = read_query(packet, q);
    if (fault != dns_fault::none) {
      counters.malformed.fetch_add(1, std::memory_order_relaxed);
      if (fault == dns_fault::drop) counters.dropped.fetch_add(1, std::memory_order_relaxed);
      return send(refusal_of(packet, fault));
    }
    auto found = look_up(q.name, static_cast<dns_type>(q.type));
    if (found.what == dns_answer::kind::not_ours)
      return forward(std::move(q), {packet.begin(), packet.end()}, over_tcp, std::move(send));
    counters.cluster_answers.fetch_add(1, std::memory_order_relaxed);
    answer(std::move(q), std::move(found), over_tcp, std::move(send));
  }

  std::shared_mutex mutex; // guards table
  dns_table table;
  shared_counters counters;

private:
  dns_answer look_up(std::string_view name, dns_type type) {
    std::shared_lock lock{mutex};
    return table.lookup(name, type);
  }

  static std::size_t room(const dns_query& q, bool over_tcp) {
    return over_tcp ? limits::dns_message_bytes_max : q.udp_bytes_max;
  }

  void forward(dns_query q, dns_bytes packet, bool over_tcp, send_fn send) {
    if (!q.recursion) return send(bare_answer(q, dns_rcode::refused));
    counters.forwarded.fetch_add(1, std::memory_order_relaxed);
    forwarder_.ask(std::move(packet), over_tcp, upstreams_.current(std::chrono::steady_clock::now()),
                   [this, q = std::move(q), send = std::move(send)](dns_bytes got) {
                     if (!got.empty()) return send(std::move(got));
                     counters.forward_failures.fetch_add(1, std::memory_order_relaxed);
                     send(bare_answer(q, dns_rcode::server_failure));
                   });
  }

  void answer(dns_query q, dns_answer found, bool over_tcp, send_fn send) {
    dns_reply reply;
    auto asked = static_cast<dns_type>(q.type);
    if (q.name == table.domain() && (asked == dns_type::soa || asked == dns_type::any))
      reply.answer_soa = true;
    else if (found.what == dns_answer::kind::nxdomain)
      reply.code = dns_rcode::nxdomain;
    reply.authority_soa = found.records.empty() && !reply.answer_soa;
    reply.records = std::move(found.records);
    reply.additional = std::move(found.additional);
    // Clients take the first address: each answer begins with another one.
    if (reply.records.size() > 1)
      std::rotate(reply.records.begin(),
                  reply.records.begin() + static_cast<std::ptrdiff_t>(turn_++ % reply.records.size()),
                  reply.records.end());
    bool chased = reply.records.size() == 1 && reply.records[0].type == dns_type::cname && asked != dns_type::cname &&
                  asked != dns_type::any;
    if (chased) return follow(std::move(q), std::move(reply), over_tcp, std::move(send));
    send(write_reply(q, reply, table.domain(), room(q, over_tcp)));
  }

  /// Stub resolvers expect the address behind a CNAME in the same answer.
  void follow(dns_query q, dns_reply reply, bool over_tcp, send_fn send) {
    auto target = reply.records[0].target;
    auto inside = look_up(target, static_cast<dns_type>(q.type));
    if (inside.what != dns_answer::kind::not_ours) {
      reply.records.insert(reply.records.end(), inside.records.begin(), inside.records.end());
      return send(write_reply(q, reply, table.domain(), room(q, over_tcp)));
    }
    if (!q.recursion) return send(write_reply(q, reply, table.domain(), room(q, over_tcp)));
    counters.forwarded.fetch_add(1, std::memory_order_relaxed);
    auto question = write_query(q.id, target, q.type);
    forwarder_.ask(
        std::move(question), over_tcp, upstreams_.current(std::chrono::steady_clock::now()),
        [this, q = std::move(q), reply = std::move(reply), over_tcp, send = std::move(send)](dns_bytes got) mutable {
          reply.appended = std::move(got);
          send(write_reply(q, reply, table.domain(), room(q, over_tcp)));
        });
  }

  dns_forwarder forwarder_;
  upstream_list upstreams_;
  std::size_t turn_ = 0;
};

/// One TCP client: a question, its answer, the next question. Silence ends it.
class tcp_session : public std::enable_shared_from_this<tcp_session> {
public:
  tcp_session(tcp::socket s, responder& r, std::shared_ptr<std::size_t> open)
      : socket_(std::move(s)), idle_(socket_.get_executor()), responder_(r), open_(std::move(open)) {
    ++*open_;
  }
  ~tcp_session() { --*open_; }

  void read() {
    idle_.expires_after(limits::dns_tcp_idle);
    idle_.async_wait([weak = weak_from_this()](error_code e) {
      auto self = weak.lock();
      if (e || !self) return;
      error_code ignored;
      self->socket_.close(ignored);
    });
    asio::async_read(socket_, asio::buffer(size_), [self = shared_from_this()](error_code e, std::size_t) {
      if (e) return self->idle_.cancel(), void();
      self->packet_.resize(static_cast<std::size_t>(self->size_[0] << 8 | self->size_[1]));
      self->read_packet();
    });
  }

private:
  void read_packet() {
    asio::async_read(socket_, asio::buffer(packet_), [self = shared_from_this()](error_code e, std::size_t) {
      if (e) return self->idle_.cancel(), void();
      self->responder_.handle(self->packet_, true, [self](dns_bytes answer) { self->write(std::move(answer)); });
    });
  }

  void write(dns_bytes answer) {
    if (answer.empty()) { // a message that deserves no answer ends the connection
      error_code ignored;
      socket_.close(ignored);
      idle_.cancel();
      return;
    }
    out_ = {static_cast<std::uint8_t>(answer.size() >> 8), static_cast<std::uint8_t>(answer.size())};
    out_.insert(out_.end(), answer.begin(), answer.end());
    asio::async_write(socket_, asio::buffer(out_), [self = shared_from_this()](error_code e, std::size_t) {
      if (e) return self->idle_.cancel(), void();
      self->read();
    });
  }

  tcp::socket socket_;
  asio::steady_timer idle_;
  responder& responder_;
  std::shared_ptr<std::size_t> open_;
  std::array<std::uint8_t, 2> size_{};
  dns_bytes packet_, out_;
};

class server final : public dns_server {
public:
  server(const dns_config& c, const asio::ip::address_v4& address)
      : udp_(ioc_), acceptor_(ioc_), responder_(ioc_, c, own_addresses(c)), address_(address) {}

  ~server() override {
    ioc_.stop();
    if (thread_.joinable()) thread_.join();
  }

  result<void> listen(std::uint16_t port) {
    error_code e;
    // With port 0 the kernel chooses for UDP, and TCP may find that number taken: try others.
    for (int attempt = 0; attempt < 16; ++attempt) {
      e = bind(port);
      if (!e || port != 0) break;
    }
    if (e) {
      auto why = "cannot listen for DNS on " + address_.to_string() + ":" + std::to_string(port) + ": " + e.message();
      return e == asio::error::address_in_use ? errors::unavailable(why) : host_error(why);
    }
    udp_.non_blocking(true, e);
    wait_udp();
    accept();
    thread_ = std::thread{[this] { run(); }};
    return {};
  }

  void update(const std::vector<dns_change>& changes) override {
    std::unique_lock lock{responder_.mutex};
    for (const auto& c : changes)
      responder_.table.apply(c);
  }

  void replace(const std::vector<dns_service>& services, const std::vector<std::string>& namespaces) override {
    std::unique_lock lock{responder_.mutex};
    responder_.table.clear();
    for (const auto& n : namespaces)
      responder_.table.put_namespace(n);
    for (const auto& s : services)
      responder_.table.put(s);
  }

  std::uint16_t port() const override { return port_; }

  dns_counters counters() const override {
    const auto& c = responder_.counters;
    return {c.queries, c.cluster_answers, c.forwarded, c.forward_failures, c.malformed, c.dropped};
  }

private:
  static std::vector<upstream> own_addresses(const dns_config& c) {
    std::vector<upstream> out{{c.address, c.port}};
    if (!c.service_address.empty()) out.push_back({c.service_address, 53});
    return out;
  }

  error_code bind(std::uint16_t port) {
    error_code e, ignored;
    udp_.close(ignored);
    acceptor_.close(ignored);
    udp_.open(udp::v4(), e);
    if (!e) udp_.bind({address_, port}, e);
    if (e) return e;
    port_ = udp_.local_endpoint(e).port();
    acceptor_.open(tcp::v4(), e);
    if (!e) acceptor_.set_option(tcp::acceptor::reuse_address(true), e);
    if (!e) acceptor_.bind({address_, port_}, e);
    if (!e) acceptor_.listen(asio::socket_base::max_listen_connections, e);
    return e;
  }

  void run() {
    for (;;) {
      try {
        ioc_.run();
        return;
      } catch (const std::exception&) {
        // A library failed on one message (out of memory); the others go on.
        responder_.counters.dropped.fetch_add(1, std::memory_order_relaxed);
      }
    }
  }

  void wait_udp() {
    udp_.async_wait(udp::socket::wait_read, [this](error_code e) {
      if (e == asio::error::operation_aborted) return;
      wait_udp();
      for (int i = 0; i < 64 && receive(); ++i) {
      } // then others get their turn
    });
  }

  bool receive() {
    udp::endpoint from;
    error_code e;
    auto n = udp_.receive_from(asio::buffer(buffer_), from, 0, e);
    if (e) return e != asio::error::would_block && e != asio::error::bad_descriptor;
    responder_.handle({buffer_.data(), n}, false, [this, from](dns_bytes answer) {
      error_code ignored; // a client that does not take its answer asks again
      if (!answer.empty()) udp_.send_to(asio::buffer(answer), from, 0, ignored);
    });
    return true;
  }

  void accept() {
    acceptor_.async_accept([this](error_code e, tcp::socket s) {
      if (e == asio::error::operation_aborted) return;
      if (!e && *open_ < limits::dns_tcp_connections_max)
        std::make_shared<tcp_session>(std::move(s), responder_, open_)->read();
      if (e) return retry_accept(); // out of descriptors: breathe
      accept();
    });
  }

  void retry_accept() {
    pause_.expires_after(std::chrono::milliseconds{100});
    pause_.async_wait([this](error_code e) {
      if (!e) accept();
    });
  }

  // Sessions that the context still holds count themselves out when it is destroyed: the count outlives it.
  std::shared_ptr<std::size_t> open_ = std::make_shared<std::size_t>(0);
  asio::io_context ioc_{1};
  udp::socket udp_;
  tcp::acceptor acceptor_;
  asio::steady_timer pause_{ioc_};
  responder responder_;
  asio::ip::address_v4 address_;
  std::uint16_t port_ = 0;
  std::array<std::uint8_t, 65536> buffer_{};
  std::thread thread_;
};

} // namespace

result<std::unique_ptr<dns_server>> start_dns_server(const dns_config& c) {
  error_code e;
  auto address = asio::ip::make_address_v4(c.address, e);
  if (e) return errors::bad_request("DNS address " + c.address + " is not an IPv4 address");
  auto out = std::make_unique<server>(c, address);
  if (auto done = out->listen(c.port); !done) return done.error();
  return std::unique_ptr<dns_server>{std::move(out)};
}

} // namespace troupe::net

#include "net/dns/dns_codec.hpp"
#include "net/dns/dns_server.hpp"

#include <arpa/inet.h>
#include <atomic>
#include <doctest/doctest.h>
#include <ldns/ldns.h>
#include <memory>
#include <poll.h>
#include <random>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>

using namespace troupe;
using namespace troupe::net;

namespace {

struct free_packet {
  void operator()(ldns_pkt* p) const noexcept { ldns_pkt_free(p); }
};
using packet_ptr = std::unique_ptr<ldns_pkt, free_packet>;

int loopback(int type, std::uint16_t port, bool server) {
  int s = ::socket(AF_INET, type | SOCK_CLOEXEC, 0);
  timeval wait{5, 0};
  ::setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
  sockaddr_in a{};
  a.sin_family = AF_INET;
  a.sin_port = htons(port);
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int done = server ? ::bind(s, reinterpret_cast<sockaddr*>(&a), sizeof a)
                    : ::connect(s, reinterpret_cast<sockaddr*>(&a), sizeof a);
  REQUIRE(done == 0);
  return s;
}

std::uint16_t port_of(int s) {
  sockaddr_in a{};
  socklen_t n = sizeof a;
  ::getsockname(s, reinterpret_cast<sockaddr*>(&a), &n);
  return ntohs(a.sin_port);
}

dns_bytes exchange_udp(std::uint16_t port, const dns_bytes& question) {
  int s = loopback(SOCK_DGRAM, port, false);
  REQUIRE(::send(s, question.data(), question.size(), 0) == static_cast<ssize_t>(question.size()));
  dns_bytes out(65536);
  auto n = ::recv(s, out.data(), out.size(), 0);
  ::close(s);
  out.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
  return out;
}

dns_bytes read_framed(int s) {
  std::uint8_t size[2];
  if (::recv(s, size, 2, MSG_WAITALL) != 2) return {};
  dns_bytes out(static_cast<std::size_t>(size[0] << 8 | size[1]));
  if (::recv(s, out.data(), out.size(), MSG_WAITALL) != static_cast<ssize_t>(out.size())) return {};
  return out;
}

dns_bytes framed(const dns_bytes& packet) {
  dns_bytes out{static_cast<std::uint8_t>(packet.size() >> 8), static_cast<std::uint8_t>(packet.size())};
  out.insert(out.end(), packet.begin(), packet.end());
  return out;
}

dns_bytes exchange_tcp(std::uint16_t port, const dns_bytes& question) {
  int s = loopback(SOCK_STREAM, port, false);
  auto out = framed(question);
  REQUIRE(::send(s, out.data(), out.size(), 0) == static_cast<ssize_t>(out.size()));
  auto answer = read_framed(s);
  ::close(s);
  return answer;
}

packet_ptr parsed(const dns_bytes& bytes) {
  ldns_pkt* p = nullptr;
  REQUIRE(ldns_wire2pkt(&p, bytes.data(), bytes.size()) == LDNS_STATUS_OK);
  return packet_ptr{p};
}

std::string text_of(const ldns_rr_list* list) {
  std::unique_ptr<char, decltype(&std::free)> text{ldns_rr_list2str(list), &std::free};
  return text ? text.get() : "";
}

/// A name server that answers every question with 192.0.2.9, or not at all.
struct fake_upstream {
  int socket = loopback(SOCK_DGRAM, 0, true);
  std::uint16_t port = port_of(socket);
  std::atomic<int> asked{0};
  std::atomic<bool> silent{false}, stop{false};
  std::thread thread{[this] { run(); }};

  void run() {
    while (!stop) {
      pollfd p{socket, POLLIN, 0};
      if (::poll(&p, 1, 20) <= 0) continue;
      dns_bytes in(4096);
      sockaddr_in from{};
      socklen_t n = sizeof from;
      auto got = ::recvfrom(socket, in.data(), in.size(), 0, reinterpret_cast<sockaddr*>(&from), &n);
      if (got <= 0) continue;
      ++asked;
      if (silent) continue;
      dns_query q;
      if (read_query({in.data(), static_cast<std::size_t>(got)}, q) != dns_fault::none) continue;
      dns_reply r;
      dns_record a;
      a.name = q.name;
      a.address = 0xc0000209;
      r.records.push_back(a);
      auto out = write_reply(q, r, "example", 512);
      // A forged answer first: another id, which must not be taken.
      auto forged = out;
      set_id(forged, static_cast<std::uint16_t>(id_of(out) + 1));
      ::sendto(socket, forged.data(), forged.size(), 0, reinterpret_cast<sockaddr*>(&from), n);
      ::sendto(socket, out.data(), out.size(), 0, reinterpret_cast<sockaddr*>(&from), n);
    }
  }
  ~fake_upstream() {
    stop = true;
    thread.join();
    ::close(socket);
  }
};

std::unique_ptr<dns_server> start(std::vector<std::string> upstreams = {"127.0.0.1:1"}) {
  dns_config c;
  c.address = "127.0.0.1";
  c.port = 0;
  c.upstreams = std::move(upstreams);
  auto s = start_dns_server(c);
  REQUIRE_MESSAGE(s.has_value(), s.error().message);
  dns_service web{"demo", "web", "10.96.0.7", "", {{"http", "TCP", 80}}, {}};
  dns_service away{"demo", "away", "", "away.example", {}, {}};
  dns_service inside{"demo", "inside", "", "web.demo.svc.cluster.local", {}, {}};
  dns_service many{"demo", "many", "None", "", {}, {}};
  for (int i = 1; i <= 100; ++i)
    many.endpoints.push_back({"10.244.0." + std::to_string(i), "", nullptr});
  (*s)->replace({web, away, inside, many}, {"demo", "default"});
  return std::move(*s);
}

} // namespace

TEST_CASE("a Service resolves over UDP and TCP; an absent name carries the zone's SOA") {
  auto s = start();
  for (auto exchange : {exchange_udp, exchange_tcp}) {
    auto a = parsed(exchange(s->port(), write_query(7, "web.demo.svc.cluster.local", 1)));
    CHECK(ldns_pkt_id(a.get()) == 7);
    CHECK(ldns_pkt_aa(a.get()));
    CHECK(text_of(ldns_pkt_answer(a.get())) == "web.demo.svc.cluster.local.\t5\tIN\tA\t10.96.0.7\n");
    auto none = parsed(exchange(s->port(), write_query(8, "nope.demo.svc.cluster.local", 1)));
    CHECK(ldns_pkt_get_rcode(none.get()) == LDNS_RCODE_NXDOMAIN);
    CHECK(text_of(ldns_pkt_authority(none.get())).find("SOA\tns.dns.cluster.local.") != std::string::npos);
    auto v6 = parsed(exchange(s->port(), write_query(9, "web.demo.svc.cluster.local", 28)));
    CHECK(ldns_pkt_get_rcode(v6.get()) == LDNS_RCODE_NOERROR);
    CHECK(ldns_pkt_ancount(v6.get()) == 0);
    CHECK(ldns_pkt_nscount(v6.get()) == 1);
    auto soa = parsed(exchange(s->port(), write_query(10, "cluster.local", 6)));
    CHECK(text_of(ldns_pkt_answer(soa.get())).find("SOA") != std::string::npos);
    auto srv = parsed(exchange(s->port(), write_query(11, "_http._tcp.web.demo.svc.cluster.local", 33)));
    CHECK(text_of(ldns_pkt_answer(srv.get())).find("SRV\t0 100 80 web.demo.svc.cluster.local.") != std::string::npos);
    CHECK(ldns_pkt_arcount(srv.get()) == 1);
  }
}

TEST_CASE("a long answer is cut over UDP, whole over TCP, and begins with another address each time") {
  auto s = start();
  auto q = write_query(1, "many.demo.svc.cluster.local", 1);
  auto cut = parsed(exchange_udp(s->port(), q));
  CHECK(ldns_pkt_tc(cut.get()));
  auto one = parsed(exchange_tcp(s->port(), q)), two = parsed(exchange_tcp(s->port(), q));
  CHECK(ldns_pkt_ancount(one.get()) == 100);
  CHECK(text_of(ldns_pkt_answer(one.get())) != text_of(ldns_pkt_answer(two.get())));
}

TEST_CASE("other names are asked of the upstream, and forged answers are not taken") {
  fake_upstream up;
  auto s = start({"127.0.0.1:" + std::to_string(up.port)});
  auto a = parsed(exchange_udp(s->port(), write_query(77, "www.example", 1)));
  CHECK(ldns_pkt_id(a.get()) == 77);
  CHECK(text_of(ldns_pkt_answer(a.get())).find("192.0.2.9") != std::string::npos);
  CHECK(s->counters().forwarded == 1);
}

TEST_CASE("the target of an ExternalName is in the same answer, from inside or from the upstream") {
  fake_upstream up;
  auto s = start({"127.0.0.1:" + std::to_string(up.port)});
  auto away =
      text_of(ldns_pkt_answer(parsed(exchange_udp(s->port(), write_query(1, "away.demo.svc.cluster.local", 1))).get()));
  CHECK(away.find("CNAME\taway.example.") != std::string::npos);
  CHECK(away.find("away.example.\t5\tIN\tA\t192.0.2.9") != std::string::npos);
  auto inside = text_of(
      ldns_pkt_answer(parsed(exchange_udp(s->port(), write_query(1, "inside.demo.svc.cluster.local", 1))).get()));
  CHECK(inside.find("A\t10.96.0.7") != std::string::npos);
  CHECK(up.asked == 1);
}

TEST_CASE("a dead upstream is passed over; with none left the answer is SERVFAIL") {
  fake_upstream mute, up;
  mute.silent = true;
  auto s = start({"127.0.0.1:" + std::to_string(mute.port), "127.0.0.1:" + std::to_string(up.port)});
  auto a = parsed(exchange_udp(s->port(), write_query(5, "www.example", 1)));
  CHECK(ldns_pkt_ancount(a.get()) == 1);
  CHECK(mute.asked == 1);
  auto alone = start({"127.0.0.1:1"}); // refused at once
  auto failed = parsed(exchange_udp(alone->port(), write_query(6, "www.example", 1)));
  CHECK(ldns_pkt_get_rcode(failed.get()) == LDNS_RCODE_SERVFAIL);
  CHECK(parsed(exchange_udp(alone->port(), write_query(6, "web.demo.svc.cluster.local", 1))) != nullptr);
}

TEST_CASE("a server whose only upstream is itself answers SERVFAIL instead of asking in circles") {
  int probe = loopback(SOCK_DGRAM, 0, true);
  auto port = port_of(probe);
  ::close(probe);
  dns_config c;
  c.address = "127.0.0.1";
  c.port = port;
  c.upstreams = {"127.0.0.1:" + std::to_string(port)};
  auto s = start_dns_server(c);
  if (!s) return; // someone took the port meanwhile
  auto failed = parsed(exchange_udp(port, write_query(6, "www.example", 1)));
  CHECK(ldns_pkt_get_rcode(failed.get()) == LDNS_RCODE_SERVFAIL);
  CHECK((*s)->counters().queries == 1);
  auto twice = start_dns_server(c);
  REQUIRE(twice.has_error());
  CHECK(twice.error().code == 503);
  CHECK(twice.error().message.find("in use") != std::string::npos);
}

TEST_CASE("hostile packets and half-sent messages do no harm") {
  auto s = start();
  std::mt19937 random{11};
  int udp = loopback(SOCK_DGRAM, s->port(), false);
  for (int i = 0; i < 2000; ++i) {
    dns_bytes junk(random() % 600);
    for (auto& b : junk)
      b = static_cast<std::uint8_t>(random());
    ::send(udp, junk.data(), junk.size(), 0);
  }
  ::close(udp);
  std::vector<int> open;
  for (int i = 0; i < 200; ++i) { // more than the server keeps
    int c = loopback(SOCK_STREAM, s->port(), false);
    ::send(c, "\xff", 1, MSG_NOSIGNAL);
    open.push_back(c);
  }
  auto a = parsed(exchange_udp(s->port(), write_query(7, "web.demo.svc.cluster.local", 1)));
  CHECK(ldns_pkt_ancount(a.get()) == 1);
  for (int c : open)
    ::close(c);
  // Two questions on one connection; then a message that is none ends it.
  int tcp = -1;
  dns_bytes first;
  for (int i = 0; i < 100 && first.empty(); ++i) { // the server frees the closed ones first
    if (tcp >= 0) ::close(tcp);
    tcp = loopback(SOCK_STREAM, s->port(), false);
    auto q = framed(write_query(1, "web.demo.svc.cluster.local", 1));
    ::send(tcp, q.data(), q.size(), MSG_NOSIGNAL);
    first = read_framed(tcp);
  }
  CHECK(!first.empty());
  auto q = framed(write_query(2, "web.demo.svc.cluster.local", 1));
  ::send(tcp, q.data(), q.size(), MSG_NOSIGNAL);
  CHECK(id_of(read_framed(tcp)) == 2);
  ::send(tcp, "\0\0", 2, MSG_NOSIGNAL);
  CHECK(read_framed(tcp).empty());
  ::close(tcp);
}

TEST_CASE("changes are seen by the next question") {
  auto s = start();
  dns_change c;
  c.put = dns_service{"demo", "late", "10.96.0.99", "", {}, {}};
  s->update({c});
  CHECK(ldns_pkt_ancount(parsed(exchange_udp(s->port(), write_query(7, "late.demo.svc.cluster.local", 1))).get()) == 1);
  dns_change gone;
  gone.removed = {"demo", "late"};
  s->update({gone});
  auto a = parsed(exchange_udp(s->port(), write_query(7, "late.demo.svc.cluster.local", 1)));
  CHECK(ldns_pkt_get_rcode(a.get()) == LDNS_RCODE_NXDOMAIN);
}

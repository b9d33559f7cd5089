#include "net/dns/dns_codec.hpp"
#include "net/dns/upstreams.hpp"

#include <doctest/doctest.h>
#include <random>

using namespace troupe::net;

namespace {

dns_bytes with_edns(dns_bytes q, std::uint16_t size, std::uint8_t version = 0) {
  q[11] = 1;
  for (int b : {0, 0, 41, size >> 8, size & 255, 0, static_cast<int>(version), 0, 0, 0, 0})
    q.push_back(static_cast<std::uint8_t>(b));
  return q;
}

dns_reply many_addresses(const std::string& name, int count) {
  dns_reply out;
  for (int i = 0; i < count; ++i) {
    dns_record r;
    r.name = name;
    r.address = static_cast<std::uint32_t>(i);
    out.records.push_back(r);
  }
  return out;
}

} // namespace

TEST_CASE("a query is read, and its name is compared without case") {
  dns_query q;
  REQUIRE(read_query(write_query(0x1234, "Web.Demo.SVC.cluster.local", 1), q) == dns_fault::none);
  CHECK(q.id == 0x1234);
  CHECK(q.name == "web.demo.svc.cluster.local");
  CHECK(q.type == 1);
  CHECK(q.recursion);
  CHECK(q.udp_bytes_max == 512);
  auto answer = write_reply(q, many_addresses(q.name, 1), "cluster.local", 512);
  CHECK(answers(answer, 0x1234, q.question));
  CHECK(std::string(answer.begin(), answer.end()).find("Web") != std::string::npos); // the asker's letter case
}

TEST_CASE("EDNS raises the size up to our bound and a strange version is refused") {
  dns_query q;
  REQUIRE(read_query(with_edns(write_query(1, "a.b", 1), 900), q) == dns_fault::none);
  CHECK(q.udp_bytes_max == 900);
  REQUIRE(read_query(with_edns(write_query(1, "a.b", 1), 65535), q) == dns_fault::none);
  CHECK(q.udp_bytes_max == 1232);
  REQUIRE(read_query(with_edns(write_query(1, "a.b", 1), 10), q) == dns_fault::none);
  CHECK(q.udp_bytes_max == 512);
  auto strange = with_edns(write_query(1, "a.b", 1), 900, 1);
  REQUIRE(read_query(strange, q) == dns_fault::bad_version);
  CHECK(refusal_of(strange, dns_fault::bad_version).size() == 23);
}

TEST_CASE("an answer that does not fit says so and is empty") {
  dns_query q;
  REQUIRE(read_query(write_query(1, "a.b", 1), q) == dns_fault::none);
  auto small = write_reply(q, many_addresses("a.b", 10), "cluster.local", 512);
  CHECK((small[2] & 2) == 0);
  CHECK(small[7] == 10);
  auto cut = write_reply(q, many_addresses("a.b", 100), "cluster.local", 512);
  CHECK((cut[2] & 2) == 2);
  CHECK(cut[7] == 0);
  CHECK(write_reply(q, many_addresses("a.b", 5000), "cluster.local", 65535).size() <= 65535);
}

TEST_CASE("what is not a question is dropped or refused by its kind") {
  dns_query q;
  CHECK(read_query({}, q) == dns_fault::drop);
  CHECK(read_query(dns_bytes(11, 0), q) == dns_fault::drop);
  auto answer = write_query(1, "a.b", 1);
  answer[2] |= 0x80;
  CHECK(read_query(answer, q) == dns_fault::drop);
  CHECK(read_query(dns_bytes(12, 0), q) == dns_fault::format_error);
  auto update = write_query(1, "a.b", 1);
  update[2] = 5 << 3;
  CHECK(read_query(update, q) == dns_fault::not_implemented);
  auto chaos = write_query(1, "a.b", 1);
  chaos.back() = 3;
  CHECK(read_query(chaos, q) == dns_fault::refused);
  CHECK(read_query(write_query(1, "a.b", 252), q) == dns_fault::refused);
  auto two = write_query(1, "a.b", 1);
  two[5] = 2;
  CHECK(read_query(two, q) == dns_fault::format_error);
  auto loop = write_query(1, "a.b", 1);
  loop[12] = 0xc0; // a compressed name that points to itself
  loop[13] = 12;
  CHECK(read_query(loop, q) == dns_fault::format_error);
  CHECK(refusal_of(loop, dns_fault::format_error).size() == 12);
}

TEST_CASE("a name of strange bytes is no name of ours") {
  auto packet = write_query(1, "a.demo.svc.cluster.local", 1);
  packet[13] = '.'; // a dot inside a label
  dns_query q;
  REQUIRE(read_query(packet, q) == dns_fault::none);
  CHECK(q.name == "?.demo.svc.cluster.local");
}

TEST_CASE("no packet, cut or changed anywhere, harms the reader") {
  std::mt19937 random{7};
  auto good = with_edns(write_query(1, "web.demo.svc.cluster.local", 33), 1232);
  for (std::size_t cut = 0; cut <= good.size(); ++cut) {
    dns_query q;
    read_query({good.data(), cut}, q);
  }
  for (int round = 0; round < 20000; ++round) {
    auto bad = good;
    for (int i = 0; i < 3; ++i)
      bad[random() % bad.size()] = static_cast<std::uint8_t>(random());
    dns_query q;
    auto fault = read_query(bad, q);
    if (fault == dns_fault::none)
      CHECK(!write_reply(q, {}, "cluster.local", 512).empty());
    else
      refusal_of(bad, fault);
    dns_reply merged;
    merged.appended = bad;
    REQUIRE(read_query(good, q) == dns_fault::none);
    write_reply(q, merged, "cluster.local", 512);
  }
}

TEST_CASE("upstreams come from resolv.conf without this server itself") {
  auto all = parse_resolv_conf("# x\nnameserver 192.0.2.1\nsearch a b\nnameserver ::1\n  nameserver 192.0.2.2\n"
                               "nameserver 192.0.2.1\nnameserver\nnameserver 1.1.1.1\nnameserver 8.8.8.8\n");
  REQUIRE(all.size() == 3);
  CHECK(all[1].address == "192.0.2.2");
  auto left = without_loops(all, {{"192.0.2.1", 53}, {"192.0.2.2", 5353}});
  REQUIRE(left.size() == 2);
  CHECK(left[0].address == "192.0.2.2");
  auto given = parse_upstreams({"192.0.2.1:5300", "nonsense", "192.0.2.1:0", "192.0.2.1:99999", "192.0.2.1:5x"});
  REQUIRE(given.size() == 1);
  CHECK(given[0].port == 5300);
}

#include "actors/link/mesh_limits.hpp"
#include "net/link/limits.hpp"
#include "tests/unit/link/mesh_lab.hpp"

#include <doctest/doctest.h>

#include <atomic>

using namespace troupe;
using namespace troupe::test;
using namespace std::chrono_literals;

namespace {

mesh_hello hello_of(std::uint64_t member, const std::string& name) {
  mesh_hello h;
  h.protocol = limits::mesh::protocol_version;
  h.version = "0.1.0";
  h.cluster_id = lab_cluster();
  h.name = name;
  h.member = store::member_id{member};
  h.life = 1000 + member;
  return h;
}

identity certificate_of(const std::string& name) {
  identity who;
  who.user = master_user(name);
  who.groups = {"system:troupe-masters", "system:authenticated"};
  return who;
}

const std::vector<mesh_peer> known{{store::member_id{1}, "m1", "10.0.0.1", 6444},
                                   {store::member_id{3}, "m3", "", 6444}};

std::string judged(const mesh_hello& theirs, const identity& certificate) {
  return refuse_hello(hello_of(2, "m2"), known, theirs, &certificate);
}

/// What a raw client that says `h` with the certificate of `as` hears from `at`.
mesh_answer say(const lab_master& at, const mesh_hello& h, const std::string& as) {
  auto tls = link::make_session_tls(lab_pki().ca_pem, tls::issue_master(lab_pki(), as).value()).value();
  const auto by = std::chrono::steady_clock::now() + 10s;
  auto s = link::dial(
      {.address = "127.0.0.1", .port = at.mesh->port(), .tls = tls, .protocol = link::masters_protocol, .by = by});
  REQUIRE_MESSAGE(s.has_value(), s.error().message);
  REQUIRE(link::write_frame(*s, encode_hello(h), by).has_value());
  auto bytes = link::read_frame(*s, limits::hello_bytes_max, by);
  REQUIRE_MESSAGE(bytes.has_value(), bytes.error().message);
  mesh_answer a;
  REQUIRE(decode_answer(*bytes, a));
  return a;
}

} // namespace

TEST_CASE("a hello and its answer survive the wire; what is none is refused") {
  auto h = hello_of(7, "m7");
  h.life = ~0ull;
  h.store = "abc";
  mesh_hello back;
  REQUIRE(decode_hello(encode_hello(h), back));
  CHECK(back.life == h.life);
  CHECK(back.member == h.member);
  CHECK(back.name == "m7");
  CHECK(back.store == "abc");
  mesh_answer a{"no", h, 5}, got;
  REQUIRE(decode_answer(encode_answer(a), got));
  CHECK(got.refusal == "no");
  CHECK(got.link == 5);
  for (const char* bad : {"", "{", "[]", "{}", "null", "{\"protocol\":-1}", "{\"protocol\":1,\"member\":\"x\"}"})
    CHECK_FALSE(decode_hello(bad, back));
}

TEST_CASE("a good hello is taken") {
  CHECK(judged(hello_of(1, "m1"), certificate_of("m1")).empty());
  CHECK(refuse_hello(hello_of(2, "m2"), known, hello_of(3, "m3"), nullptr).empty());
}

TEST_CASE("each refusal names both sides and what to do") {
  auto other = hello_of(1, "m1");
  other.cluster_id = "beef00";
  CHECK(
      judged(other, certificate_of("m1")) ==
      "master \"m1\" belongs to cluster \"beef00\" and master \"m2\" to cluster \"c0ffee\"; one of them has the wrong "
      "data directory or the wrong address of a master");
  other.cluster_id = "\xc3\x28\n\x1b[31m\"";
  CHECK(judged(other, certificate_of("m1")).find("cluster \"?(??[31m?\" and") != std::string::npos);
  auto newer = hello_of(1, "m1");
  newer.protocol = 9;
  newer.version = "0.9.0";
  CHECK(judged(newer, certificate_of("m1")) ==
        "master \"m1\" (troupe 0.9.0) speaks version 9 of the masters' protocol and master \"m2\" (troupe 0.1.0) "
        "version " +
            std::to_string(limits::mesh::protocol_version) + "; run the same release on both");
  CHECK(
      judged(hello_of(1, "m1"), certificate_of("m3")) ==
      "who calls itself master \"m1\" has a certificate of \"system:troupe-master:m3\", and master \"m2\" expects one "
      "of \"system:troupe-master:m1\"; give that master the certificate made for its name");
  identity node;
  node.user = "system:node:m1";
  node.groups = {"system:nodes"};
  CHECK(judged(hello_of(1, "m1"), node).find("has a certificate of \"system:node:m1\"") != std::string::npos);
  auto groupless = certificate_of("m1");
  groupless.groups = {"system:authenticated"};
  CHECK_FALSE(judged(hello_of(1, "m1"), groupless).empty());
  CHECK(judged(hello_of(9, "m9"), certificate_of("m9")) ==
        "master \"m9\" says that it is member 9, which master \"m2\" does not know as a member of the group; add it "
        "with 'troupe master add'");
  CHECK(judged(hello_of(3, "m1"), certificate_of("m1")).find("knows member 3 as \"m3\"") != std::string::npos);
  auto twin = hello_of(2, "mX");
  twin.life = 5;
  CHECK(judged(twin, certificate_of("mX")).find("a name and a data directory of its own") != std::string::npos);
  auto self = hello_of(2, "m2");
  CHECK(judged(self, certificate_of("m2")).find("dialed itself") != std::string::npos);
  CHECK(refuse_duplicate(hello_of(2, "m2"), hello_of(1, "m1"), 1001).empty());
  CHECK(refuse_duplicate(hello_of(2, "m2"), hello_of(1, "m1"), 5).find("two processes must not run with one name") !=
        std::string::npos);
  CHECK(refuse_answer(hello_of(2, "m2"), known[1], hello_of(1, "m1"), nullptr).find("answered; correct the address") !=
        std::string::npos);
}

TEST_CASE("masters of two clusters refuse each other, and both say so") {
  lab_master one{1, [](mesh_options&o) { o.cluster_id = "beef00"; }}, two{2};
  one.start({two.address()});
  two.start({one.address()});
  REQUIRE(one.wait_error(2, "belongs to cluster \"beef00\" and master \"m2\" to cluster \"c0ffee\""));
  CHECK_FALSE(one.status(2).connected);
  CHECK(two.mesh->listener().established >= 1);
}

TEST_CASE("a master with another's certificate is refused") {
  lab_master one{1, [](mesh_options&o) { o.own = tls::issue_master(lab_pki(), "m7").value(); }}, two{2};
  one.start({two.address()});
  two.start({one.address()});
  REQUIRE(one.wait_error(2, "has a certificate of \"system:troupe-master:m7\""));
}

TEST_CASE("the dialer refuses an acceptor with the wrong certificate as well") {
  lab_master one{1}, two{2, [](mesh_options&o) { o.own = tls::issue_master(lab_pki(), "m7").value(); }};
  one.start({two.address()});
  two.start({one.address()});
  REQUIRE(one.wait_error(2, "who calls itself master \"m2\" has a certificate of \"system:troupe-master:m7\""));
}

TEST_CASE("a worker's certificate does not serve as a master's, in either role") {
  const auto worker = tls::issue_client(lab_pki(), "system:node:m2", {"system:nodes"}).value();
  lab_master one{1}, two{2, [&](mesh_options&o) { o.own = worker; }};
  one.start({two.address()});
  two.start({one.address()});
  REQUIRE(one.wait_error(2, "TLS handshake failed"));
  CHECK_FALSE(one.status(2).connected);
}

TEST_CASE("a second process with the name of a linked master is refused while the first lives") {
  lab_master one{1}, two{2};
  REQUIRE(link_all({&one, &two}));
  lab_master twin{1};
  twin.start({two.address()});
  REQUIRE(
      twin.wait_error(2, "another process that calls itself master \"m1\" (member 1) is linked with master \"m2\""));
  CHECK(one.status(2).connected);
  CHECK(one.status(2).links == 1);
}

TEST_CASE("versions, unknown members and wrong numbers are refused on the wire") {
  lab_master two{2};
  two.start({known[0], known[1]});
  auto newer = hello_of(1, "m1");
  newer.protocol = limits::mesh::protocol_version + 1;
  CHECK(say(two, newer, "m1").refusal.find("run the same release on both") != std::string::npos);
  CHECK(say(two, hello_of(9, "m9"), "m9").refusal.find("add it with 'troupe master add'") != std::string::npos);
  CHECK(say(two, hello_of(3, "m3"), "m3").refusal.find("the one with the lower member id dials") != std::string::npos);
  const auto good = say(two, hello_of(1, "m1"), "m1");
  CHECK(good.refusal.empty());
  CHECK(good.link != 0);
  CHECK(good.hello.name == "m2");
}

TEST_CASE("the store's own opinion counts: a stale data directory is refused with its sentence") {
  lab_master one{1, [](mesh_options& o) { o.store = "old"; }};
  lab_master two{2, [](mesh_options& o) {
                   o.judge = [](const mesh_hello& h) {
                     return h.store == "old" ? "master \"m1\" holds a data directory that was replaced" : std::string{};
                   };
                 }};
  one.start({two.address()});
  two.start({one.address()});
  REQUIRE(one.wait_error(2, "a data directory that was replaced"));
}

TEST_CASE("a master that comes back with another data directory is refused, whoever dials") {
  const auto with = [](const std::string& store) { return [store](mesh_options& o) { o.store = store; }; };
  auto one = std::make_unique<lab_master>(1, with("a"));
  lab_master two{2, with("b")};
  auto three = std::make_unique<lab_master>(3, with("c"));
  REQUIRE(link_all({one.get(), &two, three.get()}));
  const auto port = three->mesh->port();
  one.reset();
  three.reset();
  REQUIRE(two.wait_linked(1, false));
  REQUIRE(two.wait_linked(3, false));
  one = std::make_unique<lab_master>(1, with("wiped"));
  one->start({two.address()});
  REQUIRE(one->wait_error(2, "comes with the data directory \"wiped\", and master \"m2\" knows it with \"a\""));
  three = std::make_unique<lab_master>(3, [&](mesh_options& o) {
    o.store = "new";
    o.port = port;
  });
  three->start({two.address()});
  REQUIRE(two.wait_error(3, "comes with the data directory \"new\", and master \"m2\" knows it with \"c\""));
}

TEST_CASE("who says hello and then nothing keeps no link, and the real master gets one") {
  lab_master one{1}, two{2};
  two.start({one.address()});
  auto h = hello_of(1, "m1");
  h.life = 77;
  const auto a = say(two, h, "m1"); // and hangs up before BASP has begun
  CHECK(a.refusal.empty());
  one.start({two.address()});
  REQUIRE(one.wait_linked(2));
  REQUIRE(two.wait_linked(1));
}

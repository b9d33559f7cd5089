// What travels between workers and masters, and what must not get through.
#include "actors/link/link_codec.hpp"
#include "actors/link/link_limits.hpp"

#include <doctest/doctest.h>

#include <random>

using namespace troupe;
using namespace troupe::link;

namespace {

store::object_ptr object(std::string ns, std::string name, store::revision mod) {
  auto o = std::make_shared<store::object>();
  o->ns = std::move(ns);
  o->name = std::move(name);
  o->mod = mod;
  o->created = mod - 1;
  o->bytes = R"({"metadata":{"resourceVersion":"7"}})";
  o->rv_offset = 32;
  return o;
}

/// One of each, with every member set to something.
std::vector<message> samples() {
  std::vector<message> all;
  all.emplace_back(hello{1, "abc123", "w1", "v1", 42});
  all.emplace_back(welcome{1, "abc123", "m1", "v1", {true, "", 9}, {{"m1", "10.0.0.1", 6444}, {"m2", "10.0.0.2", 1}}});
  all.emplace_back(refused{"no"});
  all.emplace_back(bye{"later"});
  all.emplace_back(masters_list{{{"m3", "::1", 65535}}});
  all.emplace_back(master_state{false, "it knows no leader", 77});
  auto r = std::make_shared<request>();
  r->what = verb::patch;
  r->version = "v1";
  r->plural = "pods";
  r->ns = "default";
  r->name = "p";
  r->subresource = "status";
  r->query = {{"dryRun", "All"}};
  r->content_type = "application/merge-patch+json";
  r->user_agent = "kubelet";
  r->body = std::string(R"({"status":{}})");
  all.emplace_back(call{5, component::dns, r});
  auto res = std::make_shared<response>();
  res->code = 201;
  res->headers = {{"Warning", "299 - x"}};
  res->object = object("default", "p", 8);
  all.emplace_back(answer{5, res});
  auto failed = std::make_shared<response>();
  auto s = errors::invalid("Pod", "", "p", {field::required("spec.containers")});
  s.retry_after_s = 3;
  failed->code = 422;
  failed->error = std::make_shared<const status>(s);
  all.emplace_back(answer{6, failed});
  all.emplace_back(subscribe{3, 1ull << 40, 127, -1});
  all.emplace_back(unsubscribe{});
  all.emplace_back(credit{1 << 20});
  all.emplace_back(feed_begin{3, 127});
  all.emplace_back(table_begin{"secrets"});
  all.emplace_back(table_objects{{object("a", "b", 3), object("", "n", 4)}});
  all.emplace_back(table_end{});
  all.emplace_back(feed_events{{{store::event_type::deleted, "pods", 12, object("a", "b", 12)}}});
  all.emplace_back(feed_commit{12});
  all.emplace_back(ping{});
  all.emplace_back(pong{});
  open_stream o;
  o.what = open_stream::kind::exec;
  o.ns = "default";
  o.pod = "p";
  o.container = "c";
  o.command = {"sh", "-c", "echo hi"};
  o.in = o.tty = true;
  o.tail_lines = -1;
  o.since_seconds = 1ll << 40;
  o.port = 8080;
  all.emplace_back(stream_open{9, o});
  all.emplace_back(stream_answer{9, std::make_shared<const status>(errors::unavailable("no"))});
  all.emplace_back(stream_answer{9, nullptr});
  all.emplace_back(stream_piece{9, {2, std::string("\0bytes", 6), true}});
  all.emplace_back(stream_next{9, 8});
  all.emplace_back(stream_input{9, 4, "{}"});
  all.emplace_back(stream_drained{9, 65536});
  all.emplace_back(stream_close_input{9});
  all.emplace_back(stream_close{9});
  all.emplace_back(stats_question{10});
  all.emplace_back(stats_answer{10, "{}"});
  all.emplace_back(start_over{3, 1ull << 50, 1ull << 51});
  return all;
}

} // namespace

TEST_CASE("every message survives the way there") {
  std::vector<bool> seen(std::variant_size_v<message>);
  for (const auto& m : samples()) {
    seen[m.index()] = true;
    const auto payload = encode_payload(m);
    CHECK(payload_bytes_max(static_cast<std::uint8_t>(payload[0])) > 0);
    auto back = decode_payload(payload);
    REQUIRE_MESSAGE(back.has_value(), name_of(static_cast<std::uint8_t>(m.index() + 1)));
    CHECK(back->index() == m.index());
    CHECK(encode_payload(*back) == payload);
    CHECK(encode_frame(m).substr(4) == payload);
  }
  for (bool one : seen)
    CHECK(one);
}

TEST_CASE("a request keeps what counts and loses who asks and its fence") {
  auto r = std::make_shared<request>();
  r->who.user = "system:admin";
  r->who.groups = {"system:masters"};
  r->fence_term = 9;
  r->what = verb::create;
  r->plural = "nodes";
  r->body = std::make_shared<const json::value>(json::parse(R"({"metadata":{"name":"n"}})"));
  auto back = decode_payload(encode_payload(call{1, component::self, r}));
  REQUIRE(back.has_value());
  const auto& got = *std::get<call>(*back).req;
  CHECK(got.who.user.empty());
  CHECK(got.who.groups.empty());
  CHECK(got.fence_term == 0);
  CHECK(std::get<std::string>(got.body) == R"({"metadata":{"name":"n"}})");
}

TEST_CASE("a message that is cut anywhere, or longer than it says, is refused") {
  for (const auto& m : samples()) {
    const auto payload = encode_payload(m);
    for (std::size_t n = 0; n < payload.size(); ++n)
      CHECK_FALSE(decode_payload(std::string_view(payload).substr(0, n)).has_value());
    CHECK_FALSE(decode_payload(payload + "x").has_value());
  }
}

TEST_CASE("nonsense never makes room for more than it carries") {
  // A list of 2^60 events in a message of a few bytes; a text longer than its message.
  std::string many(1, static_cast<char>(type_of<feed_events>()));
  many += std::string("\xff\xff\xff\xff\xff\xff\xff\xff\x0f", 9);
  CHECK_FALSE(decode_payload(many).has_value());
  std::string text(1, static_cast<char>(type_of<refused>()));
  text += std::string("\xff\xff\x7f", 3) + "short";
  CHECK_FALSE(decode_payload(text).has_value());
  CHECK_FALSE(decode_payload(std::string(1, '\xfe')).has_value());
  std::mt19937 random{5};
  for (int i = 0; i < 20000; ++i) {
    auto payload = encode_payload(samples()[random() % samples().size()]);
    for (unsigned k = 0; k < 1 + random() % 4; ++k)
      payload[random() % payload.size()] = static_cast<char>(random());
    if (auto m = decode_payload(payload)) (void)encode_payload(*m);
  }
}

TEST_CASE("each side may send only what is its part") {
  CHECK(may_send(side::client, type_of<call>()));
  CHECK_FALSE(may_send(side::master, type_of<call>()));
  CHECK(may_send(side::master, type_of<feed_events>()));
  CHECK_FALSE(may_send(side::client, type_of<feed_events>()));
  CHECK_FALSE(may_send(side::client, type_of<hello>())); // only as the first frame, before the session stands
  CHECK_FALSE(may_send(side::client, type_of<stream_open>()));
  CHECK_FALSE(may_send(side::client, 0));
  CHECK_FALSE(may_send(side::client, 200));
}

// Logs, exec and stats of a worker's pods through a master; and peers that do not behave.
#include "actors/link/frame_loop.hpp"
#include "actors/link/kubelet_link.hpp"
#include "actors/link/link_limits.hpp"
#include "tests/support/api_lab.hpp"
#include "tests/unit/link/link_lab.hpp"

#include <doctest/doctest.h>

#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <condition_variable>
#include <deque>

using namespace troupe;
using namespace troupe::link;
using namespace std::chrono_literals;
using test::comes_true;
using test::lab_door;
using test::lab_worker;
using test::link_lab;

namespace {

/// A container's side: endless numbered lines when it is a log, else an echo that can refuse to take input.
class fake_stream final : public pod_stream, public std::enable_shared_from_this<fake_stream> {
public:
  explicit fake_stream(bool log) : log_(log) {}
  void next(std::function<void(stream_chunk)> got) override {
    std::unique_lock lock(mutex_);
    ++asked;
    if (log_) {
      const auto n = asked.load();
      lock.unlock();
      return got({1, "line " + std::to_string(n) + "\n", false});
    }
    want_ = std::move(got);
    turn(lock);
  }
  bool write(int channel, std::string bytes, std::function<void()> drained) override {
    std::unique_lock lock(mutex_);
    taken += bytes.size();
    if (stuck) {
      drained_ = std::move(drained);
      return false;
    }
    ready_.push_back({channel == 4 ? 2 : 1, std::move(bytes), false});
    turn(lock);
    return true;
  }
  void close_stdin() override {
    std::unique_lock lock(mutex_);
    ready_.push_back({3, R"({"status":"Success"})", true});
    turn(lock);
  }
  void close() override { closed = true; }
  void unstick() {
    std::function<void()> go;
    {
      std::lock_guard lock(mutex_);
      stuck = false;
      go = std::exchange(drained_, nullptr);
    }
    if (go) go();
  }

  std::atomic<int> asked{0};
  std::atomic<std::size_t> taken{0};
  std::atomic<bool> closed{false}, stuck{false};

private:
  void turn(std::unique_lock<std::mutex>& lock) {
    if (!want_ || ready_.empty()) return;
    auto got = std::exchange(want_, nullptr);
    auto c = std::move(ready_.front());
    ready_.pop_front();
    lock.unlock();
    got(std::move(c));
  }
  const bool log_;
  std::mutex mutex_;
  std::deque<stream_chunk> ready_;
  std::function<void(stream_chunk)> want_;
  std::function<void()> drained_;
};

struct stage {
  std::mutex mutex;
  std::vector<std::shared_ptr<fake_stream>> streams;
  std::shared_ptr<fake_stream> last() {
    std::lock_guard lock(mutex);
    return streams.empty() ? nullptr : streams.back();
  }
};

kubelet_actor::behavior_type stage_kubelet(std::shared_ptr<stage> s) {
  return {[s](const open_stream_ptr& o) {
            auto r = std::make_shared<stream_opened>();
            if (o->container == "broken") {
              r->error = std::make_shared<const status>(errors::bad_request("container is waiting to start"));
            } else {
              auto made = std::make_shared<fake_stream>(o->what == open_stream::kind::logs);
              std::lock_guard lock(s->mutex);
              s->streams.push_back(made);
              r->stream = made;
            }
            return stream_opened_ptr(std::move(r));
          },
          [](node_stats_atom) { return std::string(R"({"node":"w1"})"); }};
}

stream_opened_ptr ask_door(link_lab& lab, lab_door& via, const std::string& node, open_stream o) {
  caf::scoped_actor self{*lab.system};
  stream_opened_ptr out;
  self->request(*via.doors->find(node), 20s, std::make_shared<const open_stream>(std::move(o)))
      .receive([&](const stream_opened_ptr& got) { out = got; }, [](caf::error&) {});
  REQUIRE(out);
  return out;
}

struct stream_lab {
  stream_lab() : m1(lab, "m1"), m2(lab, "m2"), w(lab, "w1", {m1.address(), m2.address()}) {
    kubelet = lab.system->spawn(stage_kubelet, on);
    w.link.link->serve(kubelet);
    w.link.ready.wait();
    REQUIRE(comes_true([&] { return m1.doors->find("w1") && m2.doors->find("w1"); }));
  }
  ~stream_lab() {
    w.link.link->stop();
    caf::anon_send_exit(kubelet, caf::exit_reason::user_shutdown);
  }
  stream_opened_ptr open(lab_door& via, open_stream o) { return ask_door(lab, via, "w1", std::move(o)); }
  link_lab lab;
  lab_door m1, m2;
  lab_worker w;
  std::shared_ptr<stage> on = std::make_shared<stage>();
  kubelet_actor kubelet;
};

stream_chunk next_of(const pod_stream_ptr& s) {
  std::promise<stream_chunk> p;
  auto f = p.get_future();
  s->next([&](stream_chunk c) { p.set_value(std::move(c)); });
  return f.get();
}

} // namespace

TEST_CASE("streams of a worker's pods are had from any master") {
  stream_lab l;
  open_stream o;
  o.what = open_stream::kind::exec;
  o.container = "c";
  o.in = true;
  for (auto* via : {&l.m1, &l.m2}) {
    auto opened = l.open(*via, o);
    REQUIRE(opened->stream);
    CHECK(opened->stream->write(0, "hello", nullptr));
    CHECK(next_of(opened->stream).bytes == "hello");
    opened->stream->write(4, R"({"Width":80})", nullptr);
    auto resized = next_of(opened->stream);
    CHECK(resized.channel == 2);
    opened->stream->close_stdin();
    auto last = next_of(opened->stream);
    CHECK(last.end);
    CHECK(last.channel == 3);
    CHECK(last.bytes.find("Success") != std::string::npos);
  }
  o.container = "broken";
  auto refused = l.open(l.m1, o);
  REQUIRE(refused->error);
  CHECK(refused->error->message == "container is waiting to start");
}

TEST_CASE("a log that nobody reads is not produced") {
  stream_lab l;
  open_stream o;
  o.what = open_stream::kind::logs;
  auto opened = l.open(l.m1, o);
  REQUIRE(opened->stream);
  REQUIRE(comes_true([&] { return l.on->last()->asked == static_cast<int>(limits::link::stream_chunks); }));
  for (int i = 1; i <= 100; ++i)
    REQUIRE(next_of(opened->stream).bytes == "line " + std::to_string(i) + "\n");
  REQUIRE(comes_true([&] { return l.on->last()->asked == 100 + static_cast<int>(limits::link::stream_chunks); }));
  opened->stream->close();
  REQUIRE(comes_true([&] { return l.on->last()->closed.load(); }));
}

TEST_CASE("input that a container does not take holds the writer back") {
  stream_lab l;
  open_stream o;
  o.what = open_stream::kind::exec;
  o.in = true;
  auto opened = l.open(l.m1, o);
  REQUIRE(opened->stream);
  l.on->last()->stuck = true;
  std::atomic<bool> drained{false};
  std::size_t sent = 0;
  bool room = true;
  while (room && sent < 64 * limits::link::stream_write_bytes_max) {
    room = opened->stream->write(0, std::string(100000, 'x'), [&] { drained = true; });
    sent += 100000;
  }
  CHECK_FALSE(room);
  CHECK(sent <= limits::link::stream_write_bytes_max + 100000);
  REQUIRE(comes_true([&] { return l.on->last()->taken == sent; }));
  CHECK_FALSE(drained);
  l.on->last()->unstick();
  REQUIRE(comes_true([&] { return drained.load(); }));
}

TEST_CASE("when a worker is lost its streams end with a reason, and its door is gone") {
  stream_lab l;
  open_stream o;
  o.what = open_stream::kind::attach;
  auto opened = l.open(l.m1, o);
  REQUIRE(opened->stream);
  std::promise<stream_chunk> p;
  opened->stream->next([&](stream_chunk c) { p.set_value(std::move(c)); });
  auto worker_end = l.on->last();
  l.w.link.link->stop();
  auto last = p.get_future().get();
  CHECK(last.end);
  CHECK(last.channel == 3);
  CHECK(last.bytes.find("session with node w1 ended") != std::string::npos);
  REQUIRE(comes_true([&] { return !l.m1.doors->find("w1"); }));
  REQUIRE(comes_true([&] { return worker_end->closed.load(); }));
}

TEST_CASE("stats of a node come through its session") {
  stream_lab l;
  caf::scoped_actor self{*l.lab.system};
  std::string text;
  self->request(*l.m2.doors->find("w1"), 20s, node_stats_atom::value)
      .receive([&](const std::string& t) { text = t; }, [](caf::error&) {});
  CHECK(text == R"({"node":"w1"})");
}

TEST_CASE("the kubelet of a node that is a master is had from the other masters, and from them alone over a link") {
  link_lab lab;
  lab_door m1(lab, "m1");
  auto m2 = std::make_unique<lab_door>(lab, "m2");
  lab_door m3(lab, "m3");
  auto on = std::make_shared<stage>();
  kubelet_actor kubelet = lab.system->spawn(stage_kubelet, on);
  m1.doors->enter("m1", kubelet); // as its own master part does
  kubelet_link_options options;
  options.tls = lab.node_tls("m1");
  options.node_name = "m1";
  options.cluster_id = "abc123";
  options.is_master = [](const identity& peer, const std::string& master) {
    return peer.user == tls::master_user_prefix + master;
  };
  auto link = std::make_shared<kubelet_link>(*lab.system, std::move(options));
  link->serve(kubelet);
  link->set_masters({m1.address(), m2->address()});
  open_stream o;
  o.what = open_stream::kind::exec;
  o.in = true;
  auto answers_at = [&](lab_door& via) {
    REQUIRE(comes_true([&] { return via.doors->find("m1").has_value(); }));
    auto opened = ask_door(lab, via, "m1", o);
    REQUIRE(opened->stream);
    CHECK(opened->stream->write(0, "hello", nullptr));
    CHECK(next_of(opened->stream).bytes == "hello");
    return opened->stream;
  };
  answers_at(*m2);
  link->set_masters({m1.address(), m2->address(), m3.address()}); // one more joins the group
  auto open = answers_at(m3);
  CHECK(m1.sessions->connected().empty()); // it is its own
  m2.reset();                              // another master goes: what runs elsewhere goes on
  CHECK(open->write(0, "still", nullptr));
  CHECK(next_of(open).bytes == "still");
  link->stop();
  const auto last = next_of(open);
  CHECK(last.end);
  CHECK(last.bytes.find("session with node m1 ended") != std::string::npos);
  REQUIRE(comes_true([&] { return !m3.doors->find("m1"); }));
  caf::anon_send_exit(kubelet, caf::exit_reason::user_shutdown);
}

// ---------------------------------------------------------------- peers that do not behave

namespace {

/// A session that says hello as it should, and then what the test wants.
session raw_session(link_lab& lab, lab_door& door, const std::string& node) {
  dial_options d;
  d.address = "127.0.0.1";
  d.port = door.address().port;
  d.tls = lab.node_tls(node);
  d.by = std::chrono::steady_clock::now() + 20s;
  auto s = dial(d).value();
  REQUIRE(
      write_frame(s, encode_payload(hello{limits::link::protocol_version, "abc123", node, "t", 1}), d.by).has_value());
  auto w = read_frame(s, 1 << 20, d.by);
  REQUIRE(w.has_value());
  REQUIRE(std::holds_alternative<welcome>(decode_payload(*w).value()));
  return s;
}

/// True when the master ends the session. What it still says is read and thrown away.
bool ends(session& s) {
  for (;;) {
    auto f = read_frame(s, 4 << 20, std::chrono::steady_clock::now() + 20s);
    if (!f) return f.error().message.find("in time") == std::string::npos;
  }
}

deadline soon() { return std::chrono::steady_clock::now() + 20s; }

} // namespace

TEST_CASE("frames that break the rules end their session and no other") {
  link_lab lab;
  lab_door m1(lab, "m1");
  lab_worker good(lab, "good", {m1.address()});
  good.link.ready.wait();
  const std::vector<std::string> wrong{
      std::string("\xff", 1),                             // no such type
      encode_payload(feed_commit{5}),                     // the master's to send
      encode_payload(hello{1, "abc123", "w1", "t", 1}),   // once is enough
      std::string(1, static_cast<char>(type_of<call>())), // cut short
      std::string(1, static_cast<char>(type_of<credit>())) + std::string(100, '\x80'),
      encode_payload(stream_piece{77, {1, std::string(300 * 1024, 'x'), false}}), // longer than its kind may be
  };
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    auto s = raw_session(lab, m1, "w1");
    // A frame that is refused by its length ends the session before it is written whole.
    CHECK_MESSAGE((!write_frame(s, wrong[i], soon()).has_value() || ends(s)), i);
    REQUIRE(comes_true([&] { return m1.sessions->connected() == std::vector<std::string>{"good"}; }));
  }
  // A length that promises gigabytes.
  auto s = raw_session(lab, m1, "w1");
  const std::string huge("\x7f\xff\xff\xff\x07", 5);
  REQUIRE(s.write_some(huge.data(), huge.size()).bytes == huge.size());
  CHECK(ends(s));
  lab.make("services", "default", R"({"metadata":{"name":"s"},"spec":{"clusterIP":"None","ports":[{"port":80}]}})");
  REQUIRE(comes_true([&] { return good.sees("services", "default", "s"); }));
}

TEST_CASE("a worker that takes nothing in gets its credit and not a byte more") {
  link_lab lab;
  lab_door m1(lab, "m1");
  const std::string filler(40000, 'x');
  for (int i = 0; i < 30; ++i)
    lab.make("services", "default",
             R"({"metadata":{"name":"s)" + std::to_string(i) + R"(","annotations":{"a":")" + filler +
                 R"("}},"spec":{"clusterIP":"None","ports":[{"port":80}]}})");
  auto s = raw_session(lab, m1, "w1");
  constexpr std::int64_t credit_bytes = 200000;
  REQUIRE(write_frame(s, encode_payload(subscribe{1, 0, 0, credit_bytes}), soon()).has_value());
  std::int64_t got = 0, objects = 0;
  bool committed = false;
  auto read_on = [&](std::int64_t until) {
    while (!committed && got < until) {
      auto f = read_frame(s, 4 << 20, soon());
      REQUIRE(f.has_value());
      auto m = decode_payload(*f).value();
      if (std::holds_alternative<ping>(m) || std::holds_alternative<master_state>(m)) continue;
      got += static_cast<std::int64_t>(f->size()) + 4;
      if (auto* o = std::get_if<table_objects>(&m)) objects += static_cast<std::int64_t>(o->objects.size());
      committed = std::holds_alternative<feed_commit>(m);
    }
  };
  read_on(credit_bytes);
  CHECK_FALSE(committed);
  CHECK(got < credit_bytes + 80000); // the frame that used it up may be larger than what was left
  // Nothing more comes until there is credit: what comes next is the answer to a question.
  auto r = std::make_shared<request>(test::request_of(verb::get, "nodes", "", "w1"));
  REQUIRE(write_frame(s, encode_payload(call{9, component::self, r}), soon()).has_value());
  for (;;) {
    auto m = decode_payload(read_frame(s, 4 << 20, soon()).value()).value();
    if (std::holds_alternative<ping>(m)) continue;
    REQUIRE(std::holds_alternative<answer>(m));
    break;
  }
  REQUIRE(write_frame(s, encode_payload(credit{10 << 20}), soon()).has_value());
  read_on(1ll << 40);
  CHECK(committed);
  CHECK(objects > 30);
}

TEST_CASE("a peer that asks and does not listen is closed, and the master's memory stays bounded") {
  link_lab lab;
  lab_door m1(lab, "m1");
  lab.make("configmaps", "default",
           R"({"metadata":{"name":"big"},"data":{"k":")" + std::string(900000, 'x') + R"("}})");
  lab.pod("p", "w1", R"("volumes":[{"name":"v","configMap":{"name":"big"}}],)");
  auto s = raw_session(lab, m1, "w1");
  auto r = std::make_shared<request>(test::request_of(verb::get, "configmaps", "default", "big"));
  // More answers than the master keeps for anybody, and not one of them read.
  bool cut = false;
  for (std::uint64_t i = 0; i < 200 && !cut; ++i)
    cut = !write_frame(s, encode_payload(call{i, component::self, r}), soon()).has_value();
  CHECK(comes_true([&] { return m1.sessions->connected().empty(); }));
}

namespace {

/// A master's side of links without TLS, over a real API and store.
struct plain_door {
  link_lab lab;
  std::shared_ptr<node_sessions> sessions;
  std::shared_ptr<secure_listener> listener;

  plain_door() {
    node_sessions_options o;
    o.cluster_id = "abc123";
    o.master_name = "m1";
    o.api = {lab.api.api};
    o.state = lab.raft.state;
    o.hub = lab.raft.hub;
    o.plain_peer.user = "kubernetes-admin";
    o.plain_peer.groups = {"system:masters", "system:authenticated"};
    sessions = make_node_sessions(*lab.system, std::move(o)).value();
    listener_options lo;
    lo.address = "127.0.0.1";
    listener = secure_listener::make(std::move(lo)).value();
    listener->serve(workers_protocol,
                    [this](session peer, std::string h) { sessions->accept(std::move(peer), std::move(h)); });
    REQUIRE(listener->start().has_value());
  }
  ~plain_door() { close(); }
  void close() {
    sessions->stop();
    listener->stop();
  }
  std::shared_ptr<link_client> client(std::shared_ptr<frame_loop> loop = nullptr) {
    link_client_options c;
    c.address = "127.0.0.1";
    c.port = listener->port();
    c.loop = std::move(loop);
    auto made = open_link_client(c);
    REQUIRE(made.has_value());
    return *made;
  }
};

} // namespace

TEST_CASE("calls over the link, without TLS, for benchmarks") {
  plain_door door;
  auto client = door.client();
  constexpr int count = 500;
  std::atomic<int> created{0}, answered{0};
  for (int i = 0; i < count; ++i)
    client->call(
        std::make_shared<request>(test::request_of(verb::create, "configmaps", "default", "",
                                                   R"({"metadata":{"name":"c)" + std::to_string(i) + R"("}})")),
        [&](response_ptr r) {
          if (r->code == 201) ++created;
          ++answered;
        });
  REQUIRE(comes_true([&] { return answered == count; }));
  CHECK(created == count);
  CHECK(door.lab.raft.state->current()->count("configmaps", "default") >= count);
  door.sessions->stop();
  CHECK(comes_true([&] { return !client->open(); }));
  std::atomic<int> late{0};
  client->call(std::make_shared<request>(test::request_of(verb::get, "nodes", "", "x")),
               [&](response_ptr r) { late = r->code; });
  CHECK(late == 503);
}

TEST_CASE("a driven loop serves its links on the thread that drives it, and nowhere else") {
  plain_door door;
  const auto loop = frame_loop::make_driven();
  auto client = door.client(loop);
  auto second = door.client(loop);
  const auto me = std::this_thread::get_id();
  int answered = 0, elsewhere = 0;
  const auto count = [&](const response_ptr& r) {
    if (std::this_thread::get_id() != me) ++elsewhere;
    if (r->code == 201) ++answered;
  };
  const auto create = [&](link_client& c, const std::string& name) {
    c.call(std::make_shared<request>(test::request_of(verb::create, "configmaps", "default", "",
                                                      R"({"metadata":{"name":")" + name + R"("}})")),
           count);
  };
  for (int i = 0; i < 20; ++i) {
    create(*client, "a" + std::to_string(i));
    create(*second, "b" + std::to_string(i));
  }
  const auto by = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (answered < 40 && std::chrono::steady_clock::now() < by)
    loop->turn(by);
  CHECK(answered == 40);
  CHECK(elsewhere == 0);
  second.reset(); // ends its own session only
  create(*client, "last");
  while (answered < 41 && std::chrono::steady_clock::now() < by)
    loop->turn(by);
  CHECK(answered == 41);
}

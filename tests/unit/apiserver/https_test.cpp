// The api server as a whole: real log, real sockets, a kubelet that is played by the test.
#include "actors/apiserver/apiserver.hpp"
#include "actors/raft/raft_actor.hpp"
#include "actors/support/scheduling.hpp"
#include "tests/support/api_lab.hpp"
#include "tests/support/https_client.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>
#include <doctest/doctest.h>

#include <filesystem>
#include <thread>
#include <unistd.h>

using namespace troupe;
using test::https_client;

namespace {

/// Echoes what is written to stdin; ends when stdin closes.
class echo_stream final : public pod_stream {
public:
  explicit echo_stream(bool log) {
    if (log) {
      ready_.push_back({1, "line one\n", false});
      ready_.push_back({1, "line two\n", true});
    }
  }
  void next(std::function<void(stream_chunk)> got) override {
    std::unique_lock lock(mutex_);
    waiting_ = std::move(got);
    deliver(lock);
  }
  bool write(int channel, std::string bytes, std::function<void()>) override {
    push({1, (channel == 4 ? "resize " : "") + bytes, false});
    return true;
  }
  void close_stdin() override { push({3, R"({"metadata":{},"status":"Success"})", true}); }
  void close() override {
    std::lock_guard lock(mutex_);
    waiting_ = nullptr;
  }

private:
  void push(stream_chunk c) {
    std::unique_lock lock(mutex_);
    ready_.push_back(std::move(c));
    deliver(lock);
  }
  void deliver(std::unique_lock<std::mutex>& lock) {
    if (!waiting_ || ready_.empty()) return;
    auto fn = std::exchange(waiting_, nullptr);
    auto c = std::move(ready_.front());
    ready_.erase(ready_.begin());
    lock.unlock();
    fn(std::move(c));
  }
  std::mutex mutex_;
  std::vector<stream_chunk> ready_;
  std::function<void(stream_chunk)> waiting_;
};

kubelet_actor::behavior_type fake_kubelet() {
  return {[](const open_stream_ptr& o) {
            auto r = std::make_shared<stream_opened>();
            if (o->container == "broken")
              r->error = std::make_shared<const status>(errors::bad_request("container is waiting to start"));
            else
              r->stream = std::make_shared<echo_stream>(o->what == open_stream::kind::logs);
            return stream_opened_ptr(std::move(r));
          },
          [](node_stats_atom) { return std::string("{}"); }};
}

struct cluster {
  std::filesystem::path dir;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  result<raft_handles> raft = errors::internal("");
  result<api_handles> api = errors::internal("");
  std::shared_ptr<node_directory> nodes = std::make_shared<node_directory>();
  kubelet_actor kubelet;
  std::shared_ptr<ssl_ctx_st> admin, anonymous;

  cluster() {
    static int n = 0;
    dir = std::filesystem::temp_directory_path() /
          ("troupe-apiserver-" + std::to_string(::getpid()) + "-" + std::to_string(n++));
    configure_scheduler(config, 2);
    system = std::make_unique<caf::actor_system>(config);
    raft_options ro;
    ro.data_dir = dir / "store";
    ro.cluster_id = "test";
    raft = spawn_raft(*system, ro);
    REQUIRE(raft.has_value());
    const auto pki = test::test_pki();
    api_options o;
    o.listen_address = "127.0.0.1";
    o.port = 0;
    o.pki = pki;
    o.raft = raft->raft;
    o.state = raft->state;
    o.hub = raft->hub;
    o.nodes = nodes;
    kubelet = system->spawn(fake_kubelet);
    nodes->enter("n1", kubelet);
    api = spawn_apiserver(*system, std::move(o));
    REQUIRE(api.has_value());
    admin = *tls::make_client_context(pki->ca_pem, pki->admin);
    anonymous = *tls::make_client_context(pki->ca_pem, {});
    wait_until_ready();
  }
  ~cluster() {
    api->server->stop();
    nodes->clear();
    caf::anon_send_exit(kubelet, caf::exit_reason::user_shutdown);
    kubelet = nullptr;
    {
      caf::scoped_actor self{*system};
      self->request(raft->raft, std::chrono::seconds(10), flush_and_stop::value)
          .receive([](bool) {}, [](caf::error&) {});
    }
    caf::anon_send_exit(raft->raft, caf::exit_reason::user_shutdown);
    api = errors::internal("");
    raft = errors::internal("");
    system.reset();
    std::filesystem::remove_all(dir);
  }
  /// Waits on the watch of the last bootstrap object instead of the clock.
  void wait_until_ready() {
    https_client c(api->port, anonymous);
    while (c.call("GET", "/readyz").code != 200)
      std::this_thread::yield();
  }
  https_client client() { return https_client(api->port, admin); }
};

const std::string maps = "/api/v1/namespaces/default/configmaps";
const std::vector<std::pair<std::string, std::string>> as_json{{"Content-Type", "application/json"}};

std::string map_named(const std::string& name, const std::string& labels = "{}") {
  return R"({"metadata":{"name":")" + name + R"(","labels":)" + labels + "}}";
}

json::value event_of(https_client& c) { return json::parse(c.receive_chunk()); }

void open_watch(https_client& c, const std::string& target, const std::string& accept = "application/json") {
  c.send("GET " + target + " HTTP/1.1\r\nHost: x\r\nAccept: " + accept + "\r\n\r\n");
  const auto head = c.receive_head();
  REQUIRE(head.code == 200);
}

std::string frame(const std::string& payload, bool binary = true) {
  std::string out;
  out.push_back(static_cast<char>(binary ? 0x82 : 0x81));
  out.push_back(static_cast<char>(0x80 | payload.size()));
  out.append(4, '\0');
  return out + payload;
}
std::string read_frame(https_client& c) {
  const auto head = c.receive_bytes(2);
  return head.size() < 2 ? std::string{} : c.receive_bytes(static_cast<unsigned char>(head[1]) & 0x7f);
}
} // namespace

TEST_CASE("health, version and discovery answer; the unknown is 404 in plain text") {
  cluster k;
  https_client c(k.api->port, k.anonymous);
  CHECK(c.call("GET", "/readyz").body == "ok");
  CHECK(c.call("GET", "/healthz?verbose").body.find("[+]ping ok") != std::string::npos);
  CHECK(c.call("GET", "/version").body.find("\"minor\":\"32\"") != std::string::npos);
  CHECK(c.call("GET", "/metrics").code == 403);
  https_client a(k.api->port, k.admin);
  CHECK(a.call("GET", "/livez/ping").code == 200);
  CHECK(a.call("GET", "/livez/none").code == 404);
  CHECK(a.call("GET", "/nosuch").body == "404 page not found\n");
  CHECK(a.call("GET", "/apis").body.find("APIGroupList") != std::string::npos);
  CHECK(a.call("GET", "/api/v1").body.find("pods/exec") != std::string::npos);
  CHECK(a.call("GET", "/metrics").body.find("troupe_store_revision") != std::string::npos);
  CHECK(a.call("GET", "/openid/v1/jwks").body.find("ES256") != std::string::npos);
  CHECK(a.call("POST", "/version", "{}").code == 405);
}

TEST_CASE("credentials decide, wrong ones are 401, and HTTP callers see Status bodies") {
  cluster k;
  https_client anonymous(k.api->port, k.anonymous);
  CHECK(anonymous.call("GET", maps).code == 403);
  CHECK(anonymous.call("GET", maps, {}, {{"Authorization", "Bearer wrong"}}).code == 401);
  https_client c(k.api->port, k.admin);
  CHECK(c.call("POST", "/api/v1/namespaces/kube-system/serviceaccounts", map_named("robot"), as_json).code == 201);
  const auto t = c.call("POST", "/api/v1/namespaces/kube-system/serviceaccounts/robot/token", "{}", as_json);
  REQUIRE(t.code == 201);
  const auto parsed = json::parse(t.body);
  const std::string token{jq::str(parsed, {"status", "token"})};
  const auto a = anonymous.call("GET", maps, {}, {{"Authorization", "Bearer " + token}});
  CHECK(a.code == 403);
  CHECK(a.body.find("system:serviceaccount:kube-system:robot") != std::string::npos);
  CHECK(c.call("GET", maps, {}, {{"Impersonate-User", "bob"}}).body.find("User \\\"bob\\\"") != std::string::npos);
}

TEST_CASE("many clients write at once and each write is there once") {
  cluster k;
  std::vector<std::thread> threads;
  std::atomic<int> created{0};
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      https_client c(k.api->port, k.admin);
      for (int i = 0; i < 25; ++i)
        created +=
            c.call("POST", maps, map_named("m" + std::to_string(t) + "-" + std::to_string(i)), as_json).code == 201;
    });
  for (auto& t : threads)
    t.join();
  CHECK(created == 100);
  https_client c(k.api->port, k.admin);
  const auto list = json::parse(c.call("GET", maps).body);
  CHECK(list.at("items").as_array().size() == 100);
}

TEST_CASE("a watch shows the state, then every change; selectors turn changes into comings and goings") {
  cluster k;
  https_client c(k.api->port, k.admin), w(k.api->port, k.admin);
  c.call("POST", maps, map_named("a", R"({"t":"1"})"), as_json);
  open_watch(w, maps + "?watch=1&labelSelector=t%3D1");
  auto e = event_of(w);
  CHECK(jq::str(e, {"type"}) == "ADDED");
  CHECK(jq::str(e, {"object", "metadata", "name"}) == "a");
  c.call("POST", maps, map_named("unseen"), as_json);
  c.call("PATCH", maps + "/a", R"({"data":{"x":"y"}})", {{"Content-Type", "application/merge-patch+json"}});
  e = event_of(w);
  CHECK(jq::str(e, {"type"}) == "MODIFIED");
  const auto left = json::parse(c.call("PATCH", maps + "/a", R"({"metadata":{"labels":null}})",
                                       {{"Content-Type", "application/merge-patch+json"}})
                                    .body);
  e = event_of(w);
  CHECK(jq::str(e, {"type"}) == "DELETED");
  CHECK(jq::str(e, {"object", "metadata", "labels", "t"}) == "1");
  CHECK(jq::str(e, {"object", "metadata", "resourceVersion"}) == jq::str(left, {"metadata", "resourceVersion"}));
  c.call("PATCH", maps + "/a", R"({"metadata":{"labels":{"t":"1"}}})",
         {{"Content-Type", "application/merge-patch+json"}});
  CHECK(jq::str(event_of(w), {"type"}) == "ADDED");
  c.call("DELETE", maps + "/a");
  e = event_of(w);
  CHECK(jq::str(e, {"type"}) == "DELETED");
  CHECK(jq::str(e, {"object", "data", "x"}) == "y");
}

TEST_CASE("a watch resumes behind its revision, and marks the end of initial events") {
  cluster k;
  https_client c(k.api->port, k.admin), w(k.api->port, k.admin), v(k.api->port, k.admin);
  const auto a = json::parse(c.call("POST", maps, map_named("a"), as_json).body);
  c.call("POST", maps, map_named("b"), as_json);
  open_watch(w, maps + "?watch=true&resourceVersion=" + std::string(jq::str(a, {"metadata", "resourceVersion"})));
  CHECK(jq::str(event_of(w), {"object", "metadata", "name"}) == "b");
  open_watch(v, maps + "?watch=true&sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan");
  const auto all = v.receive_chunk();
  CHECK(all.find("\"name\":\"a\"") != std::string::npos);
  CHECK(all.find("\"BOOKMARK\"") > all.find("\"name\":\"b\""));
  CHECK(all.find("k8s.io/initial-events-end") != std::string::npos);
}

TEST_CASE("bad watches are refused before the stream; an endless future is 504") {
  cluster k;
  https_client c(k.api->port, k.admin);
  CHECK(c.call("GET", maps + "?watch=1&sendInitialEvents=true").code == 422);
  CHECK(c.call("GET", maps + "?watch=1&resourceVersion=x").code == 422);
  CHECK(c.call("GET", maps + "?watch=1&resourceVersion=99999").code == 504);
  CHECK(c.call("GET", maps + "?watch=1&fieldSelector=no%3D1").code == 400);
}

TEST_CASE("a watch ends by its timeout with a bookmark, and the connection lives on") {
  cluster k;
  https_client w(k.api->port, k.admin);
  open_watch(w, maps + "?watch=1&timeoutSeconds=1&allowWatchBookmarks=true");
  CHECK(jq::str(event_of(w), {"type"}) == "BOOKMARK");
  CHECK(w.receive_chunk().empty());
  CHECK(w.call("GET", maps).code == 200);
}

TEST_CASE("a Table watch names its columns once") {
  cluster k;
  https_client c(k.api->port, k.admin), w(k.api->port, k.admin);
  open_watch(w, maps + "?watch=1", "application/json;as=Table;v=v1;g=meta.k8s.io");
  c.call("POST", maps, map_named("a"), as_json);
  auto e = event_of(w);
  CHECK(jq::str(e, {"object", "kind"}) == "Table");
  CHECK(!jq::arr(e, {"object", "columnDefinitions"}).empty());
  c.call("POST", maps, map_named("b"), as_json);
  CHECK(jq::arr(event_of(w), {"object", "columnDefinitions"}).empty());
}

TEST_CASE("a watch over WebSocket sends one message per event") {
  cluster k;
  https_client c(k.api->port, k.admin), w(k.api->port, k.admin);
  w.send("GET " + maps +
         "?watch=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  CHECK(w.receive_head().code == 101);
  c.call("POST", maps, map_named("a"), as_json);
  const auto head = w.receive_bytes(4); // 126: a 16 bit length follows
  REQUIRE(head.size() == 4);
  const auto n =
      static_cast<std::size_t>(static_cast<unsigned char>(head[2])) << 8 | static_cast<unsigned char>(head[3]);
  CHECK(jq::str(json::parse(w.receive_bytes(n)), {"type"}) == "ADDED");
}

TEST_CASE("logs, exec and their refusals go through the node's kubelet") {
  cluster k;
  https_client c(k.api->port, k.admin);
  c.call("POST", "/api/v1/namespaces/default/serviceaccounts", map_named("default"), as_json);
  const std::string pods = "/api/v1/namespaces/default/pods";
  const auto pod = [&](const std::string& name, const std::string& node, const std::string& containers) {
    return c
        .call("POST", pods,
              R"({"metadata":{"name":")" + name + R"("},"spec":{"nodeName":")" + node + R"(","containers":[)" +
                  containers + "]}}",
              as_json)
        .code;
  };
  REQUIRE(pod("p", "n1", R"({"name":"c","image":"x"})") == 201);
  REQUIRE(pod("two", "n1", R"({"name":"a","image":"x"},{"name":"broken","image":"x"})") == 201);
  REQUIRE(pod("far", "n9", R"({"name":"c","image":"x"})") == 201);
  const auto log = c.call("GET", pods + "/p/log");
  CHECK(log.body == "line one\nline two\n");
  CHECK(log.headers.at("content-type") == "text/plain");
  CHECK(c.call("GET", pods + "/two/log")
            .body.find("a container name must be specified for pod two, choose one of: [a broken]") !=
        std::string::npos);
  CHECK(c.call("GET", pods + "/two/log?container=z").body.find("container z is not valid for pod two") !=
        std::string::npos);
  CHECK(c.call("GET", pods + "/two/log?container=broken").code == 400);
  CHECK(c.call("GET", pods + "/p/log?tailLines=-1").code == 400);
  CHECK(c.call("GET", pods + "/far/log").code == 503);
  CHECK(c.call("GET", pods + "/none/log").code == 404);
  CHECK(c.call("POST", pods + "/p/exec?command=sh&stdout=1").body.find("WebSocket") != std::string::npos);
  CHECK(c.call("GET", pods + "/p/proxy/x").code == 501);
  // A client that falls back to SPDY is told what is wrong with the pod first.
  const std::vector<std::pair<std::string, std::string>> spdy{{"Connection", "Upgrade"}, {"Upgrade", "SPDY/3.1"}};
  CHECK(c.call("POST", pods + "/two/exec?command=sh&stdout=1&container=broken", {}, spdy)
            .body.find("container is waiting to start") != std::string::npos);
  CHECK(c.call("POST", pods + "/p/exec?command=sh&stdout=1", {}, spdy).body.find("not SPDY") != std::string::npos);

  https_client w(k.api->port, k.admin);
  w.send(
      "GET " + pods +
      "/p/exec?command=cat&stdin=true&stdout=true HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: "
      "v5.channel.k8s.io\r\n\r\n");
  const auto head = w.receive_head();
  CHECK(head.code == 101);
  CHECK(head.headers.at("sec-websocket-protocol") == "v5.channel.k8s.io");
  CHECK(read_frame(w) == "\x01");
  w.send(frame(std::string("\0hello", 6)));
  CHECK(read_frame(w) == "\x01hello");
  w.send(frame("\x04{\"Width\":8}"));
  CHECK(read_frame(w) == "\x01resize {\"Width\":8}");
  w.send(frame(std::string("\xff\0", 2)));
  CHECK(read_frame(w) == "\x03{\"metadata\":{},\"status\":\"Success\"}");
  CHECK(w.receive_bytes(2).substr(0, 1) == "\x88");
}

TEST_CASE("components inside the process ask the same api actor") {
  cluster k;
  caf::scoped_actor self{*k.system};
  auto r = std::make_shared<request>();
  r->who.user = "system:kube-scheduler";
  r->who.groups = {"system:authenticated"};
  r->what = verb::create;
  r->version = "v1";
  r->plural = "configmaps";
  r->ns = "default";
  r->body = std::make_shared<const json::value>(json::parse(R"({"metadata":{"name":"m"}})"));
  int code = 0;
  const auto ask = [&](const request_ptr& req) {
    self->request(k.api->api, std::chrono::seconds(10), req)
        .receive([&](const response_ptr& got) { code = got->code; }, [&](caf::error&) { code = -1; });
  };
  ask(r);
  CHECK(code == 403);
  r->who.groups.emplace_back("system:masters");
  ask(r);
  CHECK(code == 201);
}

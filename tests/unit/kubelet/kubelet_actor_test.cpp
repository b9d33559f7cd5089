#include "fake_cluster.hpp"

#include "actors/kubelet/kubelet.hpp"
#include "actors/kubelet/pod/pod_core.hpp"
#include "actors/support/clock.hpp"

#include <caf/actor_system_config.hpp>
#include <caf/scheduled_actor.hpp>
#include <caf/scheduler/test_coordinator.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::kubelet;
using namespace troupe::kubelet::test;
using namespace std::chrono_literals;

namespace {

struct virtual_config : caf::actor_system_config {
  virtual_config() { set("scheduler.policy", caf::atom("testing")); }
};

/// One hollow node against a fake cluster, on virtual time.
struct lab {
  virtual_config cfg;
  caf::actor_system sys{cfg};
  caf::scheduler::test_coordinator& sched = dynamic_cast<caf::scheduler::test_coordinator&>(sys.scheduler());
  fake_cluster cluster;
  std::shared_ptr<runtime::engine> engine = runtime::make_hollow_engine();
  std::shared_ptr<actor_board> board = std::make_shared<actor_board>();
  api_actor api = cluster.spawn_api(sys);
  kubelet_actor kubelet;

  kubelet_options options() {
    kubelet_options o;
    o.env = {api, cluster.view, cluster.window, board, {"system:node:n1", "", {"system:nodes"}, {}}, "n1", 0};
    o.engine = engine;
    o.node_name = "n1";
    o.pod_cidr = "10.244.1.0/24";
    o.host_ip = "10.0.0.1";
    o.hollow = true;
    return o;
  }
  void start() {
    kubelet = spawn_kubelet(sys, options());
    run();
  }
  void stop() {
    caf::anon_send_exit(kubelet, caf::exit_reason::user_shutdown);
    run();
    kubelet = nullptr;
  }
  void run() { sched.run(); }
  void pass(caf::timespan d) {
    for (caf::timespan step = 500ms; d.count() > 0; d -= step) {
      sched.advance_time(std::min(step, d));
      sched.run();
    }
  }
  ~lab() {
    if (kubelet) stop();
    caf::anon_send_exit(api, caf::exit_reason::kill);
    api = nullptr;
    run();
  }

  void add_pod(const std::string& name, const std::string& spec = "", const std::string& node = "n1") {
    cluster.put("pods", R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
                            R"(","namespace":"default"},"spec":{"nodeName":")" + node + "\"," + spec +
                            R"("containers":[{"name":"c","image":"img"}]},"status":{"phase":"Pending"}})");
    run();
  }
  json::value pod(const std::string& name) { return cluster.get("pods", "default", name); }
  std::string phase(const std::string& name) { return std::string{jq::str(pod(name), {"status", "phase"})}; }
  std::string now() { return format_time(wall_now(sys.clock())); }
  bool said(const std::string& text) {
    for (const auto& e : cluster.events())
      if (e.find(text) != std::string::npos) return true;
    return false;
  }
};

} // namespace

TEST_CASE("the node registers itself with lease, labels and conditions") {
  lab l;
  l.start();
  auto n = l.cluster.get("nodes", "", "n1");
  CHECK(jq::str(n, {"metadata", "labels", "kubernetes.io/hostname"}) == "n1");
  CHECK(jq::str(n, {"metadata", "labels", "kubernetes.io/os"}) == "linux");
  CHECK(jq::str(n, {"spec", "podCIDR"}) == "10.244.1.0/24");
  CHECK(jq::str(n, {"status", "capacity", "cpu"}) == "8");
  CHECK(jq::str(n, {"status", "capacity", "pods"}) == "110");
  CHECK(jq::str(n, {"status", "nodeInfo", "kubeletVersion"}).starts_with("v1.32."));
  bool ready = false;
  for (const auto& c : jq::arr(n, {"status", "conditions"}))
    ready = ready || (jq::str(c, {"type"}) == "Ready" && jq::str(c, {"status"}) == "True");
  CHECK(ready);
  auto lease = l.cluster.get("leases.coordination.k8s.io", "kube-node-lease", "n1");
  CHECK(jq::str(lease, {"spec", "holderIdentity"}) == "n1");
  auto first = std::string{jq::str(lease, {"spec", "renewTime"})};
  l.pass(11s);
  CHECK(jq::str(l.cluster.get("leases.coordination.k8s.io", "kube-node-lease", "n1"), {"spec", "renewTime"}) != first);
}

TEST_CASE("the node comes back after its object was deleted") {
  lab l;
  l.start();
  l.cluster.erase("nodes", "", "n1");
  l.pass(310s);
  CHECK(jq::str(l.cluster.get("nodes", "", "n1"), {"metadata", "name"}) == "n1");
}

TEST_CASE("pods of this node run, pods of others do not concern it") {
  lab l;
  l.start();
  l.add_pod("mine");
  l.add_pod("theirs", "", "n2");
  CHECK(l.phase("mine") == "Running");
  CHECK(l.phase("theirs") == "Pending");
  auto p = l.pod("mine");
  CHECK(jq::str(p, {"status", "podIP"}).starts_with("10.244.1."));
  CHECK(jq::str(p, {"status", "hostIP"}) == "10.0.0.1");
  CHECK(l.engine->containers().size() == 1);
  CHECK(l.said("Started: Started container c"));
}

TEST_CASE("pods that were there before the kubelet run, too") {
  lab l;
  l.add_pod("early");
  l.start();
  CHECK(l.phase("early") == "Running");
}

TEST_CASE("many pods start at once, with few status writes each") {
  lab l;
  l.start();
  for (int i = 0; i < 50; ++i)
    l.add_pod("p" + std::to_string(i));
  for (int i = 0; i < 50; ++i)
    CHECK(l.phase("p" + std::to_string(i)) == "Running");
  CHECK(l.cluster.status_patches <= 50 * 4);
  auto before = l.cluster.status_patches;
  l.pass(30s);
  CHECK(l.cluster.status_patches == before); // quiet when nothing changes
}

TEST_CASE("deletion stops the containers and removes the object") {
  lab l;
  l.start();
  l.add_pod("p");
  l.cluster.ask_delete("default", "p", 30, l.now());
  l.pass(1s);
  CHECK(l.pod("p").is_null());
  CHECK(l.engine->containers().empty());
  CHECK(l.engine->sandboxes().empty());
  CHECK(l.said("Killing: Stopping container c"));
  CHECK(l.cluster.deletes == 1);
}

TEST_CASE("an object removed by force takes its containers along") {
  lab l;
  l.start();
  l.add_pod("p");
  l.cluster.erase("pods", "default", "p");
  l.pass(3s);
  CHECK(l.engine->containers().empty());
  CHECK(l.cluster.deletes == 0);
}

TEST_CASE("a container that is killed comes back with its count and reason") {
  lab l;
  l.start();
  l.add_pod("p");
  REQUIRE(l.engine->signal(l.engine->containers().front().id, 9).has_value());
  l.pass(1s);
  auto p = l.pod("p");
  const auto& c = jq::arr(p, {"status", "containerStatuses"})[0];
  CHECK(jq::num(c, {"restartCount"}) == 1);
  CHECK(jq::num(c, {"lastState", "terminated", "exitCode"}) == 137);
  CHECK(jq::flag(c, {"ready"}));
}

TEST_CASE("a finished pod of restartPolicy Never is Succeeded and keeps its object") {
  lab l;
  l.start();
  l.add_pod("p", R"("restartPolicy":"Never",)");
  REQUIRE(l.engine->signal(l.engine->containers().front().id, 15).has_value());
  l.pass(1s);
  CHECK(l.phase("p") == "Failed"); // 143
  CHECK(l.engine->sandboxes().empty());
  CHECK(l.cluster.deletes == 0);
}

TEST_CASE("after our restart running containers are adopted and orphans are removed") {
  lab l;
  l.start();
  l.add_pod("stays");
  l.add_pod("goes");
  l.stop();
  CHECK(l.engine->containers().size() == 2);
  auto before = l.engine->containers();
  l.cluster.erase("pods", "default", "goes");
  l.start();
  l.pass(1s);
  auto after = l.engine->containers();
  REQUIRE(after.size() == 1);
  CHECK(after[0].started_at == (before[0].id == after[0].id ? before[0] : before[1]).started_at);
  CHECK(jq::num(jq::arr(l.pod("stays"), {"status", "containerStatuses"})[0], {"restartCount"}) == 0);
  CHECK(l.phase("stays") == "Running");
}

TEST_CASE("status and deletion survive an API that fails for a while") {
  lab l;
  l.start();
  l.cluster.refuse = [](const request& r) { return r.plural == "pods" ? 503 : 0; };
  l.add_pod("p");
  l.pass(5s);
  CHECK(l.phase("p") == "Pending");
  l.cluster.refuse = nullptr;
  l.pass(6s);
  CHECK(l.phase("p") == "Running");
  l.cluster.refuse = [](const request& r) { return r.what == verb::delete_ ? 500 : 0; };
  l.cluster.ask_delete("default", "p", 0, l.now());
  l.pass(5s);
  CHECK_FALSE(l.pod("p").is_null());
  l.cluster.refuse = nullptr;
  l.pass(40s);
  CHECK(l.pod("p").is_null());
}

TEST_CASE("streams of a hollow node and of absent pods are refused with a sentence") {
  lab l;
  l.start();
  l.add_pod("p");
  caf::scoped_actor self{l.sys};
  auto ask = [&](const std::string& name) {
    auto what = std::make_shared<open_stream>();
    what->ns = "default";
    what->pod = name;
    auto rq = self->request(l.kubelet, caf::infinite, open_stream_ptr{what});
    l.run();
    std::string message;
    rq.receive([&](const stream_opened_ptr& s) { message = s->error->message; }, [](const caf::error&) {});
    return message;
  };
  CHECK(ask("nope") == "pods \"nope\" not found");
  CHECK(ask("p").find("hollow node") != std::string::npos);
}

TEST_CASE("the stats of the node are a document") {
  lab l;
  l.start();
  l.add_pod("p");
  caf::scoped_actor self{l.sys};
  auto rq = self->request(l.kubelet, caf::infinite, node_stats_atom::value);
  l.run();
  json::value doc;
  rq.receive([&](const std::string& s) { doc = json::parse(s); }, [](const caf::error&) {});
  REQUIRE(jq::arr(doc, {"pods"}).size() == 1);
  CHECK(jq::str(jq::arr(doc, {"pods"})[0], {"podRef", "name"}) == "p");
}

TEST_CASE("a pod actor that dies is started again and takes its containers over") {
  lab l;
  l.start();
  l.add_pod("p");
  auto started = l.engine->containers().front().started_at;
  auto doc = l.pod("p");
  doc.as_object()["metadata"].as_object()["labels"] = json::object{{"a", "b"}};
  l.cluster.put("pods", doc);
  // Runs message by message until the pod's actor is next, and kills it there.
  bool killed = false;
  while (!killed && !l.sched.jobs.empty()) {
    auto* next = dynamic_cast<caf::scheduled_actor*>(l.sched.jobs.front());
    if (next && std::string{next->name()} == "troupe.kubelet.pod") {
      caf::anon_send_exit(caf::actor_cast<caf::actor>(next), caf::exit_reason::out_of_workers);
      killed = true;
    } else {
      l.sched.try_run_once();
    }
  }
  REQUIRE(killed);
  l.run();
  std::uint64_t restarts = 0;
  for (const auto& a : l.board->list())
    if (a.path == "node/kubelet/pod default/p") restarts = std::max(restarts, a.restarts);
  CHECK(restarts == 1);
  l.pass(1s);
  CHECK(l.engine->containers().front().started_at == started);
  CHECK(l.phase("p") == "Running");
  l.cluster.ask_delete("default", "p", 0, l.now());
  l.pass(3s);
  CHECK(l.pod("p").is_null());
}

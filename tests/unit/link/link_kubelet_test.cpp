// The kubelet as it is on a master, on a worker that has nothing but a link.
#include "actors/kubelet/kubelet.hpp"
#include "tests/unit/link/link_lab.hpp"

#include <caf/send.hpp>
#include <doctest/doctest.h>

using namespace troupe;
using test::comes_true;
using test::lab_door;
using test::lab_worker;
using test::link_lab;

namespace {

struct worker_kubelet {
  explicit worker_kubelet(lab_worker& w) : worker(w) {
    worker.link.ready.wait();
    kubelet_options o;
    o.env = w.env();
    o.env.who.groups = {"system:nodes", "system:authenticated"};
    o.engine = runtime::make_hollow_engine();
    o.node_name = w.node;
    o.pod_cidr = "10.244.1.0/24";
    o.host_ip = "10.0.0.1";
    o.hollow = true;
    kubelet = spawn_kubelet(*w.lab.system, std::move(o));
    w.link.link->serve(kubelet);
  }
  ~worker_kubelet() {
    worker.link.link->stop();
    caf::anon_send_exit(kubelet, caf::exit_reason::user_shutdown);
  }
  lab_worker& worker;
  kubelet_actor kubelet;
};

std::string phase(const link_lab& lab, const std::string& pod) {
  auto o = lab.raft.state->current()->get("pods", "default", pod);
  return o ? std::string(jq::str(o->parse(), {"status", "phase"})) : "gone";
}

} // namespace

TEST_CASE("a kubelet registers its node, renews its lease and runs pods over the link, whichever master is there") {
  link_lab lab;
  auto m1 = std::make_unique<lab_door>(lab, "m1");
  auto m2 = std::make_unique<lab_door>(lab, "m2");
  lab_worker w(lab, "w1", {m1->address(), m2->address()});
  worker_kubelet k(w);
  REQUIRE(comes_true([&] { return w.sees("nodes", "", "w1"); }));
  REQUIRE(comes_true([&] {
    return lab.raft.state->current()->get("leases.coordination.k8s.io", "kube-node-lease", "w1") != nullptr;
  }));
  lab.pod("p1", "w1");
  REQUIRE(comes_true([&] { return phase(lab, "p1") == "Running"; }));
  REQUIRE(comes_true([&] { return w.link.link->status().open.size() == 2; }));
  (w.link.link->status().active == "m1" ? m1 : m2).reset();
  lab.pod("p2", "w1");
  REQUIRE(comes_true([&] { return phase(lab, "p2") == "Running"; }));
  lab.call(verb::delete_, "pods", "default", "p1");
  REQUIRE(comes_true([&] { return phase(lab, "p1") == "gone"; }));
}

// sim: controllers, a fake API and fake kubelets stepped by one seed: late, batched and repeated events, failed writes.
// Owner:  one test.
// Units:  virtual time.
// Errors: -
// Source: ours.
#pragma once

#include "actors/controllers/manager_core.hpp"
#include "api/meta/names.hpp"
#include "api/meta/object_meta.hpp"
#include "api/schema/registry.hpp"
#include "tests/support/fake_cluster.hpp"

#include <deque>
#include <map>
#include <set>
#include <string>

namespace troupe::test {

class sim {
public:
  explicit sim(std::uint64_t seed)
      : rng(seed), core([this](std::string_view t) { return cursors[std::string{t}]; },
                        [this](const std::string& c, const ctl::note& n) {
                          notes.push_back(c + " " + n.reason + ": " + n.message);
                        }) {
    for (const auto& r : schema::registry::get().resources())
      if (r.stored) tables.insert(r.store_key);
  }

  template <class C, class... Ts>
  void add(const char* name, Ts&&... more) {
    using std::chrono::microseconds;
    core.add(std::make_unique<C>(name, microseconds{20'000}, microseconds{1'000'000}, std::forward<Ts>(more)...));
  }

  void start() {
    for (const auto& t : tables) {
      core.relist(t, *api.current(), api.now);
      cursors[t] = api.rev();
    }
    core.all_synced(api.now);
  }

  /// Delivers up to `n` events of one table; now and then the table is listed anew instead.
  void deliver(const std::string& table, std::size_t n) {
    if (chaos && rng.below(40) == 0) {
      core.relist(table, *api.current(), api.now);
      cursors[table] = api.rev();
      return;
    }
    const auto& h = api.history(table);
    if (h.empty() || h.back()->rev <= cursors[table]) {
      cursors[table] = api.rev();
      return;
    }
    auto got = api.pull(table, cursors[table], n);
    for (const auto& e : got.events) {
      core.observe(table, *e, api.now);
      cursors[table] = e->rev;
    }
    if (got.events.size() < n) cursors[table] = got.upto;
  }

  void step() {
    api.now += std::chrono::milliseconds{chaos ? 1 + rng.below(50) : idle ? 250 : 10};
    auto before = api.writes;
    for (const auto& t : tables)
      if (!chaos || rng.below(3) != 0) deliver(t, chaos ? 1 + rng.below(5) : 1000);
    core.flush(api.now);
    for (auto& t : core.step(*api.current(), api.now, 64, [this](store::revision) {
           for (const auto& t : tables)
             deliver(t, 100000);
         }))
      waiting.push_back(t);
    auto n = chaos ? rng.below(waiting.size() + 1) : waiting.size();
    while (n-- > 0) {
      auto at = chaos ? rng.below(waiting.size()) : 0;
      auto t = waiting[at];
      waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(at));
      run(t);
    }
    if (kubelets) kubelet();
    idle = api.writes == before && waiting.empty(); // nothing happens: time may run faster
  }

  void run_for(std::chrono::milliseconds d) {
    auto end = api.now + d;
    while (api.now < end)
      step();
  }

  void run(const ctl::task& t) {
    request r;
    const auto& a = *t.what;
    using k = ctl::action::kind;
    r.what = a.what == k::create   ? verb::create
             : a.what == k::update ? verb::update
             : a.what == k::remove ? verb::delete_
                                   : verb::patch;
    r.group = a.ref.group;
    r.version = a.ref.version;
    r.plural = a.ref.plural;
    r.ns = a.ns;
    r.name = a.name;
    r.subresource = a.subresource;
    r.content_type = a.what == k::strategic_patch ? "application/strategic-merge-patch+json"
                     : a.what == k::merge_patch   ? "application/merge-patch+json"
                                                  : "application/json";
    r.body = std::make_shared<const json::value>(a.doc);
    ctl::answer ans;
    if (chaos && rng.below(30) == 0) {
      if (rng.below(2) == 0) api.handle(r); // done, but the answer is lost
    } else {
      auto got = api.handle(r);
      ans.code = got->code;
      ans.object = got->object;
      if (got->error) {
        ans.reason = got->error->reason;
        ans.message = got->error->message;
        for (const auto& c : got->error->causes)
          ans.namespace_terminating |= c.reason == "NamespaceTerminating";
        if (got->code != 409) refusals.push_back(a.name + " " + std::string{a.ref.plural} + ": " + ans.message);
      }
    }
    core.finished(t.id, ans, api.now);
  }

  /// Binds, starts, readies and ends pods, each step by chance.
  void kubelet() {
    for (const auto& o : api.all("pods")) {
      if (chaos && rng.below(4) != 0) continue;
      auto d = o->parse();
      auto at = jq::str(d, {"spec", "nodeName"});
      if (meta::deleting(d)) {
        if (meta::finalizers(d).empty()) api.erase("pods", o->ns, o->name);
        continue;
      }
      if (at.empty()) {
        jq::at(d, {"spec", "nodeName"}) = "n" + std::to_string(rng.below(3));
      } else if (jq::str(d, {"status", "phase"}) == "Pending") {
        jq::at(d, {"status", "phase"}) = "Running";
        jq::at(d, {"status", "podIP"}) = "10.0.0." + std::to_string(rng.below(250) + 1);
      } else {
        auto ready = !broken || !broken(d);
        auto was = false;
        for (const auto& c : jq::arr(d, {"status", "conditions"}))
          was = jq::str(c, {"status"}) == "True";
        if (was == ready) continue;
        json::array list;
        list.emplace_back(json::object{
            {"type", "Ready"}, {"status", ready ? "True" : "False"}, {"lastTransitionTime", format_time(api.now)}});
        jq::at(d, {"status", "conditions"}) = std::move(list);
      }
      api.put("pods", std::move(d));
    }
  }

  /// Nothing waits and nothing is unseen.
  bool quiet() {
    for (const auto& t : tables)
      if (!api.pull(t, cursors[t], 1).events.empty()) return false;
    return waiting.empty() && !core.ready();
  }

  fake_cluster api;
  random_source rng;
  bool chaos = false, kubelets = true, idle = false;
  std::function<bool(const json::value& pod)> broken; // never becomes ready
  std::set<std::string> tables;
  std::map<std::string, store::revision> cursors;
  std::deque<ctl::task> waiting;
  std::vector<std::string> notes, refusals;
  ctl::manager_core core;
};

inline json::value
make_deployment(const std::string& name, std::int64_t replicas, const std::string& image,
                const std::string& strategy =
                    R"({"type":"RollingUpdate","rollingUpdate":{"maxSurge":"25%","maxUnavailable":"25%"}})") {
  return json::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":")" + name +
                     R"(","namespace":"default"},"spec":{"replicas":)" + std::to_string(replicas) +
                     R"(,"revisionHistoryLimit":2,"progressDeadlineSeconds":600,"strategy":)" + strategy +
                     R"(,"selector":{"matchLabels":{"app":")" + name +
                     R"("}},"template":{"metadata":{"labels":{"app":")" + name +
                     R"("}},"spec":{"containers":[{"name":"c","image":")" + image + R"("}]}}}})");
}

} // namespace troupe::test

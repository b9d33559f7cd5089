#include "api/meta/names.hpp"
#include "pod_lab.hpp"

#include <doctest/doctest.h>

using namespace troupe;
using namespace troupe::kubelet;
using namespace troupe::kubelet::test;
using namespace std::chrono_literals;

namespace {

std::string random_pod(random_source& r) {
  static const char* policies[] = {"Always", "OnFailure", "Never"};
  std::string spec = std::string{"\"restartPolicy\":\""} + policies[r.below(3)] + "\",";
  auto container = [&](const char* name, bool side) {
    std::string c = std::string{"{\"name\":\""} + name + "\",\"image\":\"i\"";
    if (side) c += R"(,"restartPolicy":"Always")";
    if (r.below(3) == 0)
      c += R"(,"lifecycle":{"preStop":{"exec":{"command":["x"]}},"postStart":{"exec":{"command":["x"]}}})";
    if (r.below(3) == 0) c += R"(,"livenessProbe":{"tcpSocket":{"port":1}},"readinessProbe":{"tcpSocket":{"port":1}})";
    if (r.below(4) == 0) c += R"(,"startupProbe":{"tcpSocket":{"port":1}})";
    return c + "}";
  };
  if (r.below(2)) {
    bool side = r.below(2) == 0;
    spec += "\"initContainers\":[" + container("i", false) + (side ? "," + container("s", true) : "") + "],";
  }
  if (r.below(5) == 0) spec += "\"activeDeadlineSeconds\":" + std::to_string(1 + r.below(100)) + ",";
  spec += "\"containers\":[" + container("a", false);
  if (r.below(2)) spec += "," + container("b", false);
  return pod_text(spec + "]");
}

/// Makes the world fail, stall and lose things; never answers a question twice.
void make_unruly(pod_lab& l, random_source& r) {
  l.intercept = [&](const effect& e) {
    bool fail = r.below(4) == 0;
    switch (e.what) {
    case effect_kind::prepare_volumes:
      if (fail) l.take(l.core.on_volumes("no", l.now));
      return fail;
    case effect_kind::create_sandbox:
      if (fail) l.take(l.core.on_sandbox(false, "no", l.now));
      return fail;
    case effect_kind::find_image:
      if (fail) l.take(l.core.on_image_found(e.container, std::nullopt, l.now));
      return fail;
    case effect_kind::pull_image:
      if (fail) l.take(l.core.on_image_pulled(e.container, std::nullopt, "no", 1s, l.now));
      return fail;
    case effect_kind::start_container:
      if (fail)
        l.take(l.core.on_start_failed(e.container, e.attempt, static_cast<start_failure>(r.below(3)), "no", l.now));
      return fail;
    case effect_kind::post_start:
      if (fail) l.take(l.core.on_post_start(e.container, e.attempt, "no", l.now));
      return fail;
    case effect_kind::pre_stop:
      if (fail) l.take(l.core.on_pre_stop(e.container, e.attempt, "no", l.now));
      return fail;
    case effect_kind::remove_sandbox:
      if (fail) l.take(l.core.on_sandbox_removed("no", l.now));
      return fail;
    case effect_kind::delete_object:
      if (fail) l.take(l.core.on_object_deleted(false, l.now));
      return fail;
    default: return false;
    }
  };
}

void do_something(pod_lab& l, random_source& r) {
  auto n = l.core.containers().size();
  auto i = static_cast<int>(r.below(n));
  auto attempt = l.core.containers()[static_cast<std::size_t>(i)].attempt;
  switch (r.below(6)) {
  case 0:
    if (l.running.contains(i)) l.exit(i, static_cast<int>(r.below(2)));
    break;
  case 1: l.take(l.core.on_probe(i, attempt, static_cast<probe_kind>(r.below(3)), r.below(2) == 0, l.now)); break;
  case 2: l.pass(std::chrono::milliseconds{r.below(40'000)}); break;
  case 3: l.obey_term = r.below(2) == 0; break;
  case 4: l.take(l.core.on_exited(i, attempt - 1, {1, "Error", "", {}, l.now, ""}, l.now)); break; // a late echo
  default: l.run(); break;
  }
  // Facts that hold at every moment.
  (void)l.whole_status();
  if (l.core.phase() == "Succeeded")
    for (std::size_t k = 0; k < n; ++k)
      if (l.core.model().containers[k].kind == container_kind::app) CHECK_FALSE(l.core.containers()[k].alive());
}

} // namespace

TEST_CASE("whatever happens, a deleted pod ends with nothing left") {
  for (std::uint64_t seed = 1; seed <= 600; ++seed) {
    CAPTURE(seed);
    random_source r{seed};
    pod_lab l{random_pod(r)};
    make_unruly(l, r);
    l.begin();
    auto steps = r.below(25);
    for (std::uint64_t n = 0; n < steps; ++n)
      do_something(l, r);
    if (r.below(4) == 0)
      l.take(l.core.on_gone(l.now));
    else
      l.remove(static_cast<std::int64_t>(r.below(60)));
    for (int k = 0; k < 5; ++k)
      do_something(l, r);
    l.pass(2h);
    REQUIRE(l.finished);
    CHECK(l.running.empty());
    CHECK_FALSE(l.sandbox);
  }
}

TEST_CASE("a kill of the kubelet at any point loses nothing: the next one takes over what runs") {
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    CAPTURE(seed);
    random_source r{seed};
    pod_lab l{random_pod(r)};
    l.begin();
    auto steps = r.below(15);
    for (std::uint64_t n = 0; n < steps; ++n)
      do_something(l, r);
    auto status = l.whole_status();
    // The process dies here: only the host and the API remain.
    adopted_pod found{l.sandbox, "10.244.0.7", {}};
    std::map<int, int> attempts;
    for (std::size_t i = 0; i < l.core.containers().size(); ++i) {
      const auto& c = l.core.containers()[i];
      if (c.attempt < 0) continue;
      attempts[static_cast<int>(i)] = c.attempt;
      adopted_container a{l.core.model().containers[i].name,
                          c.attempt,
                          l.running.contains(static_cast<int>(i)),
                          "id",
                          "",
                          c.started_at,
                          c.exit.value_or(exit_record{1, "Error", "", {}, l.now, ""})};
      found.containers.push_back(a);
    }
    auto doc = json::parse(l.text_);
    doc.as_object()["status"] = status;
    pod_lab again{json::serialize(doc), found};
    again.now = l.now;
    again.running = l.running;
    again.sandbox = l.sandbox;
    auto was_running = l.running;
    again.begin();
    if (!again.core.ending())
      for (int i : was_running)
        CHECK(again.core.containers()[static_cast<std::size_t>(i)].attempt == attempts[i]);
    again.pass(20min);
    again.remove(10);
    again.pass(1h);
    CHECK(again.finished);
    CHECK(again.running.empty());
  }
}

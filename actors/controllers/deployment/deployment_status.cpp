#include "actors/controllers/deployment/deployment_status.hpp"

#include "api/meta/object_meta.hpp"

namespace troupe::ctl::deploy {

namespace {

struct totals {
  std::int64_t replicas = 0, updated = 0, ready = 0, available = 0;
};

totals count(const status_input& in) {
  totals t;
  t.replicas = sum(in.old, &replica_set::actual);
  t.ready = sum(in.old, &replica_set::ready);
  t.available = sum(in.old, &replica_set::available);
  if (in.fresh) {
    t.updated = in.fresh->actual;
    t.replicas += in.fresh->actual;
    t.ready += in.fresh->ready;
    t.available += in.fresh->available;
  }
  return t;
}

const json::value* condition(const json::array& list, std::string_view type) {
  for (const auto& c : list)
    if (jq::str(c, {"type"}) == type) return &c;
  return nullptr;
}

void drop(json::array& list, std::string_view type) {
  for (auto it = list.begin(); it != list.end();)
    it = jq::str(*it, {"type"}) == type ? list.erase(it) : it + 1;
}

/// Sets a condition; the same status and reason again keeps it as it is (so that status writes settle).
void set(json::array& list, std::string_view type, std::string_view status, std::string_view reason,
         std::string_view message, sys_micros now, bool touch = false) {
  auto old = condition(list, type);
  if (old && !touch && jq::str(*old, {"status"}) == status && jq::str(*old, {"reason"}) == reason) return;
  auto at = format_time(now);
  std::string since{old && jq::str(*old, {"status"}) == status ? jq::str(*old, {"lastTransitionTime"}) : at};
  json::object made{{"type", type},       {"status", status},     {"reason", reason},
                    {"message", message}, {"lastUpdateTime", at}, {"lastTransitionTime", since}};
  drop(list, type);
  list.emplace_back(std::move(made));
}

void availability(const status_input& in, const totals& t, json::array& list) {
  if (t.available >= in.f.min_available())
    set(list, "Available", "True", "MinimumReplicasAvailable", "Deployment has minimum availability.", in.now);
  else
    set(list, "Available", "False", "MinimumReplicasUnavailable", "Deployment does not have minimum availability.",
        in.now);
}

void progress(const status_input& in, const totals& t, json::array& list, outcome& out) {
  const auto& d = in.deployment.doc;
  auto deadline = jq::maybe_num(d, {"spec", "progressDeadlineSeconds"});
  if (!deadline || *deadline >= 2147483647) {
    drop(list, "Progressing");
    return;
  }
  std::string quoted = "ReplicaSet \"" + in.fresh_name + "\"";
  if (in.did == step::created)
    return set(list, "Progressing", "True", "NewReplicaSetCreated", "Created new replica set \"" + in.fresh_name + "\"",
               in.now);
  auto old = condition(list, "Progressing");
  if (in.did == step::found && !old)
    return set(list, "Progressing", "True", "FoundNewReplicaSet", "Found new replica set \"" + in.fresh_name + "\"",
               in.now);
  if (!in.track_progress) return;
  auto was = [&](std::string_view field) { return jq::num(d, {"status", field}); };
  auto finished_before = old && jq::str(*old, {"reason"}) == "NewReplicaSetAvailable";
  if (t.replicas == t.updated && finished_before && complete(in.f, in.fresh, in.old)) return;
  auto moved = t.updated > was("updatedReplicas") || t.ready > was("readyReplicas") ||
               t.available > was("availableReplicas") ||
               t.replicas - t.updated < was("replicas") - was("updatedReplicas");
  if (complete(in.f, in.fresh, in.old))
    return set(list, "Progressing", "True", "NewReplicaSetAvailable", quoted + " has successfully progressed.", in.now);
  if (moved || !old)
    return set(list, "Progressing", "True", "ReplicaSetUpdated", quoted + " is progressing.", in.now, true);
  if (finished_before) return; // pods failing after a finished rollout are no rollout
  auto reason = jq::str(*old, {"reason"});
  if (reason == "ProgressDeadlineExceeded") return;
  auto since = parse_time(jq::str(*old, {"lastUpdateTime"})).value_or(in.now);
  auto end = since + std::chrono::seconds{*deadline};
  if (reason == "DeploymentPaused" || end > in.now) return out.wake(std::max(end, in.now + std::chrono::seconds{1}));
  set(list, "Progressing", "False", "ProgressDeadlineExceeded", quoted + " has timed out progressing.", in.now);
}

void replica_failure(const status_input& in, json::array& list) {
  const json::value* found = nullptr;
  auto look = [&](const replica_set& r) {
    if (auto c = condition(jq::arr(r.i->doc, {"status", "conditions"}), "ReplicaFailure"); c && !found) found = c;
  };
  if (in.fresh && in.fresh->i) look(*in.fresh);
  if (!found)
    for (const auto& r : in.old)
      look(r);
  if (!found) return drop(list, "ReplicaFailure");
  set(list, "ReplicaFailure", jq::str(*found, {"status"}), jq::str(*found, {"reason"}), jq::str(*found, {"message"}),
      in.now);
}

} // namespace

bool complete(const facts& f, const replica_set* fresh, const std::vector<replica_set>& old) {
  return fresh && fresh->have == f.replicas && fresh->actual == f.replicas && fresh->available == f.replicas &&
         sum(old, &replica_set::actual) == 0 && sum(old, &replica_set::have) == 0;
}

void write_status(const status_input& in, outcome& out) {
  const auto& d = in.deployment.doc;
  auto t = count(in);
  auto conditions = jq::arr(d, {"status", "conditions"});
  availability(in, t, conditions);
  if (in.f.paused) {
    auto c = condition(conditions, "Progressing");
    if (c && jq::str(*c, {"reason"}) != "DeploymentPaused" && jq::maybe_num(d, {"spec", "progressDeadlineSeconds"}))
      set(conditions, "Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", in.now);
  } else {
    auto c = condition(conditions, "Progressing");
    if (c && jq::str(*c, {"reason"}) == "DeploymentPaused")
      set(conditions, "Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", in.now);
    progress(in, t, conditions, out);
  }
  replica_failure(in, conditions);
  auto unavailable =
      std::max<std::int64_t>(0, sum(in.old, &replica_set::want) + (in.fresh ? in.fresh->want : 0) - t.available);
  auto fill = [](std::int64_t n) { return n ? json::value(n) : json::value(nullptr); };
  json::object s{{"observedGeneration", meta::generation(d)}, {"replicas", fill(t.replicas)},
                 {"updatedReplicas", fill(t.updated)},        {"readyReplicas", fill(t.ready)},
                 {"availableReplicas", fill(t.available)},    {"unavailableReplicas", fill(unavailable)}};
  if (in.collisions) s["collisionCount"] = *in.collisions;
  bool same = jq::arr(d, {"status", "conditions"}) == conditions;
  for (const auto& [k, v] : s) {
    if (!same) break;
    same = jq::num(d, {"status", {k.data(), k.size()}}) == (v.is_null() ? 0 : v.to_number<std::int64_t>());
  }
  if (same) return;
  s["conditions"] = std::move(conditions);
  json::object patch{{"metadata", {{"uid", in.deployment.uid}}}};
  patch["status"] = std::move(s);
  out.actions.push_back(
      act::merge(refs::deployments, in.deployment.ns(), in.deployment.name(), std::move(patch), "status"));
}

} // namespace troupe::ctl::deploy

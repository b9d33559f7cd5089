#include "actors/controllers/replica_set/replica_set_core.hpp"

#include "actors/controllers/limits.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"

#include <algorithm>
#include <bit>
#include <tuple>

namespace troupe::ctl {

namespace {

note tell(const item& about, const char* type, const char* reason, std::string message) {
  return {about.doc, type, reason, std::move(message)};
}

/// Pods rank by what is lost when they go; equal ages are taken for equal within a factor of two.
int phase_rank(const pod_facts& p) { return p.phase == "Running" ? 2 : p.phase == "Unknown" ? 1 : 0; }

int age_class(sys_micros since, sys_micros now) {
  auto s = std::chrono::duration_cast<std::chrono::seconds>(now - since).count();
  return s <= 0 ? 0 : std::bit_width(static_cast<std::uint64_t>(s));
}

action adopt(const item& rs, const item& pod) {
  json::object meta{{"uid", pod.uid}};
  json::array owners;
  owners.emplace_back(meta::controller_reference(rs.doc));
  meta["ownerReferences"] = std::move(owners);
  json::object patch;
  patch["metadata"] = std::move(meta);
  return act::strategic(refs::pods, pod.ns(), pod.name(), std::move(patch));
}

action release(const item& rs, const item& pod) {
  json::object meta{{"uid", pod.uid}};
  json::array owners;
  owners.emplace_back(json::object{{"$patch", "delete"}, {"uid", rs.uid}});
  meta["ownerReferences"] = std::move(owners);
  json::object patch;
  patch["metadata"] = std::move(meta);
  return act::strategic(refs::pods, pod.ns(), pod.name(), std::move(patch));
}

struct counts {
  std::int64_t replicas = 0, labeled = 0, ready = 0, available = 0;
};

counts count(const replica_set_input& in, const std::vector<item_ptr>& mine, outcome& out) {
  counts c;
  std::chrono::seconds min_ready{jq::num(in.rs.doc, {"spec", "minReadySeconds"})};
  const auto& want = jq::obj(in.rs.doc, {"spec", "template", "metadata", "labels"});
  for (const auto& p : mine) {
    ++c.replicas;
    auto full = std::all_of(want.begin(), want.end(), [&](const auto& l) {
      auto have = p->raw->meta().label({l.key().data(), l.key().size()});
      return have && l.value().is_string() && *have == std::string_view{l.value().get_string()};
    });
    if (full) ++c.labeled;
    if (p->pod.ready) ++c.ready;
    std::optional<sys_micros> until;
    if (available(p->pod, min_ready, in.now, &until)) ++c.available;
    if (until) out.wake(*until);
  }
  return c;
}

json::array conditions(const replica_set_input& in, const std::string& failure, const char* failure_reason) {
  json::array out;
  for (const auto& c : jq::arr(in.rs.doc, {"status", "conditions"}))
    if (jq::str(c, {"type"}) != "ReplicaFailure")
      out.push_back(c);
    else if (!failure.empty() && jq::str(c, {"reason"}) == failure_reason)
      return jq::arr(in.rs.doc, {"status", "conditions"});
  if (!failure.empty())
    out.emplace_back(json::object{{"type", "ReplicaFailure"},
                                  {"status", "True"},
                                  {"reason", failure_reason},
                                  {"message", failure},
                                  {"lastTransitionTime", format_time(in.now)}});
  return out;
}

/// Zero counts are left out of stored objects: null removes them.
json::value or_null(std::int64_t n) { return n ? json::value(n) : json::value(nullptr); }

void write_status(const replica_set_input& in, const counts& c, outcome& out) {
  const auto& d = in.rs.doc;
  auto stored = [&](std::string_view field) { return jq::num(d, {"status", field}); };
  auto wanted = conditions(in, in.create_error, "FailedCreate");
  if (jq::find(d, {"status", "replicas"}) && stored("replicas") == c.replicas &&
      stored("fullyLabeledReplicas") == c.labeled && stored("readyReplicas") == c.ready &&
      stored("availableReplicas") == c.available && stored("observedGeneration") == meta::generation(d) &&
      jq::arr(d, {"status", "conditions"}) == wanted)
    return;
  json::object s{{"replicas", c.replicas},
                 {"fullyLabeledReplicas", or_null(c.labeled)},
                 {"readyReplicas", or_null(c.ready)},
                 {"availableReplicas", or_null(c.available)},
                 {"observedGeneration", meta::generation(d)}};
  s["conditions"] = wanted.empty() ? json::value(nullptr) : json::value(std::move(wanted));
  json::object patch{{"metadata", {{"uid", in.rs.uid}}}};
  patch["status"] = std::move(s);
  out.actions.push_back(act::merge(refs::replica_sets, in.rs.ns(), in.rs.name(), std::move(patch), "status"));
}

void create_pods(const replica_set_input& in, std::size_t n, outcome& out) {
  auto pod = pod_from_template(in.rs.doc);
  for (std::size_t i = 0; i < n; ++i) {
    auto a = act::create(refs::pods, in.rs.ns(), pod);
    a.tell = true;
    a.when_done = tell(in.rs, "Normal", "SuccessfulCreate", "Created pod: {}");
    a.when_failed = tell(in.rs, "Warning", "FailedCreate", "Error creating: {}");
    out.actions.push_back(std::move(a));
  }
}

void delete_pods(const replica_set_input& in, std::vector<item_ptr> active, std::size_t n, outcome& out) {
  std::vector<std::pair<item_ptr, std::size_t>> ranked;
  for (auto& p : active)
    ranked.emplace_back(p, in.crowd ? in.crowd(p->pod.node) : 0);
  std::sort(ranked.begin(), ranked.end(),
            [&](const auto& a, const auto& b) { return goes_first(*a.first, *b.first, a.second, b.second, in.now); });
  for (std::size_t i = 0; i < n && i < ranked.size(); ++i) {
    const auto& p = *ranked[i].first;
    auto a = act::remove(refs::pods, p.ns(), p.name(), p.uid);
    a.when_done = tell(in.rs, "Normal", "SuccessfulDelete", "Deleted pod: " + p.name());
    a.when_failed = tell(in.rs, "Warning", "FailedDelete", "Error deleting: {}");
    out.actions.push_back(std::move(a));
  }
}

} // namespace

bool available(const pod_facts& p, std::chrono::seconds min_ready, sys_micros now, std::optional<sys_micros>* until) {
  if (!p.ready) return false;
  if (min_ready.count() == 0) return true;
  if (!p.ready_since) return false;
  auto at = *p.ready_since + min_ready;
  if (at <= now) return true;
  if (until) *until = at;
  return false;
}

bool goes_first(const item& a, const item& b, std::size_t crowd_a, std::size_t crowd_b, sys_micros now) {
  const auto &p = a.pod, &q = b.pod;
  if (p.node.empty() != q.node.empty()) return p.node.empty();
  if (auto x = phase_rank(p), y = phase_rank(q); x != y) return x < y;
  if (p.ready != q.ready) return !p.ready;
  if (p.deletion_cost != q.deletion_cost) return p.deletion_cost < q.deletion_cost;
  if (crowd_a != crowd_b) return crowd_a > crowd_b;
  if (p.ready && p.ready_since && q.ready_since)
    if (auto x = age_class(*p.ready_since, now), y = age_class(*q.ready_since, now); x != y) return x < y;
  if (p.restarts != q.restarts) return p.restarts > q.restarts;
  if (auto x = age_class(a.created, now), y = age_class(b.created, now); x != y) return x < y;
  return a.uid < b.uid;
}

json::value pod_from_template(const json::value& doc) {
  json::object meta_out;
  for (const char* key : {"labels", "annotations", "finalizers"})
    if (auto v = jq::find(doc, {"spec", "template", "metadata", key})) meta_out[key] = *v;
  std::string base{meta::name(doc)};
  if (base.size() + 1 <= 253) base += "-";
  meta_out["generateName"] = base;
  meta_out["namespace"] = meta::ns(doc);
  json::array owners;
  owners.emplace_back(meta::controller_reference(doc));
  meta_out["ownerReferences"] = std::move(owners);
  json::object pod{{"apiVersion", "v1"}, {"kind", "Pod"}};
  pod["metadata"] = std::move(meta_out);
  if (auto spec = jq::find(doc, {"spec", "template", "spec"})) pod["spec"] = *spec;
  return pod;
}

replica_set_output replica_set_look(const replica_set_input& in) {
  replica_set_output r;
  auto sel = label_selector::from_object(jq::find(in.rs.doc, {"spec", "selector"}));
  std::vector<item_ptr> mine, active;
  for (const auto& p : in.owned) {
    auto match = sel && sel->matches(p->raw->meta().labels);
    if (!match && !in.rs.deleting && !p->deleting) r.out.actions.push_back(release(in.rs, *p));
    if (match || in.rs.deleting) mine.push_back(p);
  }
  if (sel && !in.rs.deleting)
    for (const auto& p : in.orphans)
      if (p->active() && sel->matches(p->raw->meta().labels)) {
        r.out.actions.push_back(adopt(in.rs, *p));
        mine.push_back(p);
      }
  for (const auto& p : mine)
    if (p->active()) active.push_back(p);
  auto want = static_cast<std::size_t>(std::max<std::int64_t>(0, jq::num(in.rs.doc, {"spec", "replicas"}, 1)));
  if (!in.rs.deleting && sel) {
    if (active.size() < want) {
      auto missing = std::min(want - active.size(), limits::burst_replicas_max);
      r.creates = std::min(missing, std::max<std::size_t>(1, in.batch_max));
      r.missing = want - active.size() - r.creates;
      create_pods(in, r.creates, r.out);
    } else if (active.size() > want) {
      delete_pods(in, active, std::min(active.size() - want, limits::burst_replicas_max), r.out);
    }
  }
  write_status(in, count(in, active, r.out), r.out);
  return r;
}

} // namespace troupe::ctl

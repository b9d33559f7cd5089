#include "actors/controllers/deployment/deployment_facts.hpp"

#include "api/meta/int_or_string.hpp"
#include "api/meta/object_meta.hpp"

#include <charconv>

namespace troupe::ctl::deploy {

namespace {
std::int64_t to_int(std::string_view s) {
  std::int64_t n = 0;
  std::from_chars(s.data(), s.data() + s.size(), n);
  return n;
}

std::int64_t resolve(const json::value& d, std::string_view field, std::int64_t total, rounding how) {
  auto v = jq::find(d, {"spec", "strategy", "rollingUpdate", field});
  if (!v) return how == rounding::up ? (total + 3) / 4 : total / 4; // the default of both is 25%
  auto n = resolve_count(*v, total, how);
  return n ? std::max<std::int64_t>(0, *n) : 0;
}

/// Not-ready replicas of old ReplicaSets go first: deleting them makes nothing less available.
std::int64_t drop_unhealthy(std::vector<replica_set>& old, std::int64_t budget) {
  std::int64_t dropped = 0;
  for (auto& r : old) {
    if (dropped >= budget) break;
    if (r.want == 0 || r.available >= r.want) continue;
    auto n = std::min(budget - dropped, r.want - r.available);
    r.want -= n;
    dropped += n;
  }
  return dropped;
}

bool lower_old(const facts& f, const replica_set& fresh, std::vector<replica_set>& old) {
  if (sum(old, &replica_set::want) == 0) return false;
  auto all = sum(old, &replica_set::want) + fresh.want;
  auto fresh_unavailable = std::max<std::int64_t>(0, fresh.have - fresh.available);
  auto budget = all - f.min_available() - fresh_unavailable;
  if (budget <= 0) return false;
  auto dropped = drop_unhealthy(old, budget);
  auto spare = sum(old, &replica_set::available) + fresh.available - f.min_available();
  // A replica that is not available and was just given up is not in `available`: what remains is healthy.
  for (auto& r : old) {
    if (spare <= 0 || dropped >= budget) break;
    auto n = std::min({r.want, spare, budget - dropped});
    r.want -= n;
    spare -= n;
    dropped += n;
  }
  return dropped > 0;
}
} // namespace

facts read_facts(const json::value& d) {
  facts f;
  f.replicas = jq::num(d, {"spec", "replicas"}, 1);
  f.paused = jq::flag(d, {"spec", "paused"});
  f.recreate = jq::str(d, {"spec", "strategy", "type"}) == "Recreate";
  f.min_ready_seconds = jq::num(d, {"spec", "minReadySeconds"});
  f.revision_history_limit = jq::num(d, {"spec", "revisionHistoryLimit"}, 10);
  if (f.recreate) return f;
  f.max_surge = resolve(d, "maxSurge", f.replicas, rounding::up);
  f.max_unavailable = resolve(d, "maxUnavailable", f.replicas, rounding::down);
  if (f.max_surge == 0 && f.max_unavailable == 0) f.max_unavailable = 1; // both rounded to nothing: still move
  f.max_unavailable = std::min(f.max_unavailable, f.replicas);
  return f;
}

replica_set read_replica_set(const item_ptr& i) {
  replica_set r;
  r.i = i;
  r.have = r.want = jq::num(i->doc, {"spec", "replicas"}, 1);
  r.actual = jq::num(i->doc, {"status", "replicas"});
  r.ready = jq::num(i->doc, {"status", "readyReplicas"});
  r.available = jq::num(i->doc, {"status", "availableReplicas"});
  r.revision = to_int(meta::annotation(i->doc, revision_key));
  return r;
}

bool roll(const facts& f, replica_set& fresh, std::vector<replica_set>& old) {
  if (fresh.have > f.replicas) {
    fresh.want = f.replicas;
    return true;
  }
  if (fresh.have < f.replicas) {
    auto room = f.max_total() - fresh.have - sum(old, &replica_set::have);
    if (room > 0) {
      fresh.want = fresh.have + std::min(room, f.replicas - fresh.have);
      return true; // one direction per look: the next one sees what became of it
    }
  }
  return lower_old(f, fresh, old);
}

void scale_proportionally(const facts& f, replica_set* fresh, std::vector<replica_set>& old) {
  std::vector<replica_set*> active;
  if (fresh && fresh->have > 0) active.push_back(fresh);
  for (auto& r : old)
    if (r.have > 0) active.push_back(&r);
  if (active.size() <= 1) {
    auto* only = active.empty() ? fresh : active.front();
    if (!only && !old.empty()) only = &old.back(); // the newest
    if (only) only->want = f.replicas;
    return;
  }
  auto saturated = fresh && fresh->have == f.replicas && fresh->available == f.replicas;
  if (saturated) {
    for (auto& r : old)
      r.want = 0;
    return;
  }
  if (f.recreate) return;
  std::int64_t total = 0;
  for (auto* r : active)
    total += r->have;
  auto allowed = f.replicas > 0 ? f.replicas + f.max_surge : 0;
  auto to_add = allowed - total;
  // Larger ones first; equal ones: newer first when growing, older first when shrinking.
  std::stable_sort(active.begin(), active.end(), [&](auto* a, auto* b) {
    if (a->have != b->have) return a->have > b->have;
    return to_add > 0 ? a->i->created > b->i->created : a->i->created < b->i->created;
  });
  std::int64_t added = 0;
  for (auto* r : active) {
    auto before = to_int(meta::annotation(r->i->doc, max_key));
    if (before <= 0) before = total;
    auto share = before > 0 ? (r->have * allowed * 2 + before) / (2 * before) - r->have : 0; // rounded to nearest
    auto left = to_add - added;
    share = to_add > 0 ? std::clamp<std::int64_t>(share, 0, left) : std::clamp<std::int64_t>(share, left, 0);
    r->want = std::max<std::int64_t>(0, r->have + share);
    added += r->want - r->have;
  }
  auto* largest = active.front();
  largest->want = std::max<std::int64_t>(0, largest->want + to_add - added); // what rounding left over
}

} // namespace troupe::ctl::deploy

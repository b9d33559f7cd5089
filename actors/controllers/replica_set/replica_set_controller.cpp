#include "actors/controllers/replica_set/replica_set_controller.hpp"

#include "actors/controllers/limits.hpp"
#include "actors/controllers/replica_set/replica_set_core.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"

#include <algorithm>
#include <memory>

namespace troupe::ctl {

namespace {
constexpr std::string_view table = "replicasets.apps";

const json::value* owner_of_kind(const item& i, std::string_view kind) {
  auto c = meta::controller_of(i.doc);
  return c && jq::str(*c, {"kind"}) == kind ? c : nullptr;
}
} // namespace

void replica_set_controller::observe(const change& c, const cluster_cache& cache, sys_micros) {
  if (c.table == table) {
    auto& i = c.after ? c.after : c.before;
    if (!i) return;
    if (!c.after) starts_.erase(i->key());
    queue.add(i->key());
    return;
  }
  if (c.table != "pods") return;
  for (const auto& i : {c.before, c.after}) {
    if (!i) continue;
    if (auto owner = owner_of_kind(*i, "ReplicaSet")) {
      queue.add(i->ns() + "/" + std::string{jq::str(*owner, {"name"})});
    } else if (i->controller_uid.empty() && i == c.after) {
      for (const auto& [name, rs] : cache.in(table, i->ns())) {
        auto sel = label_selector::from_object(jq::find(rs->doc, {"spec", "selector"}));
        if (sel && sel->matches(i->raw->meta().labels)) queue.add(rs->key());
      }
    }
  }
}

outcome replica_set_controller::reconcile(const std::string& key, const world& w) {
  auto rs = w.cache.get(table, key);
  if (!rs) return {};
  auto& st = starts_[key];
  replica_set_input in{*rs, w.cache.owned("pods", rs->uid), {}, {}, st.batch, st.error, w.now};
  if (!rs->deleting) in.orphans = w.cache.unowned("pods", rs->ns());
  // Pods of all ReplicaSets of the same owner count: a Deployment spreads as a whole.
  auto crowd = std::make_shared<std::unordered_map<std::string, std::size_t>>();
  auto want = static_cast<std::size_t>(std::max<std::int64_t>(0, jq::num(rs->doc, {"spec", "replicas"}, 1)));
  if (in.owned.size() > want) {
    auto family = rs->controller_uid.empty() ? std::vector<item_ptr>{rs} : w.cache.owned(table, rs->controller_uid);
    for (const auto& sibling : family)
      for (const auto& p : w.cache.owned("pods", sibling->uid))
        if (p->active()) ++(*crowd)[p->pod.node];
  }
  in.crowd = [crowd](const std::string& node) { return node.empty() ? 0 : (*crowd)[node]; };
  auto r = replica_set_look(in);
  if (r.creates == 0 && r.missing == 0)
    st = {};
  else
    st.batch = std::min(st.batch * 2, limits::burst_replicas_max);
  if (r.creates > 0) st.error.clear();
  return std::move(r.out);
}

void replica_set_controller::result(const std::string& key, const result_note& r) {
  if (r.code > 0 && r.code < 400) return;
  auto& st = starts_[key];
  st.batch = 1;
  st.error = r.message.empty() ? "no answer" : r.message;
}

} // namespace troupe::ctl

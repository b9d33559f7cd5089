#include "actors/controllers/deployment/deployment_controller.hpp"

#include "actors/controllers/deployment/deployment_core.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"

#include <algorithm>

namespace troupe::ctl {

namespace {
constexpr std::string_view deployments = "deployments.apps", replica_sets = "replicasets.apps";
} // namespace

void deployment_controller::observe(const change& c, const cluster_cache& cache, sys_micros) {
  const auto& i = c.after ? c.after : c.before;
  if (!i) return;
  if (c.table == deployments) {
    queue.add(i->key());
  } else if (c.table == replica_sets) {
    for (const auto& rs : {c.before, c.after}) {
      if (!rs) continue;
      if (auto owner = meta::controller_of(rs->doc)) {
        if (jq::str(*owner, {"kind"}) == "Deployment")
          queue.add(rs->ns() + "/" + std::string{jq::str(*owner, {"name"})});
      } else if (rs == c.after) {
        for (const auto& [name, d] : cache.in(deployments, rs->ns())) {
          auto sel = label_selector::from_object(jq::find(d->doc, {"spec", "selector"}));
          if (sel && sel->matches(rs->raw->meta().labels)) queue.add(d->key());
        }
      }
    }
  } else if (c.table == "pods" && (!c.after || (c.after->pod.finished() && c.before && !c.before->pod.finished()))) {
    // Recreate waits for the last old pod to go.
    auto owner = meta::controller_of(i->doc);
    if (!owner || jq::str(*owner, {"kind"}) != "ReplicaSet") return;
    auto rs = cache.get(replica_sets, i->ns(), jq::str(*owner, {"name"}));
    auto up = rs ? meta::controller_of(rs->doc) : nullptr;
    if (!up) return;
    auto d = cache.get(deployments, i->ns(), jq::str(*up, {"name"}));
    if (d && jq::str(d->doc, {"spec", "strategy", "type"}) == "Recreate") queue.add(d->key());
  }
}

outcome deployment_controller::reconcile(const std::string& key, const world& w) {
  auto d = w.cache.get(deployments, key);
  if (!d) return {};
  return deployment_look({*d, w.cache.owned(replica_sets, d->uid), w.cache.unowned(replica_sets, d->ns()),
                          [&](const std::string& name) { return w.cache.get(replica_sets, d->ns(), name); },
                          [&](const std::vector<item_ptr>& old) {
                            return std::any_of(old.begin(), old.end(), [&](const auto& rs) {
                              auto pods = w.cache.owned("pods", rs->uid);
                              return std::any_of(pods.begin(), pods.end(),
                                                 [](const auto& p) { return !p->pod.finished(); });
                            });
                          },
                          w.now});
}

} // namespace troupe::ctl

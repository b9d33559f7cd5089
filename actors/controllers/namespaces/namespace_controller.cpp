#include "actors/controllers/namespaces/namespace_controller.hpp"

#include "actors/controllers/limits.hpp"
#include "api/meta/object_meta.hpp"
#include "api/schema/registry.hpp"

#include <algorithm>
#include <map>

namespace troupe::ctl {

namespace {

/// Makers before what they make, so that nothing is made anew while the namespace empties; events last.
int order_of(std::string_view table) {
  if (table == "cronjobs.batch") return 0;
  if (table == "deployments.apps" || table == "jobs.batch") return 1;
  if (table == "replicasets.apps" || table == "statefulsets.apps" || table == "daemonsets.apps" ||
      table == "replicationcontrollers")
    return 2;
  if (table == "pods") return 3;
  return table == "events" ? 5 : 4;
}

struct content {
  std::map<std::string, std::size_t> remaining;  // table -> objects
  std::map<std::string, std::size_t> finalizers; // finalizer -> objects that carry it
  std::vector<std::pair<const schema::resource*, store::object_ptr>> to_delete;
  std::size_t total = 0;
};

content take_stock(const std::string& ns, const store::view& live) {
  content c;
  std::vector<const schema::resource*> tables;
  std::set<std::string_view> seen;
  for (const auto& r : schema::registry::get().resources())
    if (r.stored && r.namespaced && seen.insert(r.store_key).second) tables.push_back(&r);
  std::stable_sort(tables.begin(), tables.end(),
                   [](auto* a, auto* b) { return order_of(a->store_key) < order_of(b->store_key); });
  for (const auto* r : tables)
    live.scan(r->store_key, ns, [&](const store::object_ptr& o) {
      ++c.total;
      ++c.remaining[r->group.empty() ? r->plural + "." : r->plural + "." + r->group];
      if (!o->meta().deleting) {
        c.to_delete.emplace_back(r, o);
        return true;
      }
      auto doc = o->parse();
      for (const auto& f : meta::finalizers(doc))
        if (f.is_string()) ++c.finalizers[std::string{f.get_string()}];
      return true;
    });
  return c;
}

json::object condition(const item& ns, std::string_view type, bool bad, std::string_view reason, std::string message,
                       sys_micros now) {
  std::string_view status = bad ? "True" : "False";
  for (const auto& c : jq::arr(ns.doc, {"status", "conditions"}))
    if (jq::str(c, {"type"}) == type && jq::str(c, {"status"}) == status && jq::str(c, {"message"}) == message)
      return c.as_object();
  return {{"type", type},
          {"status", status},
          {"reason", reason},
          {"message", message},
          {"lastTransitionTime", format_time(now)}};
}

/// `pods. has 2 resource instances, configmaps. has 1 resource instances`
std::string list(const std::map<std::string, std::size_t>& m, std::string_view middle, std::string_view tail) {
  std::string out;
  for (const auto& [name, n] : m) {
    if (!out.empty()) out += ", ";
    out.append(name).append(middle).append(std::to_string(n)).append(tail);
  }
  return out;
}

void write_conditions(const item& ns, const content& c, sys_micros now, outcome& out) {
  json::array wanted;
  wanted.emplace_back(condition(ns, "NamespaceDeletionDiscoveryFailure", false, "ResourcesDiscovered",
                                "All resources successfully discovered", now));
  wanted.emplace_back(condition(ns, "NamespaceDeletionGroupVersionParsingFailure", false, "ParsedGroupVersions",
                                "All legacy kube types successfully parsed", now));
  wanted.emplace_back(condition(ns, "NamespaceDeletionContentFailure", false, "ContentDeleted",
                                "All content successfully deleted, may be waiting on finalization", now));
  if (c.total == 0)
    wanted.emplace_back(
        condition(ns, "NamespaceContentRemaining", false, "ContentRemoved", "All content successfully removed", now));
  else
    wanted.emplace_back(condition(ns, "NamespaceContentRemaining", true, "SomeResourcesRemain",
                                  "Some resources are remaining: " + list(c.remaining, " has ", " resource instances"),
                                  now));
  if (c.finalizers.empty())
    wanted.emplace_back(condition(ns, "NamespaceFinalizersRemaining", false, "ContentHasNoFinalizers",
                                  "All content-preserving finalizers finished", now));
  else
    wanted.emplace_back(condition(ns, "NamespaceFinalizersRemaining", true, "SomeFinalizersRemain",
                                  "Some content in the namespace has finalizers remaining: " +
                                      list(c.finalizers, " in ", " resource instances"),
                                  now));
  if (wanted == jq::arr(ns.doc, {"status", "conditions"})) return;
  json::object status;
  status["conditions"] = std::move(wanted);
  json::object patch;
  patch["status"] = std::move(status);
  out.actions.push_back(act::merge(refs::namespaces, {}, ns.name(), std::move(patch), "status"));
}

} // namespace

void namespace_controller::observe(const change& c, const cluster_cache&, sys_micros) {
  if (c.table == "namespaces") {
    const auto& i = c.after ? c.after : c.before;
    if (!c.after || !i->deleting) {
      dying_.erase(i->name());
      return;
    }
    dying_.insert(i->name());
    queue.add(i->name());
    return;
  }
  if (dying_.empty()) return;
  const auto& o = c.raw_after ? c.raw_after : c.raw_before;
  if (o && dying_.contains(o->ns)) queue.add(o->ns);
}

outcome namespace_controller::reconcile(const std::string& key, const world& w) {
  outcome out;
  auto ns = w.cache.get("namespaces", {}, key);
  if (!ns || !ns->deleting) return out;
  auto c = take_stock(key, w.live);
  for (std::size_t i = 0; i < c.to_delete.size() && i < limits::deletions_per_look_max; ++i) {
    const auto& [r, o] = c.to_delete[i];
    auto a = act::remove({r->group, r->version, r->plural}, o->ns, o->name, o->meta().uid, "Background");
    a.untracked = true; // the next look reads the live view
    out.actions.push_back(std::move(a));
  }
  if (c.to_delete.size() > limits::deletions_per_look_max) out.wake(w.now);
  if (c.total > 0) {
    // The first look only deletes: most namespaces are empty at the second one and need no conditions.
    if (c.to_delete.empty()) write_conditions(*ns, c, w.now, out);
    return out;
  }
  json::value doc = ns->doc;
  json::array left;
  for (const auto& f : jq::arr(doc, {"spec", "finalizers"}))
    if (!f.is_string() || f.get_string() != "kubernetes") left.push_back(f);
  if (left.size() == jq::arr(doc, {"spec", "finalizers"}).size()) return out;
  jq::at(doc, {"spec", "finalizers"}) = std::move(left);
  auto a = act::update(refs::namespaces, std::move(doc), "finalize");
  a.lenient = false;
  out.actions.push_back(std::move(a));
  return out;
}

} // namespace troupe::ctl

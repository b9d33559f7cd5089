#include "actors/controllers/garbage/garbage_collector.hpp"

#include "actors/controllers/limits.hpp"
#include "api/meta/object_meta.hpp"
#include "api/schema/registry.hpp"

#include <algorithm>
#include <optional>

namespace troupe::ctl {

namespace {

const schema::resource* resource_of_table(std::string_view table) {
  static const auto index = [] {
    std::unordered_map<std::string_view, const schema::resource*> m;
    for (const auto& r : schema::registry::get().resources())
      if (r.stored) m.try_emplace(r.store_key, &r);
    return m;
  }();
  auto it = index.find(table);
  return it == index.end() ? nullptr : it->second;
}

const schema::resource* resource_of_ref(const json::value& ref) {
  auto version = jq::str(ref, {"apiVersion"});
  auto slash = version.find('/');
  auto group = slash == std::string_view::npos ? std::string_view{} : version.substr(0, slash);
  if (slash != std::string_view::npos) version.remove_prefix(slash + 1);
  return schema::registry::get().find_by_kind(group, version, jq::str(ref, {"kind"}));
}

resource_ref ref_of(const schema::resource& r) { return {r.group, r.version, r.plural}; }

/// A patch that replaces one list of metadata, refused when the object changed meanwhile.
json::value list_patch(const json::value& doc, std::string_view field, json::array list) {
  json::object m{{"uid", meta::uid(doc)}, {"resourceVersion", meta::resource_version(doc)}};
  m[field] = list.empty() ? json::value(nullptr) : json::value(std::move(list));
  json::object patch;
  patch["metadata"] = std::move(m);
  return patch;
}

json::array without_finalizer(const json::value& doc, std::string_view name) {
  json::array out;
  for (const auto& f : meta::finalizers(doc))
    if (!f.is_string() || std::string_view{f.get_string()} != name) out.push_back(f);
  return out;
}

action untracked(action a) {
  a.untracked = true; // looks read the live view
  return a;
}

} // namespace

void garbage_collector::drop(const place& p) {
  auto it = owners_of_.find(p);
  if (it == owners_of_.end()) return;
  for (const auto& uid : it->second) {
    auto o = owners_.find(uid);
    if (o == owners_.end()) continue;
    o->second.dependents.erase(p);
    if (auto f = foreground_.find(uid); f != foreground_.end()) queue.add(f->second.key('f'));
    if (o->second.dependents.empty()) owners_.erase(o);
  }
  owners_of_.erase(it);
}

void garbage_collector::put(std::string_view table, const store::object_ptr& o) {
  const auto& m = o->meta();
  place p{std::string{table}, o->ns, o->name};
  auto known = owners_of_.find(p);
  if (known == owners_of_.end() ? m.owner_uids.empty() : known->second == m.owner_uids) {
    if (m.deleting) queue.add(p.key('f'));
    return;
  }
  if (known != owners_of_.end()) drop(p);
  if (!m.owner_uids.empty()) {
    owners_of_[p] = m.owner_uids;
    for (const auto& uid : m.owner_uids) {
      auto& e = owners_[uid];
      e.dependents.insert(p);
      if (recently_deleted(uid))
        queue.add(p.key('d'));
      else if (!e.verified)
        queue.add("o\n" + uid);
    }
  }
  if (m.deleting) queue.add(p.key('f'));
}

void garbage_collector::owner_deleted(const std::string& uid) {
  foreground_.erase(uid);
  if (deleted_.insert(uid).second) {
    deleted_order_.push_back(uid);
    if (deleted_order_.size() > limits::deleted_owners_max) {
      deleted_.erase(deleted_order_.front());
      deleted_order_.pop_front();
    }
  }
  auto it = owners_.find(uid);
  if (it == owners_.end()) return;
  it->second.verified = false;
  for (const auto& p : it->second.dependents)
    queue.add(p.key('d'));
}

void garbage_collector::observe(const change& c, const cluster_cache&, sys_micros) {
  if (c.table == "events" || c.table == "leases.coordination.k8s.io") {
    const auto& o = c.raw_after ? c.raw_after : c.raw_before;
    if (!o || (o->meta().owner_uids.empty() && !o->meta().deleting)) return; // too many to be owners
  }
  if (c.raw_after) return put(c.table, c.raw_after);
  if (!c.raw_before) return;
  drop({std::string{c.table}, c.raw_before->ns, c.raw_before->name});
  owner_deleted(c.raw_before->meta().uid);
}

void garbage_collector::relisted(std::string_view table, const store::view& now_view, sys_micros) {
  std::vector<place> stale;
  for (const auto& [p, owners] : owners_of_)
    if (p.table == table && !now_view.get(table, p.ns, p.name)) stale.push_back(p);
  for (const auto& p : stale)
    drop(p);
  // Owners of this table may have gone unseen: their dependents ask again.
  for (auto& [uid, e] : owners_) {
    if (!e.verified) continue;
    e.verified = false;
    queue.add("o\n" + uid);
  }
  now_view.scan(table, {}, [&](const store::object_ptr& o) {
    put(table, o);
    return true;
  });
}

garbage_collector::standing garbage_collector::look_up(const json::value& ref, const std::string& ns,
                                                       const store::view& live) const {
  auto r = resource_of_ref(ref);
  if (!r || !r->stored) return standing::solid;            // cannot be checked: keep
  if (r->namespaced && ns.empty()) return standing::solid; // invalid by the API's rules, and never collected
  auto owner = live.get(r->store_key, r->namespaced ? ns : std::string{}, jq::str(ref, {"name"}));
  auto uid = jq::str(ref, {"uid"});
  if (!owner || owner->meta().uid != uid) return standing::absent;
  if (recently_deleted(std::string{uid})) return standing::absent; // this view lags behind the watch
  if (owner->meta().deleting && meta::has_finalizer(owner->parse(), "foregroundDeletion")) return standing::waiting;
  return standing::solid;
}

void garbage_collector::check_owner(const std::string& uid, const world& w) {
  auto it = owners_.find(uid);
  if (it == owners_.end() || it->second.verified) return;
  bool present = false;
  for (const auto& p : it->second.dependents) {
    auto o = w.live.get(p.table, p.ns, p.name);
    if (!o) continue;
    auto doc = o->parse();
    for (const auto& ref : meta::owners(doc))
      if (jq::str(ref, {"uid"}) == uid) present = look_up(ref, p.ns, w.live) == standing::solid;
    if (present) break; // references of one uid name one object
    queue.add(p.key('d'));
  }
  // Dependents in other namespaces than the owner are told apart only one by one.
  it->second.verified = present;
  if (present && it->second.dependents.size() > 1) {
    const auto& first = it->second.dependents.begin()->ns;
    for (const auto& p : it->second.dependents)
      if (p.ns != first) queue.add(p.key('d'));
  }
}

void garbage_collector::check_dependent(const place& p, const world& w, outcome& out) {
  auto o = w.live.get(p.table, p.ns, p.name);
  auto r = resource_of_table(p.table);
  if (!o || !r || o->meta().owner_uids.empty()) return;
  auto doc = o->parse();
  auto foreground = meta::has_finalizer(doc, "foregroundDeletion");
  if (o->meta().deleting && !foreground) return;
  json::array solid;
  std::size_t absent = 0, waiting = 0;
  bool blocks = false;
  for (const auto& ref : meta::owners(doc)) {
    auto s = look_up(ref, p.ns, w.live);
    if (s == standing::solid)
      solid.push_back(ref);
    else if (s == standing::absent)
      ++absent;
    else
      ++waiting, blocks = blocks || jq::flag(ref, {"blockOwnerDeletion"});
  }
  if (absent + waiting == 0) return;
  if (!solid.empty()) {
    out.actions.push_back(
        untracked(act::merge(ref_of(*r), p.ns, p.name, list_patch(doc, "ownerReferences", std::move(solid)))));
    return;
  }
  if (o->meta().deleting) return;
  auto mine = owners_.find(o->meta().uid);
  auto has_dependents = mine != owners_.end() && !mine->second.dependents.empty();
  std::string_view how = "Background";
  if (meta::has_finalizer(doc, "orphan"))
    how = "Orphan";
  else if (foreground || (waiting > 0 && has_dependents))
    how = "Foreground";
  out.actions.push_back(
      untracked(act::remove(ref_of(*r), p.ns, p.name, o->meta().uid, how, meta::resource_version(doc))));
}

void garbage_collector::process_orphans(const place& p, const json::value& doc, const world& w, outcome& out) {
  std::string uid{meta::uid(doc)};
  if (auto it = owners_.find(uid); it != owners_.end())
    for (const auto& d : it->second.dependents) {
      auto o = w.live.get(d.table, d.ns, d.name);
      auto r = resource_of_table(d.table);
      if (!o || !r) continue;
      auto dep = o->parse();
      json::array left;
      for (const auto& ref : meta::owners(dep))
        if (jq::str(ref, {"uid"}) != uid) left.push_back(ref);
      if (left.size() == meta::owners(dep).size()) continue;
      out.actions.push_back(
          untracked(act::merge(ref_of(*r), d.ns, d.name, list_patch(dep, "ownerReferences", std::move(left)))));
      if (out.actions.size() >= limits::deletions_per_look_max) break;
    }
  if (!out.actions.empty()) return out.wake(w.now); // looked at again when these are written
  auto r = resource_of_table(p.table);
  out.actions.push_back(
      untracked(act::merge(ref_of(*r), p.ns, p.name, list_patch(doc, "finalizers", without_finalizer(doc, "orphan")))));
}

void garbage_collector::process_foreground(const place& p, const json::value& doc, const world& w, outcome& out) {
  std::string uid{meta::uid(doc)};
  foreground_[uid] = p;
  bool blocked = false;
  if (auto it = owners_.find(uid); it != owners_.end())
    for (const auto& d : it->second.dependents) {
      auto o = w.live.get(d.table, d.ns, d.name);
      if (!o) continue;
      auto dep = o->parse();
      for (const auto& ref : meta::owners(dep))
        if (jq::str(ref, {"uid"}) == uid && jq::flag(ref, {"blockOwnerDeletion"})) blocked = true;
      if (!o->meta().deleting) queue.add(d.key('d'));
    }
  if (blocked) return; // each dependent that goes puts this key back
  auto r = resource_of_table(p.table);
  out.actions.push_back(untracked(act::merge(
      ref_of(*r), p.ns, p.name, list_patch(doc, "finalizers", without_finalizer(doc, "foregroundDeletion")))));
}

void garbage_collector::process_owner(const place& p, const world& w, outcome& out) {
  auto o = w.live.get(p.table, p.ns, p.name);
  if (!o || !o->meta().deleting || !resource_of_table(p.table)) return;
  auto doc = o->parse();
  auto orphan = meta::has_finalizer(doc, "orphan");
  auto foreground = meta::has_finalizer(doc, "foregroundDeletion");
  if (!orphan && !foreground) return;
  if (w.catch_up) w.catch_up(o->mod); // dependents made before the deletion must be known
  if (orphan)
    process_orphans(p, doc, w, out);
  else
    process_foreground(p, doc, w, out);
}

outcome garbage_collector::reconcile(const std::string& key, const world& w) {
  outcome out;
  if (key.starts_with("o\n")) {
    check_owner(key.substr(2), w);
    return out;
  }
  auto a = key.find('\n'), b = key.find('\n', a + 1), c = key.find('\n', b + 1);
  place p{key.substr(a + 1, b - a - 1), key.substr(b + 1, c - b - 1), key.substr(c + 1)};
  if (key.front() == 'd')
    check_dependent(p, w, out);
  else
    process_owner(p, w, out);
  return out;
}

} // namespace troupe::ctl

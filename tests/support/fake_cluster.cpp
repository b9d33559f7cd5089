#include "tests/support/fake_cluster.hpp"

#include "api/meta/object_meta.hpp"
#include "api/patch/patch.hpp"
#include "api/schema/registry.hpp"

#include <algorithm>

namespace troupe::test {

namespace {

class fake_view : public store::view {
public:
  fake_view(store::revision rev, fake_cluster::tables t) : rev_(rev), tables_(std::move(t)) {}
  store::revision rev() const noexcept override { return rev_; }
  store::object_ptr get(std::string_view table, std::string_view ns, std::string_view name) const override {
    auto t = tables_.find(table);
    if (t == tables_.end()) return nullptr;
    auto it = t->second.find({std::string{ns}, std::string{name}});
    return it == t->second.end() ? nullptr : it->second;
  }
  void scan(std::string_view table, std::string_view ns, std::string_view after_ns, std::string_view after_name,
            const std::function<bool(const store::object_ptr&)>& fn) const override {
    auto t = tables_.find(table);
    if (t == tables_.end()) return;
    for (const auto& [k, o] : t->second) {
      if (!ns.empty() && k.first != ns) continue;
      if (!after_name.empty() && k <= fake_cluster::key{after_ns, after_name}) continue;
      if (!fn(o)) return;
    }
  }
  std::size_t count(std::string_view table, std::string_view ns) const override {
    std::size_t n = 0;
    view::scan(table, ns, [&](const auto&) { return ++n, true; });
    return n;
  }
  std::vector<std::string> tables() const override {
    std::vector<std::string> out;
    for (const auto& [name, t] : tables_)
      out.push_back(name);
    return out;
  }

private:
  store::revision rev_;
  fake_cluster::tables tables_;
};

response_ptr refusal(int code, std::string reason, std::string message) {
  auto r = std::make_shared<response>();
  r->code = code;
  auto s = std::make_shared<status>();
  s->code = code;
  s->reason = std::move(reason);
  s->message = std::move(message);
  r->error = s;
  return r;
}

response_ptr answer(store::object_ptr o) {
  auto r = std::make_shared<response>();
  r->object = std::move(o);
  return r;
}

response_ptr gone(const request& r) { return refusal(404, "NotFound", r.plural + " \"" + r.name + "\" not found"); }
response_ptr stale() { return refusal(409, "Conflict", "the object has been modified"); }

const json::value& body(const request& r) {
  static const json::value none;
  auto p = std::get_if<std::shared_ptr<const json::value>>(&r.body);
  return p && *p ? **p : none;
}

bool held(const json::value& d, std::string_view table) {
  if (!meta::finalizers(d).empty()) return true;
  return table == "namespaces" && !jq::arr(d, {"spec", "finalizers"}).empty();
}
} // namespace

struct fake_cluster::sub : store::subscription {
  sub(fake_cluster* c, std::string t, std::function<void()> w) : cluster(c), table(std::move(t)), wake(std::move(w)) {}
  ~sub() override { std::erase(cluster->subs_, this); }
  void arm(store::revision cursor) override {
    armed = true;
    const auto& h = cluster->history(table);
    if (!h.empty() && h.back()->rev > cursor) fire();
  }
  void fire() {
    if (!armed) return;
    armed = false;
    wake();
  }
  fake_cluster* cluster;
  std::string table;
  std::function<void()> wake;
  bool armed = false;
};

store::view_ptr fake_cluster::current() const {
  if (!cached_ || cached_->rev() != rev_) cached_ = std::make_shared<fake_view>(rev_, tables_);
  return cached_;
}

store::pull_result fake_cluster::pull(std::string_view table, store::revision cursor, std::size_t limit) const {
  store::pull_result r;
  const auto& h = history(table);
  auto it = std::upper_bound(h.begin(), h.end(), cursor, [](auto c, const auto& e) { return c < e->rev; });
  for (; it != h.end() && r.events.size() < limit; ++it)
    r.events.push_back(*it);
  r.upto = r.events.size() < limit ? rev_ : r.events.back()->rev;
  return r;
}

std::unique_ptr<store::subscription> fake_cluster::subscribe(std::string_view table, std::function<void()> wake) {
  auto s = std::make_unique<sub>(this, std::string{table}, std::move(wake));
  subs_.push_back(s.get());
  return s;
}

const std::vector<store::event_ptr>& fake_cluster::history(std::string_view table) const {
  static const std::vector<store::event_ptr> none;
  auto it = history_.find(table);
  return it == history_.end() ? none : it->second;
}

void fake_cluster::notify(std::string_view table) {
  for (std::size_t i = 0; i < subs_.size(); ++i)
    if (subs_[i]->table == table) subs_[i]->fire();
  ++writes;
  if (after_write) after_write();
}

store::object_ptr fake_cluster::commit(std::string_view table, json::value d, store::object_ptr before) {
  jq::at(d, {"metadata", "resourceVersion"}) = std::to_string(++rev_);
  auto o = std::make_shared<store::object>();
  o->ns = meta::ns(d);
  o->name = meta::name(d);
  o->bytes = json::serialize(d);
  o->mod = rev_;
  o->created = before ? before->created : rev_;
  auto e = std::make_shared<store::event>();
  e->type = before ? store::event_type::modified : store::event_type::added;
  e->rev = rev_;
  e->current = o;
  e->previous = before;
  tables_[std::string{table}][{o->ns, o->name}] = o;
  history_[std::string{table}].push_back(e);
  notify(table);
  return o;
}

void fake_cluster::drop(std::string_view table, const store::object_ptr& before) {
  auto d = before->parse();
  jq::at(d, {"metadata", "resourceVersion"}) = std::to_string(++rev_);
  auto o = std::make_shared<store::object>();
  o->ns = before->ns;
  o->name = before->name;
  o->bytes = json::serialize(d);
  o->mod = rev_;
  auto e = std::make_shared<store::event>();
  e->type = store::event_type::deleted;
  e->rev = rev_;
  e->current = o;
  e->previous = before;
  tables_[std::string{table}].erase({o->ns, o->name});
  history_[std::string{table}].push_back(e);
  notify(table);
}

store::object_ptr fake_cluster::put(std::string_view table, json::value d) {
  auto before = get(table, meta::ns(d), meta::name(d));
  auto& m = jq::at(d, {"metadata"});
  if (meta::uid(d).empty()) m.as_object()["uid"] = before ? before->meta().uid : "uid-" + std::to_string(++next_);
  if (!m.as_object().contains("creationTimestamp")) m.as_object()["creationTimestamp"] = format_time(now);
  if (!m.as_object().contains("generation")) m.as_object()["generation"] = 1;
  return commit(table, std::move(d), before);
}

void fake_cluster::erase(std::string_view table, std::string_view ns, std::string_view name) {
  if (auto o = get(table, ns, name)) drop(table, o);
}

store::object_ptr fake_cluster::get(std::string_view table, std::string_view ns, std::string_view name) const {
  auto t = tables_.find(table);
  if (t == tables_.end()) return nullptr;
  auto it = t->second.find({std::string{ns}, std::string{name}});
  return it == t->second.end() ? nullptr : it->second;
}

json::value fake_cluster::doc(std::string_view table, std::string_view ns, std::string_view name) const {
  auto o = get(table, ns, name);
  return o ? o->parse() : json::value{};
}

std::vector<store::object_ptr> fake_cluster::all(std::string_view table) const {
  std::vector<store::object_ptr> out;
  if (auto t = tables_.find(table); t != tables_.end())
    for (const auto& [k, o] : t->second)
      out.push_back(o);
  return out;
}

response_ptr fake_cluster::handle(const request& r) {
  std::string table = r.plural;
  if (!r.group.empty()) table += "." + r.group;
  if (fail && fail(r)) return refusal(500, "InternalError", "injected failure");
  switch (r.what) {
  case verb::create: return r.subresource == "binding" ? bind(r) : create(r, table);
  case verb::update:
  case verb::patch: return change(r, table);
  case verb::delete_: return remove(r, table);
  default: break;
  }
  auto o = get(table, r.ns, r.name);
  return o ? answer(o) : gone(r);
}

response_ptr fake_cluster::create(const request& r, const std::string& table) {
  json::value d = body(r);
  if (meta::name(d).empty()) {
    auto base = std::string{jq::str(d, {"metadata", "generateName"})};
    jq::at(d, {"metadata", "name"}) = base + std::to_string(++next_);
  }
  if (!r.ns.empty()) {
    jq::at(d, {"metadata", "namespace"}) = r.ns;
    if (auto ns = get("namespaces", "", r.ns); ns && ns->meta().deleting) {
      auto no = refusal(403, "Forbidden", "namespace is being terminated");
      auto s = std::make_shared<status>(*no->error);
      s->causes.push_back({"NamespaceTerminating", "", ""});
      std::const_pointer_cast<response>(no)->error = s;
      return no;
    }
  }
  if (get(table, meta::ns(d), meta::name(d)))
    return refusal(409, "AlreadyExists", std::string{meta::name(d)} + " already exists");
  jq::at(d, {"metadata", "uid"}) = "uid-" + std::to_string(++next_);
  jq::at(d, {"metadata", "creationTimestamp"}) = format_time(now);
  jq::at(d, {"metadata", "generation"}) = 1;
  if (table == "pods") jq::at(d, {"status", "phase"}) = "Pending";
  return answer(commit(table, std::move(d), nullptr));
}

response_ptr fake_cluster::bind(const request& r) {
  auto o = get("pods", r.ns, r.name);
  if (!o) return gone(r);
  auto d = o->parse();
  if (auto at = jq::str(d, {"spec", "nodeName"}); !at.empty())
    return refusal(409, "Conflict", "pod " + r.name + " is already assigned to node");
  jq::at(d, {"spec", "nodeName"}) = jq::str(body(r), {"target", "name"});
  commit("pods", std::move(d), o);
  return std::make_shared<response>();
}

response_ptr fake_cluster::settle(const std::string& table, json::value d, const store::object_ptr& before) {
  if (meta::deleting(d) && !held(d, table) && table != "pods") {
    drop(table, before);
    return std::make_shared<response>();
  }
  return answer(commit(table, std::move(d), before));
}

response_ptr fake_cluster::change(const request& r, const std::string& table) {
  auto o = get(table, r.ns, r.name);
  if (!o) return gone(r);
  auto was = o->parse();
  json::value d;
  const auto& b = body(r);
  if (auto rv = meta::resource_version(b); !rv.empty() && rv != meta::resource_version(was)) return stale();
  if (auto uid = meta::uid(b); !uid.empty() && uid != meta::uid(was)) return stale();
  if (r.what == verb::update) {
    d = b;
  } else if (r.content_type == "application/merge-patch+json") {
    d = patch::merge_patch(was, b);
  } else {
    auto res = schema::registry::get().find(r.group, r.version, r.plural);
    auto merged = patch::strategic_merge_patch(*res->body, was, b);
    if (!merged) return refusal(422, "Invalid", merged.error().message);
    d = *merged;
  }
  for (const char* f : {"uid", "creationTimestamp"})
    jq::at(d, {"metadata", f}) = jq::str(was, {"metadata", f});
  auto keep = [&](const char* part) {
    if (auto v = jq::find(was, {part}))
      jq::at(d, {part}) = *v;
    else
      jq::erase(d, {part});
  };
  keep(r.subresource == "status" ? "spec" : "status");
  if (r.subresource != "status" && jq::obj(d, {"spec"}) != jq::obj(was, {"spec"}))
    jq::at(d, {"metadata", "generation"}) = meta::generation(was) + 1;
  jq::at(d, {"metadata", "resourceVersion"}) = meta::resource_version(was);
  if (d == was) return answer(o); // nothing changed: no new revision
  return settle(table, std::move(d), o);
}

response_ptr fake_cluster::remove(const request& r, const std::string& table) {
  auto o = get(table, r.ns, r.name);
  if (!o) return gone(r);
  auto d = o->parse();
  const auto& b = body(r);
  if (auto uid = jq::str(b, {"preconditions", "uid"}); !uid.empty() && uid != meta::uid(d)) return stale();
  if (auto rv = jq::str(b, {"preconditions", "resourceVersion"}); !rv.empty() && rv != meta::resource_version(d))
    return stale();
  auto how = jq::str(b, {"propagationPolicy"});
  if (how == "Foreground") meta::add_finalizer(d, "foregroundDeletion");
  if (how == "Orphan") meta::add_finalizer(d, "orphan");
  auto graceful =
      table == "pods" && !jq::str(d, {"spec", "nodeName"}).empty() && jq::num(b, {"gracePeriodSeconds"}, 30) > 0;
  if (!graceful && !held(d, table)) {
    drop(table, o);
    return std::make_shared<response>();
  }
  if (meta::deleting(d) && how.empty()) return answer(o);
  jq::at(d, {"metadata", "deletionTimestamp"}) = format_time(now);
  if (table == "namespaces") jq::at(d, {"status", "phase"}) = "Terminating";
  return answer(commit(table, std::move(d), o));
}

} // namespace troupe::test

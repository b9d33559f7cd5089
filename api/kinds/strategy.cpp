#include "api/kinds/strategy.hpp"

#include "api/kinds/rules.hpp"

#include <algorithm>
#include <map>

namespace troupe::kinds {

namespace {

json::value zero_of(const schema::field& f) {
  if (f.how == schema::shape::list) return f.name == "items" ? json::value(json::array{}) : json::value(nullptr);
  if (f.how == schema::shape::map) return json::object{};
  switch (f.what) {
  case schema::form::string:
  case schema::form::bytes: return "";
  case schema::form::boolean: return false;
  case schema::form::int32:
  case schema::form::int64:
  case schema::form::number:
  case schema::form::int_or_string: return 0;
  case schema::form::quantity: return "0";
  case schema::form::duration: return "0s";
  case schema::form::structure: return f.ref && !f.pointer ? json::value(emitted_zero(*f.ref)) : json::value(nullptr);
  default: return nullptr;
  }
}

json::value empty_status(const schema::resource& r) {
  const auto* f = r.body ? r.body->find("status") : nullptr;
  return f && f->ref ? emitted_zero(*f->ref) : json::object{};
}

bool is_content(json::string_view key) {
  return key != "metadata" && key != "status" && key != "kind" && key != "apiVersion";
}

/// Whether anything but metadata and status differs: what generation counts.
bool content_differs(const json::value& a, const json::value& b) {
  const auto* x = a.if_object();
  const auto* y = b.if_object();
  if (!x || !y) return true;
  for (const auto& [k, v] : *x)
    if (is_content(k) && differ(&v, y->if_contains(k))) return true;
  for (const auto& [k, v] : *y)
    if (is_content(k) && !v.is_null() && !x->contains(k)) return true;
  return false;
}

/// Takes member `key` from the stored object, or drops it when that has none.
void keep(json::object& to, const json::object& from, std::string_view key) {
  if (const auto* v = from.if_contains(key))
    to[key] = *v;
  else
    to.erase(key);
}

json::object& metadata_of(json::value& obj) {
  auto& m = jq::at(obj, {"metadata"});
  if (!m.is_object()) m.emplace_object();
  return m.get_object();
}

result<void> check_version(const schema::resource& r, json::object& m, const json::value& obj, const json::value& old) {
  const resource_name what{r.group, r.plural};
  const auto uid = meta::uid(obj), stored_uid = meta::uid(old);
  if (!uid.empty() && uid != stored_uid)
    return errors::conflict(what, meta::name(obj),
                            "Precondition failed: UID in precondition: " + std::string{uid} +
                                ", UID in object meta: " + std::string{stored_uid});
  const auto version = meta::resource_version(obj);
  if (!version.empty() && version != "0" && version != meta::resource_version(old))
    return errors::modified(what, meta::name(old));
  if ((version.empty() || version == "0") && !r.unconditional_update) {
    // Written by hand: the value is the number that real servers print here.
    cause c{"FieldValueInvalid", "Invalid value: 0x0: must be specified for an update", "metadata.resourceVersion"};
    return errors::invalid(r.kind, r.group, meta::name(old), {std::move(c)});
  }
  m["resourceVersion"] = meta::resource_version(old);
  return {};
}

/// What no request may change in metadata, whatever it sends.
void keep_metadata(json::object& m, const json::value& old) {
  const auto& o = jq::obj(old, {"metadata"});
  for (auto key : {"generation", "managedFields", "deletionTimestamp", "deletionGracePeriodSeconds", "uid"})
    keep(m, o, key);
  m.erase("selfLink");
  for (auto key : {"name", "namespace", "creationTimestamp", "generateName"}) {
    const auto* mine = m.if_contains(key);
    if (!mine || mine->is_null()) keep(m, o, key);
  }
}

/// `/status`: everything but status is the stored object's; labels, annotations and finalizers may change.
void prepare_status(const schema::resource& r, json::value& obj, const json::value& old) {
  auto& o = obj.as_object();
  const auto& stored = old.as_object();
  std::vector<std::string> mine;
  for (const auto& [k, v] : o)
    if (is_content(k)) mine.emplace_back(jq::view(k));
  for (const auto& k : mine)
    if (!stored.contains(k)) o.erase(k);
  for (const auto& [k, v] : stored)
    if (is_content(k)) o[k] = v;
  const auto& stored_meta = jq::obj(old, {"metadata"});
  if (r.kind == "Deployment") keep(metadata_of(obj), stored_meta, "labels");
  if (r.kind == "Pod") keep(metadata_of(obj), stored_meta, "ownerReferences");
}

/// Conditions of a signing request; times that are not given are now.
void prepare_approval(json::value& obj, const json::value& old, sys_micros now) {
  auto conditions = jq::arr(obj, {"status", "conditions"});
  const auto instant = format_time(now);
  for (auto& c : conditions) {
    if (!c.is_object()) continue;
    for (auto key : {"lastUpdateTime", "lastTransitionTime"})
      if (jq::str(c, {key}).empty()) c.as_object()[key] = instant;
  }
  auto next = old;
  next.as_object()["metadata"] = at(obj, {"metadata"});
  jq::at(next, {"status", "conditions"}) = std::move(conditions);
  obj = std::move(next);
}

/// One member of spec is the request's, the rest is the stored object's.
void prepare_spec_member(json::value& obj, const json::value& old, std::string_view member) {
  auto next = old;
  next.as_object()["metadata"] = at(obj, {"metadata"});
  if (const auto* v = jq::find(obj, {"spec", member}))
    jq::at(next, {"spec", member}) = *v;
  else
    jq::erase(next, {"spec", member});
  obj = std::move(next);
}

/// Kinds that say in their own words that a field may not change.
struct own_words {
  std::string_view kind, path, detail;
};
constexpr own_words forbidden_changes[] = {
    {"PriorityClass", "value", "may not be changed in an update."},
    {"StorageClass", "parameters", "updates to parameters are forbidden."},
    {"StorageClass", "provisioner", "updates to provisioner are forbidden."},
    {"StorageClass", "reclaimPolicy", "updates to reclaimPolicy are forbidden."},
};

/// Immutable paths of the data that carry no condition in words.
void check_immutable_paths(field_errors& e, const schema::resource& r, const json::value& obj, const json::value& old) {
  for (const auto& p : r.immutable) {
    if (p.find_first_of(" *<[(") != p.npos || p == "roleRef") continue;
    const auto own = std::find_if(std::begin(forbidden_changes), std::end(forbidden_changes),
                                  [&](const own_words& w) { return w.kind == r.kind && w.path == p; });
    if (own != std::end(forbidden_changes)) {
      if (differ(jq::find(obj, {own->path}), jq::find(old, {own->path}))) e.push_back(field::forbidden(p, own->detail));
      continue;
    }
    const auto dot = p.find('.');
    const std::string_view path{p};
    if (dot == p.npos)
      check_immutable(e, obj, old, {path});
    else if (path.find('.', dot + 1) == path.npos)
      check_immutable(e, obj, old, {path.substr(0, dot), path.substr(dot + 1)});
  }
}

} // namespace

json::object emitted_zero(const schema::type& type) {
  json::object out;
  for (const auto& f : type.fields)
    if (f.emit) out[f.name] = zero_of(f);
  return out;
}

const kind_rule* find_kind(std::string_view group, std::string_view kind) noexcept {
  static const auto all = [] {
    std::map<std::pair<std::string_view, std::string_view>, const kind_rule*> out;
    for (const auto table : {core_kinds(), config_kinds(), workload_kinds(), batch_kinds(), network_kinds(),
                             storage_kinds(), policy_kinds(), access_kinds(), extension_kinds()})
      for (const auto& k : table)
        out.emplace(std::pair{k.group, k.kind}, &k);
    return out;
  }();
  const auto it = all.find({group, kind});
  return it == all.end() ? nullptr : it->second;
}

result<void> prepare_create(const schema::resource& r, json::value& obj, const write_context& ctx) {
  if (!obj.is_object()) return errors::bad_request("the object provided is unrecognized");
  if (const auto v = meta::resource_version(obj); !v.empty() && v != "0") {
    status s = errors::internal("");
    s.reason.clear();
    s.causes.clear();
    s.message = "resourceVersion should not be set on objects to be created";
    return s;
  }
  auto& m = metadata_of(obj);
  const auto base = std::string{jq::str(obj, {"metadata", "generateName"})};
  if (!base.empty() && (meta::name(obj).empty() || ctx.keep_generated_name))
    m["name"] = generate_name(base, *ctx.random);
  m["uid"] = make_uid(*ctx.random);
  m["creationTimestamp"] = format_time(ctx.now);
  for (auto key : {"resourceVersion", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink", "generation"})
    m.erase(key);
  if (r.counts_generation) m["generation"] = 1;
  const auto* rule = find_kind(r.group, r.kind);
  if (r.has_status && !(rule && rule->keeps_status)) obj.as_object()["status"] = empty_status(r);
  if (rule && rule->on_create) rule->on_create(obj, ctx);
  return {};
}

result<void> prepare_update(const schema::resource& r, json::value& obj, const json::value& old,
                            std::string_view subresource, const write_context& ctx) {
  if (!obj.is_object() || !old.is_object()) return errors::bad_request("the object provided is unrecognized");
  auto& m = metadata_of(obj);
  if (auto ok = check_version(r, m, obj, old); !ok) return ok.error();
  keep_metadata(m, old);
  const auto* rule = find_kind(r.group, r.kind);
  if (subresource.empty()) {
    if (r.has_status) keep(obj.as_object(), old.as_object(), "status");
    if (rule && rule->on_update) rule->on_update(obj, old, ctx);
  } else if (subresource == "status") {
    prepare_status(r, obj, old);
  } else if (subresource == "finalize") {
    prepare_spec_member(obj, old, "finalizers");
  } else if (subresource == "ephemeralcontainers") {
    prepare_spec_member(obj, old, "ephemeralContainers");
  } else if (subresource == "approval") {
    prepare_approval(obj, old, ctx.now);
  }
  if (r.counts_generation && content_differs(obj, old)) metadata_of(obj)["generation"] = meta::generation(old) + 1;
  return {};
}

field_errors validate_create(const schema::resource& r, const json::value& obj) {
  field_errors e;
  check_metadata(e, r, obj);
  const auto* rule = find_kind(r.group, r.kind);
  if (rule && rule->check) rule->check(e, obj);
  if (rule && rule->check_new) rule->check_new(e, obj);
  return e;
}

field_errors validate_update(const schema::resource& r, const json::value& obj, const json::value& old,
                             std::string_view subresource) {
  field_errors e;
  check_metadata_update(e, obj, old);
  if (subresource == "status" || subresource == "finalize" || subresource == "approval") return e;
  const auto* rule = find_kind(r.group, r.kind);
  check_immutable_paths(e, r, obj, old);
  if (rule && rule->check) rule->check(e, obj);
  if (rule && rule->check_update) rule->check_update(e, obj, old);
  return e;
}

bool same_object(const json::value& obj, const json::value& old) {
  if (content_differs(obj, old) || differ(&at(obj, {"status"}), &at(old, {"status"}))) return false;
  const auto& a = jq::obj(obj, {"metadata"});
  const auto& b = jq::obj(old, {"metadata"});
  const auto covered = [](const json::object& x, const json::object& y) {
    return std::all_of(x.begin(), x.end(), [&](const auto& m) {
      return m.key() == "managedFields" || m.key() == "resourceVersion" || !differ(&m.value(), y.if_contains(m.key()));
    });
  };
  return covered(a, b) && covered(b, a);
}

void mark_deleted(const schema::resource& r, json::value& obj, std::int64_t grace_s, sys_micros now) {
  auto& m = metadata_of(obj);
  const bool first = !meta::deleting(obj);
  m["deletionTimestamp"] = format_time(now + std::chrono::seconds{grace_s});
  m["deletionGracePeriodSeconds"] = grace_s;
  if (first && r.counts_generation && meta::generation(obj) > 0) m["generation"] = meta::generation(obj) + 1;
}

} // namespace troupe::kinds

// update: PUT on an object or one of its plain subresources.
#include "actors/apiserver/admission/admission.hpp"
#include "actors/apiserver/conversion.hpp"
#include "actors/apiserver/write.hpp"
#include "api/meta/object_meta.hpp"
#include "api/schema/check.hpp"

namespace troupe::apiserver {

namespace {

result<void> check_place(const write_env& e, json::value& obj) {
  const auto name = jq::str(obj, {"metadata", "name"});
  if (name.empty())
    jq::at(obj, {"metadata", "name"}) = e.req.name;
  else if (name != e.req.name)
    return errors::bad_request("the name of the object (" + std::string(name) +
                               ") does not match the name on the URL (" + e.req.name + ")");
  if (!e.t.res->namespaced) return {};
  const auto ns = jq::str(obj, {"metadata", "namespace"});
  if (ns.empty())
    jq::at(obj, {"metadata", "namespace"}) = e.req.ns;
  else if (ns != e.req.ns)
    return errors::bad_request("the namespace of the object (" + std::string(ns) +
                               ") does not match the namespace on the request (" + e.req.ns + ")");
  return {};
}

/// The last finalizer of an object that is being deleted is gone: so is the object.
bool ends_with_this(const schema::resource& res, const json::value& obj) {
  if (!meta::deleting(obj) || !meta::finalizers(obj).empty()) return false;
  if (res.plural == "namespaces" && res.group.empty() && !jq::arr(obj, {"spec", "finalizers"}).empty()) return false;
  return jq::num(obj, {"metadata", "deletionGracePeriodSeconds"}) == 0;
}

} // namespace

result<write_plan> plan_update(const write_env& e) {
  auto doc = read_document(e);
  if (!doc) return doc.error();
  if (auto r = check_place(e, doc->value); !r) return r.error();
  auto was = e.state.get(e.t.stored->store_key, e.req.ns, e.req.name);
  if (!was) {
    if (!e.t.res->create_on_update || e.t.sub) return errors::not_found(name_of(*e.t.res), e.req.name);
    if (!jq::str(doc->value, {"metadata", "resourceVersion"}).empty() ||
        !jq::str(doc->value, {"metadata", "uid"}).empty())
      return errors::not_found(name_of(*e.t.res), e.req.name);
    return finish_create(e, std::move(doc->value), std::move(doc->warnings));
  }
  return finish_update(e, was, was->parse(), std::move(doc->value), std::move(doc->warnings));
}

result<write_plan> finish_update(const write_env& e, const store::object_ptr& was, const json::value& old,
                                 json::value obj, std::vector<std::string> warnings) {
  to_stored(*e.t.res, obj);
  const auto& stored = *e.t.stored;
  kinds::write_context ctx;
  ctx.now = e.now;
  ctx.random = &e.random;
  ctx.user = e.req.who.user;
  ctx.who = &e.req.who;
  if (auto r = kinds::prepare_update(stored, obj, old, e.req.subresource, ctx); !r) return r.error();
  write_plan p;
  p.warnings = std::move(warnings);
  admission_context a{e, stored, admission_op::update, &old, p};
  if (auto r = admit(a, obj); !r) return r.error();
  auto faults = schema::check_schema(obj, *stored.body);
  for (auto& f : kinds::validate_update(stored, obj, old, e.req.subresource))
    faults.push_back(std::move(f));
  if (!faults.empty()) return errors::invalid(e.t.res->kind, e.t.res->group, e.req.name, std::move(faults));
  if (auto r = admit_validated(a, obj); !r) return r.error();
  if (e.req.subresource.empty())
    for (auto& w : kinds::warnings(stored, obj))
      p.warnings.push_back(std::move(w));
  const auto answered = [&](const json::value& shown) {
    auto out = document_answer(e, 200, shown);
    out.warnings = std::move(p.warnings);
    return out;
  };
  if (ends_with_this(stored, obj)) {
    auto out = answered(obj);
    if (e.dry_run) return out;
    const auto key = key_of(stored, was->ns, was->name);
    out.change = std::move(p.change);
    out.change.compares.push_back({key, was->mod});
    out.change.erases.push_back({key});
    return out;
  }
  if (e.dry_run) return answered(obj);
  if (p.empty() && kinds::same_object(obj, old)) {
    if (e.t.stored != e.t.res) return answered(old);
    p.how = answer::fixed;
    p.fixed.object = was;
    return p;
  }
  store::txn own;
  if (auto r = add_put(own, stored, obj, was->mod); !r) return r.error();
  p.change.puts.insert(p.change.puts.begin(), std::move(own.puts.front()));
  p.change.compares.insert(p.change.compares.begin(), std::move(own.compares.front()));
  p.how = answer::written;
  return p;
}

} // namespace troupe::apiserver

// create: POST on a collection.
#include "actors/apiserver/admission/admission.hpp"
#include "actors/apiserver/conversion.hpp"
#include "actors/apiserver/limits.hpp"
#include "actors/apiserver/write.hpp"
#include "api/schema/check.hpp"

namespace troupe::apiserver {

namespace {

result<void> place(const write_env& e, json::value& obj) {
  if (!jq::str(obj, {"metadata", "resourceVersion"}).empty()) {
    status s;
    s.code = 500;
    s.reason = "";
    s.message = "resourceVersion should not be set on objects to be created";
    return s;
  }
  auto& ns = jq::at(obj, {"metadata", "namespace"});
  if (!e.t.res->namespaced) {
    jq::erase(obj, {"metadata", "namespace"});
    return {};
  }
  if (ns.is_string() && !ns.get_string().empty() && jq::view(ns.get_string()) != e.req.ns)
    return errors::bad_request("the namespace of the provided object does not match the namespace sent on the request");
  ns = e.req.ns;
  return {};
}

status cannot_generate(const write_env& e, std::string_view name) {
  auto s = errors::already_exists(name_of(*e.t.res), name);
  s.message = e.t.res->plural + " \"" + std::string(name) +
              "\" already exists, the server was not able to generate a unique name for the object";
  s.retry_after_s = 1;
  return s;
}

} // namespace

result<write_plan> plan_create(const write_env& e) {
  auto doc = read_document(e);
  if (!doc) return doc.error();
  return finish_create(e, std::move(doc->value), std::move(doc->warnings));
}

result<write_plan> finish_create(const write_env& e, json::value obj, std::vector<std::string> warnings) {
  if (auto r = place(e, obj); !r) return r.error();
  to_stored(*e.t.res, obj);
  const auto& stored = *e.t.stored;
  const bool generated = jq::str(obj, {"metadata", "name"}).empty();
  kinds::write_context ctx;
  ctx.now = e.now;
  ctx.random = &e.random;
  ctx.user = e.req.who.user;
  ctx.who = &e.req.who;
  for (int tries = 0;; ++tries) {
    if (generated && tries > 0) jq::erase(obj, {"metadata", "name"});
    if (auto r = kinds::prepare_create(stored, obj, ctx); !r) return r.error();
    const auto name = jq::str(obj, {"metadata", "name"});
    if (!e.state.get(stored.store_key, e.req.ns, name)) break;
    if (!generated) return errors::already_exists(name_of(*e.t.res), name);
    if (tries + 1 >= limits::generated_names_max) return cannot_generate(e, name);
  }
  write_plan p;
  p.warnings = std::move(warnings);
  admission_context a{e, stored, admission_op::create, nullptr, p};
  if (auto r = admit(a, obj); !r) return r.error();
  auto faults = schema::check_schema(obj, *stored.body);
  for (auto& f : kinds::validate_create(stored, obj))
    faults.push_back(std::move(f));
  if (!faults.empty())
    return errors::invalid(e.t.res->kind, e.t.res->group, jq::str(obj, {"metadata", "name"}), std::move(faults));
  if (auto r = admit_validated(a, obj); !r) return r.error();
  for (auto& w : kinds::warnings(stored, obj))
    p.warnings.push_back(std::move(w));
  if (e.dry_run) {
    auto answered = document_answer(e, 201, obj);
    answered.warnings = std::move(p.warnings);
    return answered;
  }
  // The object's own put comes first: it is what the answer shows.
  store::txn own;
  if (auto r = add_put(own, stored, obj, 0); !r) return r.error();
  p.change.puts.insert(p.change.puts.begin(), std::move(own.puts.front()));
  p.change.compares.insert(p.change.compares.begin(), std::move(own.compares.front()));
  p.how = answer::written;
  p.code = 201;
  return p;
}

} // namespace troupe::apiserver

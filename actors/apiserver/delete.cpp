// delete: DELETE of one object: preconditions, grace, finalizers, propagation.
#include "actors/apiserver/admission/admission.hpp"
#include "actors/apiserver/conversion.hpp"
#include "actors/apiserver/delete_options.hpp"
#include "api/meta/object_meta.hpp"

#include <charconv>

namespace troupe::apiserver {

namespace {

constexpr std::string_view foreground = "foregroundDeletion", orphan = "orphan";

status bad_option(const char* field, std::string_view value, std::string_view detail) {
  return errors::invalid("DeleteOptions", "meta.k8s.io", "",
                         {field::invalid(field, json::value(std::string(value)), detail)});
}

result<void> set_propagation(delete_options& o, std::string_view policy, std::optional<bool> orphan_dependents) {
  if (!policy.empty() && orphan_dependents)
    return bad_option("propagationPolicy", policy, "orphanDependents and deletionPropagation cannot be both set");
  if (!policy.empty() && policy != "Background" && policy != "Foreground" && policy != "Orphan")
    return errors::invalid("DeleteOptions", "meta.k8s.io", "",
                           {field::not_supported("propagationPolicy", json::value(std::string(policy)),
                                                 {"Background", "Foreground", "Orphan"})});
  if (orphan_dependents) o.propagation = *orphan_dependents ? "Orphan" : "Background";
  if (!policy.empty()) o.propagation = policy;
  return {};
}

result<void> check_preconditions(const write_env& e, const schema::resource& res, const store::object& was,
                                 const delete_options& o) {
  if (o.uid && *o.uid != was.meta().uid)
    return errors::conflict(name_of(res), was.name,
                            "the UID in the precondition (" + *o.uid + ") does not match the UID in record (" +
                                was.meta().uid + "). The object might have been deleted and then recreated");
  if (o.resource_version && *o.resource_version != std::to_string(was.mod))
    return errors::conflict(name_of(res), was.name,
                            "the ResourceVersion in the precondition (" + *o.resource_version +
                                ") does not match the ResourceVersion in record (" + std::to_string(was.mod) +
                                "). The object might have been modified");
  return {};
}

std::int64_t grace_of(const schema::resource& res, const json::value& doc, const delete_options& o) {
  if (!res.graceful_delete) return 0;
  std::int64_t grace = o.grace_s ? *o.grace_s : jq::num(doc, {"spec", "terminationGracePeriodSeconds"}, 30);
  if (grace < 0) grace = 1;
  const auto phase = jq::str(doc, {"status", "phase"});
  if (jq::str(doc, {"spec", "nodeName"}).empty() || phase == "Succeeded" || phase == "Failed") grace = 0;
  return grace;
}

/// Sets or clears the two finalizers that stand for the propagation policy; true when something changed.
bool apply_propagation(const schema::resource& res, json::value& doc, const delete_options& o) {
  bool changed = false;
  std::string policy = o.propagation;
  if (policy.empty()) {
    if (meta::has_finalizer(doc, orphan))
      policy = "Orphan";
    else if (meta::has_finalizer(doc, foreground))
      policy = "Foreground";
    else
      policy = res.default_propagation;
  }
  const auto want = [&](std::string_view f, bool on) {
    changed |= on ? meta::add_finalizer(doc, f) : meta::remove_finalizer(doc, f);
  };
  want(orphan, policy == "Orphan");
  want(foreground, policy == "Foreground");
  return changed;
}

bool held_back(const schema::resource& res, const json::value& doc) {
  if (!meta::finalizers(doc).empty()) return true;
  return res.plural == "namespaces" && res.group.empty() && !jq::arr(doc, {"spec", "finalizers"}).empty();
}

} // namespace

result<delete_options> delete_options::from_json(const json::value& doc) {
  delete_options o;
  if (doc.is_null()) return o;
  if (!doc.is_object()) return errors::bad_request("DeleteOptions must be an object");
  o.grace_s = jq::maybe_num(doc, {"gracePeriodSeconds"});
  std::optional<bool> orphans;
  if (const auto* v = jq::find(doc, {"orphanDependents"}); v && v->is_bool()) orphans = v->get_bool();
  if (auto r = set_propagation(o, jq::str(doc, {"propagationPolicy"}), orphans); !r) return r.error();
  o.orphans_refused = orphans && !*orphans;
  if (const auto uid = jq::str(doc, {"preconditions", "uid"}); !uid.empty()) o.uid = uid;
  if (const auto rv = jq::str(doc, {"preconditions", "resourceVersion"}); !rv.empty()) o.resource_version = rv;
  for (const auto& d : jq::arr(doc, {"dryRun"})) {
    // Taking an unknown value for a real delete would be the worst of answers.
    if (!d.is_string() || d.get_string() != "All")
      return errors::invalid("DeleteOptions", "meta.k8s.io", "", {field::not_supported("dryRun", d, {"All"})});
    o.dry_run = true;
  }
  return o;
}

result<delete_options> delete_options::read(const request& r) {
  const auto* type = schema::registry::get().find_type("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
  auto doc = read_plain(r, type);
  if (!doc) return doc.error();
  auto o = from_json(*doc);
  if (!o) return o.error();
  if (const auto text = r.param("gracePeriodSeconds"); !text.empty() && !o->grace_s) {
    std::int64_t n = 0;
    const auto got = std::from_chars(text.data(), text.data() + text.size(), n);
    if (got.ec != std::errc{} || got.ptr != text.data() + text.size())
      return errors::bad_request("gracePeriodSeconds: \"" + std::string(text) + "\" is no number");
    o->grace_s = n;
  }
  if (const auto text = r.param("propagationPolicy"); !text.empty() && o->propagation.empty())
    if (auto ok = set_propagation(*o, text, std::nullopt); !ok) return ok.error();
  if (const auto text = r.param("orphanDependents"); !text.empty() && o->propagation.empty()) {
    o->propagation = text == "true" ? "Orphan" : "Background";
    o->orphans_refused = text != "true";
  }
  return o;
}

result<delete_step> step_delete(const write_env& e, const schema::resource& res, const store::object& was,
                                const delete_options& o) {
  if (auto r = check_preconditions(e, res, was, o); !r) return r.error();
  delete_step step;
  step.doc = was.parse();
  write_plan unused;
  admission_context a{e, res, admission_op::remove, &step.doc, unused};
  if (auto r = admit_delete(a, was.name); !r) return r.error();
  const bool changed = apply_propagation(res, step.doc, o);
  const auto grace = grace_of(res, step.doc, o);
  const bool held = held_back(res, step.doc);
  if (meta::deleting(step.doc)) {
    const auto left = jq::num(step.doc, {"metadata", "deletionGracePeriodSeconds"});
    const bool sooner = res.graceful_delete && grace < left;
    if (!held && (grace == 0 || left == 0))
      step.erase = true;
    else if (sooner) {
      kinds::mark_deleted(res, step.doc, grace, e.now);
      step.put = true;
    } else
      step.put = changed;
    return step;
  }
  if (grace == 0 && !held) {
    step.erase = true;
    return step;
  }
  kinds::mark_deleted(res, step.doc, grace, e.now);
  if (res.plural == "namespaces" && res.group.empty()) jq::at(step.doc, {"status", "phase"}) = "Terminating";
  step.put = true;
  return step;
}

result<write_plan> plan_delete(const write_env& e) {
  auto options = delete_options::read(e.req);
  if (!options) return options.error();
  auto was = e.state.get(e.t.stored->store_key, e.req.ns, e.req.name);
  if (!was) return errors::not_found(name_of(*e.t.res), e.req.name);
  auto step = step_delete(e, *e.t.stored, *was, *options);
  if (!step) return step.error();
  const bool dry = e.dry_run || options->dry_run;
  if (step->erase) {
    json::value body;
    if (e.t.res->delete_returns_object) {
      body = std::move(step->doc);
    } else {
      body = success_status();
      json::object details;
      details["name"] = was->name;
      if (!e.t.res->group.empty()) details["group"] = e.t.res->group;
      details["kind"] = e.t.res->plural;
      details["uid"] = was->meta().uid;
      body.as_object()["details"] = std::move(details);
    }
    auto p = e.t.res->delete_returns_object ? document_answer(e, 200, body) : fixed_answer(200, std::move(body));
    if (dry) return p;
    const auto key = key_of(*e.t.stored, was->ns, was->name);
    p.change.compares.push_back({key, was->mod});
    p.change.erases.push_back({key});
    return p;
  }
  const int code = options->orphans_refused ? 202 : 200;
  if (!step->put || dry) return document_answer(e, code, step->doc);
  write_plan p;
  p.code = code;
  if (auto r = add_put(p.change, *e.t.stored, step->doc, was->mod); !r) return r.error();
  p.how = answer::written;
  return p;
}

} // namespace troupe::apiserver

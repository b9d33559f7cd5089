// scale: the Scale subresource: reading and writing the replicas of a workload.
#include "actors/apiserver/scale.hpp"

#include "actors/apiserver/patch_body.hpp"
#include "api/codec/json_decode.hpp"
#include "api/meta/selector.hpp"
#include "api/schema/conform.hpp"

namespace troupe::apiserver {

json::value scale_of(const schema::resource& res, const json::value& parent) {
  json::object meta;
  for (const char* f : {"name", "namespace", "uid", "resourceVersion", "creationTimestamp"})
    if (const auto* v = jq::find(parent, {"metadata", f})) meta[f] = *v;
  json::object spec;
  if (const auto n = jq::num(parent, {"spec", "replicas"}); n != 0) spec["replicas"] = n;
  json::object st;
  st["replicas"] = jq::num(parent, {"status", "replicas"});
  const auto* selector = jq::find(parent, {"spec", "selector"});
  std::string text;
  if (res.plural == "replicationcontrollers") {
    text = label_selector::from_map(jq::obj(parent, {"spec", "selector"})).to_string();
  } else if (auto parsed = label_selector::from_object(selector)) {
    text = parsed->to_string();
  }
  if (!text.empty()) st["selector"] = text;
  json::object o;
  o["kind"] = "Scale";
  o["apiVersion"] = "autoscaling/v1";
  o["metadata"] = std::move(meta);
  o["spec"] = std::move(spec);
  o["status"] = std::move(st);
  return o;
}

namespace {

result<json::value> wanted_scale(const write_env& e, const json::value& now) {
  if (e.req.what == verb::patch) {
    auto p = read_patch(e.req);
    if (!p) return p.error();
    return apply_patch(*p, *e.t.sub->body, now);
  }
  auto doc = read_plain(e.req, e.t.sub->body);
  if (!doc) return doc.error();
  return doc;
}

} // namespace

result<write_plan> plan_scale(const write_env& e) {
  auto was = e.state.get(e.t.stored->store_key, e.req.ns, e.req.name);
  if (!was) return errors::not_found(name_of(*e.t.res), e.req.name);
  const auto old = was->parse();
  auto scale = wanted_scale(e, scale_of(*e.t.res, old));
  if (!scale) return scale.error();
  if (!scale->is_object()) return errors::bad_request("a Scale object is expected");
  auto& body = scale->as_object();
  if (!body.if_contains("kind")) body["kind"] = "Scale";
  if (!body.if_contains("apiVersion")) body["apiVersion"] = "autoscaling/v1";
  auto mode = schema::parse_field_validation(e.req.param("fieldValidation"));
  if (!mode) return mode.error();
  auto warned = schema::conform(*scale, *e.t.sub->body, *mode);
  if (!warned) return warned.error();
  if (const auto name = jq::str(*scale, {"metadata", "name"}); !name.empty() && name != e.req.name)
    return errors::bad_request("the name of the object (" + std::string(name) +
                               ") does not match the name on the URL (" + e.req.name + ")");
  if (const auto rv = jq::str(*scale, {"metadata", "resourceVersion"}); !rv.empty() && rv != std::to_string(was->mod))
    return errors::modified(name_of(*e.t.res), e.req.name);
  if (const auto uid = jq::str(*scale, {"metadata", "uid"}); !uid.empty() && uid != was->meta().uid)
    return errors::conflict(name_of(*e.t.res), e.req.name,
                            "Precondition failed: UID in precondition: " + std::string(uid) +
                                ", UID in object meta: " + was->meta().uid);
  const auto replicas = jq::num(*scale, {"spec", "replicas"});
  if (replicas < 0)
    return errors::invalid(
        "Scale", "autoscaling", e.req.name,
        {field::invalid("spec.replicas", json::value(replicas), "must be greater than or equal to 0")});
  auto obj = old;
  jq::at(obj, {"spec", "replicas"}) = replicas;
  request plain = e.req;
  plain.subresource.clear();
  write_env main{e.s, plain, e.t, e.state, e.now, e.random, e.dry_run, e.attempt};
  main.t.sub = nullptr;
  auto p = finish_update(main, was, old, std::move(obj), std::move(*warned));
  if (!p) return p.error();
  if (p->how == answer::written) {
    p->how = answer::written_scale;
  } else {
    auto shown = p->fixed.object ? old : json::parse(p->fixed.body);
    auto fixed = fixed_answer(200, scale_of(*e.t.res, shown));
    p->fixed = std::move(fixed.fixed);
  }
  return p;
}

} // namespace troupe::apiserver

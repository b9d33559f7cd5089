// patch: PATCH in its three forms; server-side apply is refused with a clear sentence.
#include "api/patch/patch.hpp"

#include "actors/apiserver/conversion.hpp"
#include "actors/apiserver/patch_body.hpp"
#include "actors/apiserver/write.hpp"
#include "api/codec/json_decode.hpp"
#include "api/schema/conform.hpp"
#include "api/schema/defaulting.hpp"

namespace troupe::apiserver {

namespace {
constexpr std::string_view accepted =
    "application/json-patch+json, application/merge-patch+json, application/strategic-merge-patch+json";

std::string_view bare(std::string_view type) {
  auto end = type.find(';');
  auto t = type.substr(0, end);
  while (!t.empty() && t.back() == ' ')
    t.remove_suffix(1);
  return t;
}

/// Under Strict a patch that brings unknown fields is Invalid, not a bad request.
status as_patch_error(status s, const json::value& patched) {
  constexpr std::string_view strict = "strict decoding error: ";
  const auto at = s.message.find(strict);
  if (at == std::string::npos) return s;
  field_errors f;
  f.push_back(field::invalid("patch", json::string(json::serialize(patched).substr(0, 2048)), s.message.substr(at)));
  return errors::invalid("", "", "", std::move(f));
}
} // namespace

result<patch_body> read_patch(const request& r) {
  patch_body out;
  const auto type = bare(r.content_type);
  if (type == "application/json-patch+json")
    out.how = patch_kind::json;
  else if (type == "application/merge-patch+json")
    out.how = patch_kind::merge;
  else if (type == "application/strategic-merge-patch+json")
    out.how = patch_kind::strategic;
  else if (type == "application/apply-patch+yaml" || type == "application/apply-patch+cbor") {
    auto s = errors::unsupported_media_type(accepted);
    s.message =
        "server-side apply (application/apply-patch+yaml) is not offered by this server yet; use client-side apply "
        "or one of: " +
        std::string(accepted);
    return s;
  } else
    return errors::unsupported_media_type(accepted);
  if (out.how != patch_kind::json && r.param("force") == "true")
    return errors::invalid("PatchOptions", "meta.k8s.io", "",
                           {field::forbidden("force", "may not be specified for non-apply patch")});
  if (const auto* doc = std::get_if<std::shared_ptr<const json::value>>(&r.body)) {
    out.doc = **doc;
  } else if (const auto* bytes = std::get_if<std::string>(&r.body)) {
    auto d = codec::parse_json(*bytes);
    if (!d) return d.error();
    out.doc = std::move(d->doc);
    out.duplicates = std::move(d->duplicate_fields);
  }
  if (out.how == patch_kind::json ? !out.doc.is_array() : !out.doc.is_object())
    return errors::bad_request(out.how == patch_kind::json
                                   ? "error decoding patch: a JSON patch is a list of operations"
                                   : "error decoding patch: a merge patch is an object");
  return out;
}

result<json::value> apply_patch(const patch_body& p, const schema::type& t, const json::value& doc) {
  switch (p.how) {
  case patch_kind::json: return patch::json_patch(doc, p.doc);
  case patch_kind::merge: return patch::merge_patch(doc, p.doc);
  case patch_kind::strategic: return patch::strategic_merge_patch(t, doc, p.doc);
  }
  return errors::internal("unknown patch");
}

result<write_plan> plan_patch(const write_env& e) {
  auto patch = read_patch(e.req);
  if (!patch) return patch.error();
  auto was = e.state.get(e.t.stored->store_key, e.req.ns, e.req.name);
  if (!was) return errors::not_found(name_of(*e.t.res), e.req.name);
  const auto old = was->parse();
  json::value shown;
  if (e.t.stored != e.t.res) {
    shown = old;
    from_stored(*e.t.res, shown);
  }
  auto obj = apply_patch(*patch, *e.t.res->body, e.t.stored != e.t.res ? shown : old);
  if (!obj) {
    auto s = obj.error();
    if (s.code == 422 && s.name.empty()) {
      s.name = e.req.name;
      s.group = e.t.res->group;
      s.kind = e.t.res->kind;
    }
    return s;
  }
  if (!obj->is_object()) return errors::bad_request("the patch leaves no object");
  if (jq::str(*obj, {"kind"}) != e.t.res->kind || jq::str(*obj, {"apiVersion"}) != e.t.res->api_version)
    return errors::bad_request("a patch may not change kind or apiVersion");
  if (jq::str(*obj, {"metadata", "name"}) != e.req.name)
    return errors::bad_request("the name of the object (" + std::string(jq::str(*obj, {"metadata", "name"})) +
                               ") does not match the name on the URL (" + e.req.name + ")");
  if (e.t.res->namespaced && jq::str(*obj, {"metadata", "namespace"}) != e.req.ns)
    return errors::bad_request("the namespace of the object (" + std::string(jq::str(*obj, {"metadata", "namespace"})) +
                               ") does not match the namespace on the request (" + e.req.ns + ")");
  auto mode = schema::parse_field_validation(e.req.param("fieldValidation"));
  if (!mode) return mode.error();
  auto warned = schema::conform(*obj, *e.t.res->body, *mode, patch->duplicates);
  if (!warned) return as_patch_error(warned.error(), *obj);
  schema::apply_defaults(*obj, *e.t.res->body);
  return finish_update(e, was, old, std::move(*obj), std::move(*warned));
}

} // namespace troupe::apiserver

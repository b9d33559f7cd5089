#include "actors/apiserver/write.hpp"

#include "actors/apiserver/conversion.hpp"
#include "actors/apiserver/limits.hpp"
#include "api/codec/json_decode.hpp"
#include "api/schema/conform.hpp"
#include "api/schema/defaulting.hpp"

namespace troupe::apiserver {

result<write_plan> plan_write(const write_env& e) {
  const auto& sub = e.req.subresource;
  if (e.t.sub) {
    if (sub == "scale") return plan_scale(e);
    if (sub == "binding") return plan_binding(e);
    if (sub == "eviction") return plan_eviction(e);
    if (sub == "token") return plan_token(e);
  }
  if (!e.t.res->stored) {
    if (e.t.res->plural == "bindings") return plan_binding(e);
    return plan_review(e);
  }
  switch (e.req.what) {
  case verb::create: return plan_create(e);
  case verb::update: return plan_update(e);
  case verb::patch: return plan_patch(e);
  case verb::delete_: return plan_delete(e);
  case verb::deletecollection: return plan_delete_collection(e);
  default: return errors::method_not_allowed(to_string(e.req.what), name_of(*e.t.res));
  }
}

result<json::value> read_plain(const request& r, const schema::type* expected) {
  if (const auto* doc = std::get_if<std::shared_ptr<const json::value>>(&r.body)) return json::value(**doc);
  const auto* bytes = std::get_if<std::string>(&r.body);
  if (!bytes || bytes->empty()) return json::value(nullptr);
  auto d = codec::decode_body(*bytes, r.content_type, expected);
  if (!d) return d.error();
  return std::move(d->doc);
}

namespace {

result<void> check_kind(const write_env& e, json::value& doc, const std::string& api_version, const std::string& kind) {
  auto& o = doc.as_object();
  const auto got_version = jq::str(doc, {"apiVersion"});
  const auto got_kind = jq::str(doc, {"kind"});
  if (!got_version.empty() && got_version != api_version)
    return errors::bad_request("the API version in the data (" + std::string(got_version) +
                               ") does not match the expected API version (" + api_version + ")");
  if (!got_kind.empty() && got_kind != kind)
    return errors::bad_request("the object provided is unrecognized (must be of type " + kind + "): got kind " +
                               std::string(got_kind));
  if (got_version.empty()) o["apiVersion"] = api_version;
  if (got_kind.empty()) o["kind"] = kind;
  return {};
}

} // namespace

result<document> read_document(const write_env& e) {
  document out;
  const auto* type = e.t.res->body;
  std::vector<std::string> duplicates;
  if (const auto* doc = std::get_if<std::shared_ptr<const json::value>>(&e.req.body)) {
    out.value = **doc;
  } else {
    const auto* bytes = std::get_if<std::string>(&e.req.body);
    if (!bytes || bytes->empty())
      return errors::bad_request("the request has no body: an object of kind " + e.t.res->kind + " is expected");
    if (codec::media_of(e.req.content_type) == codec::media::other)
      return errors::unsupported_media_type("application/json, application/yaml, application/vnd.kubernetes.protobuf");
    auto d = codec::decode_body(*bytes, e.req.content_type, type);
    if (!d) return d.error();
    out.value = std::move(d->doc);
    duplicates = std::move(d->duplicate_fields);
  }
  if (!out.value.is_object())
    return errors::bad_request("the object provided is unrecognized (must be of type " + e.t.res->kind +
                               "): it is no object");
  if (auto r = check_kind(e, out.value, e.t.res->api_version, e.t.res->kind); !r) return r.error();
  auto mode = schema::parse_field_validation(e.req.param("fieldValidation"));
  if (!mode) return mode.error();
  auto warned = schema::conform(out.value, *type, *mode, duplicates);
  if (!warned) return warned.error();
  out.warnings = std::move(*warned);
  schema::apply_defaults(out.value, *type);
  return out;
}

store::object_key key_of(const schema::resource& stored, std::string_view ns, std::string_view name) {
  return {stored.store_key, std::string(ns), std::string(name)};
}

result<void> add_put(store::txn& change, const schema::resource& stored, json::value& doc, store::revision mod) {
  store::put p;
  p.key = key_of(stored, stored.namespaced ? jq::str(doc, {"metadata", "namespace"}) : std::string_view{},
                 jq::str(doc, {"metadata", "name"}));
  std::tie(p.bytes, p.rv_offset) = store::encode_for_put(doc);
  if (p.bytes.size() > limits::object_bytes_max)
    return errors::too_large("limit is " + std::to_string(limits::object_bytes_max));
  change.compares.push_back({p.key, mod});
  change.puts.push_back(std::move(p));
  return {};
}

write_plan fixed_answer(int code, json::value body) {
  write_plan p;
  p.code = code;
  p.fixed.code = code;
  p.fixed.body = json::serialize(body) + "\n";
  return p;
}

write_plan document_answer(const write_env& e, int code, const json::value& doc) {
  if (e.t.stored != e.t.res) {
    auto copy = doc;
    from_stored(*e.t.res, copy);
    return fixed_answer(code, std::move(copy));
  }
  return fixed_answer(code, doc);
}

json::value success_status() {
  json::object o;
  o["kind"] = "Status";
  o["apiVersion"] = "v1";
  o["metadata"] = json::object{};
  o["status"] = "Success";
  return o;
}

} // namespace troupe::apiserver

// token: POST serviceaccounts/token: a signed token for one account, bound to an object that must live.
#include "actors/apiserver/authenticate.hpp"
#include "actors/apiserver/limits.hpp"
#include "actors/apiserver/write.hpp"
#include "api/meta/object_meta.hpp"
#include "api/schema/conform.hpp"
#include "api/schema/defaulting.hpp"

namespace troupe::apiserver {

namespace {

struct bound {
  std::string what; // claim name: pod, secret, node
  json::object ref;
  json::object node; // of a bound pod
};

json::object reference(const store::object& o) {
  json::object r;
  r["name"] = o.name;
  r["uid"] = o.meta().uid;
  return r;
}

result<bound> bind_to(const write_env& e, const json::value& ref) {
  bound b;
  const auto kind = jq::str(ref, {"kind"});
  const auto name = jq::str(ref, {"name"});
  const char* table = kind == "Pod" ? "pods" : kind == "Secret" ? "secrets" : kind == "Node" ? "nodes" : nullptr;
  if (!table)
    return errors::bad_request("cannot bind token for serviceaccount \"" + e.req.name + "\" to type " +
                               std::string(kind));
  const auto o = e.state.get(table, kind == "Node" ? std::string_view{} : std::string_view(e.req.ns), name);
  if (!o) return errors::not_found({"", table}, name);
  if (const auto uid = jq::str(ref, {"uid"}); !uid.empty() && uid != o->meta().uid)
    return errors::conflict({"", table}, name,
                            "the UID in the bound object reference (" + std::string(uid) +
                                ") does not match the UID in record. The object might have been "
                                "deleted and then recreated");
  if (kind == "Pod" && jq::str(o->parse(), {"spec", "serviceAccountName"}) != e.req.name)
    return errors::bad_request("cannot bind token to pod \"" + std::string(name) +
                               "\" running with different service account name.");
  b.what = kind == "Pod" ? "pod" : kind == "Secret" ? "secret" : "node";
  b.ref = reference(*o);
  if (kind == "Pod" && !o->meta().node_name.empty())
    if (const auto n = e.state.get("nodes", "", o->meta().node_name)) b.node = reference(*n);
  return b;
}

std::int64_t unix_of(sys_micros t) { return std::chrono::floor<std::chrono::seconds>(t).time_since_epoch().count(); }

} // namespace

result<write_plan> plan_token(const write_env& e) {
  const auto account = e.state.get("serviceaccounts", e.req.ns, e.req.name);
  if (!account) return errors::not_found({"", "serviceaccounts"}, e.req.name);
  auto doc = read_plain(e.req, e.t.sub->body);
  if (!doc) return doc.error();
  if (!doc->is_object()) *doc = json::object{};
  jq::at(*doc, {"kind"}) = "TokenRequest";
  jq::at(*doc, {"apiVersion"}) = "authentication.k8s.io/v1";
  auto mode = schema::parse_field_validation(e.req.param("fieldValidation"));
  if (!mode) return mode.error();
  if (auto w = schema::conform(*doc, *e.t.sub->body, *mode); !w) return w.error();
  schema::apply_defaults(*doc, *e.t.sub->body);
  const auto seconds = jq::num(*doc, {"spec", "expirationSeconds"}, 3600);
  field_errors faults;
  if (seconds < limits::token_lifetime_min.count())
    faults.push_back(field::invalid("spec.expirationSeconds", json::value(seconds),
                                    "may not specify a duration less than 10 minutes"));
  if (seconds > limits::token_lifetime_max.count())
    faults.push_back(field::invalid("spec.expirationSeconds", json::value(seconds),
                                    "may not specify a duration larger than 2^32 seconds"));
  if (!faults.empty()) return errors::invalid("TokenRequest", "authentication.k8s.io", e.req.name, std::move(faults));

  auto& audiences = jq::at(*doc, {"spec", "audiences"});
  if (!audiences.is_array() || audiences.get_array().empty()) {
    audiences = json::array{};
    audiences.get_array().push_back(json::string(api_audience));
  }
  json::object k;
  k["namespace"] = e.req.ns;
  k["serviceaccount"] = reference(*account);
  if (const auto* ref = jq::find(*doc, {"spec", "boundObjectRef"}); ref && ref->is_object()) {
    auto b = bind_to(e, *ref);
    if (!b) return b.error();
    k[b->what] = std::move(b->ref);
    if (!b->node.empty()) k["node"] = std::move(b->node);
  }
  json::object claims;
  claims["sub"] = "system:serviceaccount:" + e.req.ns + ":" + e.req.name;
  claims["aud"] = audiences;
  claims["iat"] = unix_of(e.now);
  claims["nbf"] = unix_of(e.now);
  claims["exp"] = unix_of(e.now) + seconds;
  claims["jti"] = make_uid(e.random);
  claims["kubernetes.io"] = std::move(k);
  auto token = e.s.tokens->sign(std::move(claims));
  if (!token) return token.error();
  auto& meta = jq::at(*doc, {"metadata"});
  if (!meta.is_object()) meta = json::object{};
  meta.as_object()["name"] = e.req.name;
  meta.as_object()["namespace"] = e.req.ns;
  meta.as_object()["creationTimestamp"] = format_time(e.now);
  auto& st = jq::at(*doc, {"status"});
  st = json::object{};
  st.as_object()["token"] = *token;
  st.as_object()["expirationTimestamp"] = format_time(e.now + std::chrono::seconds(seconds));
  return fixed_answer(201, std::move(*doc));
}

} // namespace troupe::apiserver

// reviews: access and token reviews: created, answered, never stored.
#include "actors/apiserver/authenticate.hpp"
#include "actors/apiserver/authorize.hpp"
#include "actors/apiserver/write.hpp"
#include "api/schema/conform.hpp"

namespace troupe::apiserver {

namespace {

identity identity_from(const json::value& spec) {
  identity who;
  who.user = jq::str(spec, {"user"});
  who.uid = jq::str(spec, {"uid"});
  for (const auto& g : jq::arr(spec, {"groups"}))
    if (g.is_string()) who.groups.emplace_back(jq::view(g.get_string()));
  return who;
}

json::object user_info(const identity& who) {
  json::object u;
  u["username"] = who.user;
  if (!who.uid.empty()) u["uid"] = who.uid;
  json::array groups;
  for (const auto& g : who.groups)
    groups.push_back(json::string(g));
  u["groups"] = std::move(groups);
  json::object extra;
  for (const auto& [k, values] : who.extra) {
    json::array list;
    for (const auto& v : values)
      list.push_back(json::string(v));
    extra[k] = std::move(list);
  }
  if (!extra.empty()) u["extra"] = std::move(extra);
  return u;
}

result<json::value> access_review(const write_env& e, const json::value& spec, const identity& who) {
  rbac::attributes a;
  const auto* r = jq::find(spec, {"resourceAttributes"});
  const auto* path = jq::find(spec, {"nonResourceAttributes"});
  if ((r == nullptr) == (path == nullptr))
    return errors::invalid(
        e.t.res->kind, e.t.res->group, "",
        {field::invalid("spec.resourceAttributes", json::value(nullptr),
                        "exactly one of nonResourceAttributes or resourceAttributes must be specified")});
  std::string word;
  if (r) {
    a.verb = jq::str(*r, {"verb"});
    a.group = jq::str(*r, {"group"});
    a.resource = jq::str(*r, {"resource"});
    a.subresource = jq::str(*r, {"subresource"});
    a.name = jq::str(*r, {"name"});
    a.ns = jq::str(*r, {"namespace"});
  } else {
    word = names::lower(jq::str(*path, {"verb"}));
    a.verb = word;
    a.path = jq::str(*path, {"path"});
  }
  const auto d = decide(e.s, a, who, e.state);
  json::object st;
  st["allowed"] = d.allowed;
  if (!d.reason.empty()) st["reason"] = d.reason;
  return json::value(std::move(st));
}

json::value rules_review(const write_env& e, const json::value& spec) {
  const std::string ns{jq::str(spec, {"namespace"})};
  json::array resources, paths;
  auto add = [&](const rbac::policy_rule& rule) {
    auto o = rule.to_json();
    if (rule.non_resource_urls.empty())
      resources.push_back(std::move(o));
    else
      paths.push_back(std::move(o));
  };
  if (e.req.who.in_group("system:masters")) {
    rbac::policy_rule all, every_path;
    all.verbs = all.api_groups = all.resources = {"*"};
    every_path.verbs = every_path.non_resource_urls = {"*"};
    add(all);
    add(every_path);
  }
  for (const auto& rule : e.s.rbac->rules()->rules_for(e.req.who, ns))
    add(rule);
  json::object st;
  st["resourceRules"] = std::move(resources);
  st["nonResourceRules"] = std::move(paths);
  st["incomplete"] = false;
  return st;
}

json::value token_review(const write_env& e, const json::value& spec) {
  json::object st;
  std::vector<std::string> has;
  const auto now = std::chrono::system_clock::time_point(
      std::chrono::duration_cast<std::chrono::system_clock::duration>(e.now.time_since_epoch()));
  auto who = identity_of_token(e.s, jq::str(spec, {"token"}), e.state, now, &has);
  json::array common;
  const auto& wanted = jq::arr(spec, {"audiences"});
  for (const auto& a : has) {
    bool asked = wanted.empty() && a == api_audience;
    for (const auto& w : wanted)
      asked = asked || (w.is_string() && jq::view(w.get_string()) == a);
    if (asked) common.push_back(json::string(a));
  }
  if (!who || common.empty()) {
    st["authenticated"] = false;
    if (!who)
      st["error"] = "invalid bearer token";
    else
      st["error"] = "token audiences do not match those asked for";
    st["user"] = json::object{};
    return st;
  }
  st["authenticated"] = true;
  st["user"] = user_info(**who);
  st["audiences"] = std::move(common);
  return st;
}

} // namespace

result<write_plan> plan_review(const write_env& e) {
  auto doc = read_plain(e.req, e.t.res->body);
  if (!doc) return doc.error();
  if (!doc->is_object()) *doc = json::object{};
  if (const auto kind = jq::str(*doc, {"kind"}); !kind.empty() && kind != e.t.res->kind)
    return errors::bad_request("the object provided is unrecognized (must be of type " + e.t.res->kind +
                               "): got kind " + std::string(kind));
  jq::at(*doc, {"kind"}) = e.t.res->kind;
  jq::at(*doc, {"apiVersion"}) = e.t.res->api_version;
  auto mode = schema::parse_field_validation(e.req.param("fieldValidation"));
  if (!mode) return mode.error();
  if (auto w = schema::conform(*doc, *e.t.res->body, *mode); !w) return w.error();
  const json::value nothing;
  const auto* found = jq::find(*doc, {"spec"});
  const auto& spec = found ? *found : nothing;
  const auto& what = e.t.res->plural;
  result<json::value> st = json::value(json::object{});
  if (what == "selfsubjectaccessreviews")
    st = access_review(e, spec, e.req.who);
  else if (what == "subjectaccessreviews" || what == "localsubjectaccessreviews") {
    if (jq::str(spec, {"user"}).empty() && jq::arr(spec, {"groups"}).empty())
      return errors::invalid(
          e.t.res->kind, e.t.res->group, "",
          {field::invalid("spec.user", json::value(""), "at least one of user or group must be specified")});
    if (what[0] == 'l' && jq::str(spec, {"resourceAttributes", "namespace"}) != e.req.ns)
      return errors::invalid(
          e.t.res->kind, e.t.res->group, "",
          {field::invalid("spec.resourceAttributes.namespace",
                          json::value(std::string(jq::str(spec, {"resourceAttributes", "namespace"}))),
                          "must match metadata.namespace")});
    st = access_review(e, spec, identity_from(spec));
  } else if (what == "selfsubjectrulesreviews")
    st = rules_review(e, spec);
  else if (what == "tokenreviews")
    st = token_review(e, spec);
  else if (what == "selfsubjectreviews") {
    json::object o;
    o["userInfo"] = user_info(e.req.who);
    st = json::value(std::move(o));
  } else
    return errors::method_not_allowed("create", name_of(*e.t.res));
  if (!st) return st.error();
  jq::at(*doc, {"status"}) = std::move(*st);
  if (!jq::find(*doc, {"metadata"})) jq::at(*doc, {"metadata"}) = json::object{};
  jq::at(*doc, {"metadata", "creationTimestamp"}) =
      what == "selfsubjectreviews" ? json::value(format_time(e.now)) : json::value(nullptr);
  schema::reorder(*doc, *e.t.res->body);
  return fixed_answer(201, std::move(*doc));
}

} // namespace troupe::apiserver

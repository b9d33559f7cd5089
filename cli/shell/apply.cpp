// `apply`, `delete`, `scale`: changes from manifests and by name.
#include "api/json.hpp"
#include "cli/shell/session.hpp"

#include <ostream>

namespace troupe::cli {

namespace {

constexpr const char* last_applied = "kubectl.kubernetes.io/last-applied-configuration";

struct target {
  const schema::resource* r = nullptr;
  std::string ns, name;
};

std::optional<target> target_of(session& s, const json::value& doc, const std::string& ns_option) {
  const std::string api_version{jq::str(doc, {"apiVersion"})};
  const std::string kind{jq::str(doc, {"kind"})};
  const auto slash = api_version.find('/');
  const auto group = slash == std::string::npos ? std::string{} : api_version.substr(0, slash);
  const auto version = slash == std::string::npos ? api_version : api_version.substr(slash + 1);
  const auto* r = schema::registry::get().find_by_kind(group, version, kind);
  if (!r) {
    s.fail("no kind \"" + kind + "\" in \"" + api_version + "\"");
    return std::nullopt;
  }
  target t{r, std::string{jq::str(doc, {"metadata", "namespace"})}, std::string{jq::str(doc, {"metadata", "name"})}};
  if (t.ns.empty()) t.ns = ns_option.empty() ? s.ns : ns_option;
  if (t.name.empty()) {
    s.fail("a " + kind + " without metadata.name cannot be applied");
    return std::nullopt;
  }
  return t;
}

/// Sets null for every key of `before` that `after` lacks, so that the server removes it; lists are left to merge.
void mark_removed(const json::value& before, const json::value& after, json::value& patch) {
  if (!before.is_object() || !after.is_object()) return;
  for (const auto& [key, old] : before.get_object()) {
    const auto* now = after.get_object().if_contains(key);
    if (!now) {
      patch.as_object()[key] = nullptr;
    } else if (old.is_object() && now->is_object()) {
      mark_removed(old, *now, patch.as_object()[key]);
    }
  }
}

bool told(session& s, const schema::resource& r, const std::string& name, const char* what) {
  s.out << r.singular << (r.group.empty() ? "" : "." + r.group) << "/" << name << " " << what << "\n";
  return true;
}

bool create(session& s, const target& t, const json::value& doc) {
  auto made = s.ask({.method = "POST",
                     .target = path_of(*t.r, t.ns) + "?fieldManager=actor-shell&fieldValidation=Strict",
                     .content_type = "application/json",
                     .accept = "application/json",
                     .body = json::serialize(doc)});
  return made && told(s, *t.r, t.name, "created");
}

bool update(session& s, const target& t, const json::value& doc, const json::value& live) {
  auto patch = doc;
  boost::system::error_code ec;
  const auto before = json::parse(jq::str(live, {"metadata", "annotations", last_applied}, "null"), ec);
  if (!ec) mark_removed(before, doc, patch);
  auto done = s.ask({.method = "PATCH",
                     .target = path_of(*t.r, t.ns, t.name) + "?fieldManager=actor-shell&fieldValidation=Strict",
                     .content_type = "application/strategic-merge-patch+json",
                     .accept = "application/json",
                     .body = json::serialize(patch)});
  if (!done) return false;
  auto after = json::parse(done->body, ec);
  const bool same =
      !ec && jq::str(after, {"metadata", "resourceVersion"}) == jq::str(live, {"metadata", "resourceVersion"});
  return told(s, *t.r, t.name, same ? "unchanged" : "configured");
}

bool apply_one(session& s, json::value doc, const std::string& ns_option) {
  auto t = target_of(s, doc, ns_option);
  if (!t) return false;
  jq::erase(doc, {"metadata", "annotations", last_applied});
  const auto plain = json::serialize(doc) + "\n";
  jq::at(doc, {"metadata", "annotations", last_applied}) = plain;
  auto live = s.client.call({.method = "GET",
                             .target = path_of(*t->r, t->ns, t->name),
                             .content_type = {},
                             .accept = "application/json",
                             .body = {}});
  if (!live) return s.fail(live.error().message);
  if (live->code == 404) return create(s, *t, doc);
  if (live->code >= 400) return s.fail(explain(*live));
  boost::system::error_code ec;
  const auto current = json::parse(live->body, ec);
  if (ec) return s.fail("the server's answer is no JSON: " + ec.message());
  return update(s, *t, doc, current);
}

bool delete_one(session& s, const target& t, const parsed_words& p) {
  json::object options{{"propagationPolicy", p.get("cascade", "Background")}};
  if (p.has("grace-period")) {
    try {
      options["gracePeriodSeconds"] = std::stoll(p.get("grace-period"));
    } catch (const std::exception&) {
      return s.fail("--grace-period: expected seconds, found \"" + p.get("grace-period") + "\"");
    }
  }
  auto gone = s.ask({.method = "DELETE",
                     .target = path_of(*t.r, t.ns, t.name),
                     .content_type = "application/json",
                     .accept = "application/json",
                     .body = json::serialize(options)});
  return gone && told(s, *t.r, t.name, "deleted");
}

} // namespace

bool cmd_apply(session& s, const word_list& words) {
  auto p = s.parse(words, {{'f', "filename", true}, {'n', "namespace", true}});
  if (!p) return false;
  if (!p->has("filename")) return s.fail("apply needs -f FILE (or - for standard input)");
  auto docs = load_manifests(p->get("filename"));
  if (!docs) return s.fail(docs.error().message);
  bool ok = true;
  for (auto& doc : *docs)
    ok = apply_one(s, std::move(doc), p->get("namespace")) && ok;
  return ok;
}

bool cmd_delete(session& s, const word_list& words) {
  auto p = s.parse(
      words, {{'f', "filename", true}, {'n', "namespace", true}, {0, "cascade", true}, {0, "grace-period", true}});
  if (!p) return false;
  bool ok = true;
  if (p->has("filename")) {
    auto docs = load_manifests(p->get("filename"));
    if (!docs) return s.fail(docs.error().message);
    for (const auto& doc : *docs) {
      auto t = target_of(s, doc, p->get("namespace"));
      ok = t && delete_one(s, *t, *p) && ok;
    }
    return ok;
  }
  auto names = p->operands;
  if (names.empty()) return s.fail("delete what? For example: delete pod web-1");
  std::string kind = names[0];
  if (const auto slash = kind.find('/'); slash != std::string::npos) {
    names[0] = kind.substr(slash + 1);
    kind.resize(slash);
  } else {
    names.erase(names.begin());
  }
  const auto* r = s.resource(kind);
  if (!r) return false;
  if (names.empty()) return s.fail("which " + r->singular + "? Give its name");
  for (const auto& name : names)
    ok = delete_one(s, {r, p->get("namespace", s.ns), name}, *p) && ok;
  return ok;
}

bool cmd_scale(session& s, const word_list& words) {
  auto p = s.parse(words, {{'n', "namespace", true}, {0, "replicas", true}});
  if (!p) return false;
  auto w = p->operands;
  if (p->has("replicas")) w.push_back(p->get("replicas"));
  if (w.size() == 3) {
    w[0] += "/" + w[1];
    w.erase(w.begin() + 1);
  }
  const auto slash = w.empty() ? std::string::npos : w[0].find('/');
  if (w.size() != 2 || slash == std::string::npos) return s.fail("usage: scale deployment/NAME REPLICAS");
  std::int64_t replicas = -1;
  try {
    replicas = std::stoll(w[1]);
  } catch (const std::exception&) {
  }
  if (replicas < 0) return s.fail("REPLICAS: expected a number from 0, found \"" + w[1] + "\"");
  const auto* r = s.resource(w[0].substr(0, slash));
  if (!r) return false;
  if (!r->sub("scale")) return s.fail(r->plural + " cannot be scaled");
  const auto name = w[0].substr(slash + 1);
  auto done = s.ask({.method = "PATCH",
                     .target = path_of(*r, p->get("namespace", s.ns), name) + "/scale",
                     .content_type = "application/merge-patch+json",
                     .accept = "application/json",
                     .body = json::serialize(json::object{{"spec", json::object{{"replicas", replicas}}}})});
  return done && told(s, *r, name, "scaled");
}

} // namespace troupe::cli

#include "api/schema/openapi.hpp"

#include "api/schema/accept.hpp"
#include "api/schema/digest.hpp"
#include "api/schema/embedded.hpp"
#include "api/schema/openapi_schema.hpp"
#include "api/schema/openapi_wire.hpp"
#include "api/schema/registry.hpp"
#include "api/schema/text_writer.hpp"
#include "api/status.hpp"
#include "api/version.hpp"

#include <map>
#include <mutex>

namespace troupe::schema {

namespace {

/// Part of the hash: raised when the documents change though the data does not.
constexpr std::string_view generator = "troupe-openapi-1";
/// Asked for by this name, answered by the other: `@` is not allowed in a media type and clients check the answer's.
constexpr std::string_view v2_protobuf_asked = "application/com.github.proto-openapi.spec.v2@v1.0+protobuf";
constexpr std::string_view v2_protobuf = "application/com.github.proto-openapi.spec.v2.v1.0+protobuf";
constexpr std::string_view patch_types[] = {"application/json-patch+json", "application/merge-patch+json",
                                            "application/strategic-merge-patch+json", "application/apply-patch+yaml"};
constexpr std::string_view body_types[] = {"application/json", "application/yaml",
                                           "application/vnd.kubernetes.protobuf"};

std::string path_of(std::string_view group, std::string_view version) {
  return group.empty() ? "api/" + std::string{version} : "apis/" + std::string{group} + "/" + std::string{version};
}

/// Writes operations of either level.
class operations {
public:
  operations(text_writer& w, openapi_level level) : w_(w), level_(level) {}

  void paths_of(const resource& r) {
    const auto base = "/" + path_of(r.group, r.version) + "/";
    const auto collection = base + (r.namespaced ? "namespaces/{namespace}/" : "") + r.plural;
    open_path(collection, r, false);
    verb(r, "list", "get", r.list_kind, {});
    verb(r, "create", "post", r.kind, "post");
    verb(r, "deletecollection", "delete", "", {});
    w_.close('}');
    if (!r.allows("get") && !r.allows("patch")) return;
    open_path(collection + "/{name}", r, true);
    verb(r, "get", "get", r.kind, {});
    verb(r, "update", "put", r.kind, "put");
    verb(r, "patch", "patch", r.kind, "patch");
    verb(r, "delete", "delete", "", {});
    w_.close('}');
  }

private:
  void parameter(std::string_view name, std::string_view in, std::string_view what) {
    w_.open('{').member("name", name).member("in", in).member("description", what);
    if (in == "path") w_.key("required").flag(true);
    if (level_ == openapi_level::v2)
      w_.member("type", "string");
    else
      w_.key("schema").open('{').member("type", "string").close('}');
    w_.close('}');
  }

  void open_path(std::string_view path, const resource& r, bool named) {
    w_.key(path).open('{').key("parameters").open('[');
    if (named) parameter("name", "path", "Name of the object.");
    if (r.namespaced) parameter("namespace", "path", "Namespace of the object.");
    w_.close(']');
  }

  std::string_view type_name(const resource& r, std::string_view kind) const {
    const auto* t = registry::get().find_kind(r.group, r.version, kind);
    return t ? std::string_view{t->name} : "io.k8s.apimachinery.pkg.apis.meta.v1.Status";
  }

  void reference(std::string_view type) {
    w_.open('{').member("$ref",
                        (level_ == openapi_level::v2 ? "#/definitions/" : "#/components/schemas/") + std::string{type});
    w_.close('}');
  }

  void responses(std::string_view type) {
    w_.key("responses").open('{').key("200").open('{').member("description", "OK");
    if (level_ == openapi_level::v2) {
      w_.key("schema");
      reference(type);
    } else {
      w_.key("content").open('{').key("application/json").open('{').key("schema");
      reference(type);
      w_.close('}').close('}');
    }
    w_.close('}').close('}');
  }

  template <class Range>
  void body(const Range& types, std::string_view type, bool patch) {
    if (level_ == openapi_level::v2) {
      w_.key("consumes").texts(types);
      return;
    }
    w_.key("requestBody").open('{').key("required").flag(true).key("content").open('{');
    for (const std::string_view t : types) {
      w_.key(t).open('{').key("schema");
      reference(patch ? "io.k8s.apimachinery.pkg.apis.meta.v1.Patch" : type);
      w_.close('}');
    }
    w_.close('}').close('}');
  }

  void write_parameters(std::string_view type, bool patch) {
    w_.key("parameters").open('[');
    if (level_ == openapi_level::v2) {
      w_.open('{').member("name", "body").member("in", "body").key("required").flag(true).key("schema");
      reference(patch ? "io.k8s.apimachinery.pkg.apis.meta.v1.Patch" : type);
      w_.close('}');
    }
    parameter("dryRun", "query", "All: everything but the write.");
    parameter("fieldManager", "query", "Who owns the fields that change.");
    parameter("fieldValidation", "query", "Ignore, Warn or Strict: what unknown fields get.");
    if (patch) parameter("force", "query", "Takes over fields of other managers; for apply.");
    w_.close(']');
  }

  void verb(const resource& r, std::string_view verb, std::string_view method, std::string_view kind,
            std::string_view writes) {
    if (!r.allows(verb)) return;
    const auto type = type_name(r, kind);
    const bool patch = verb == "patch";
    w_.key(method).open('{');
    w_.member("operationId", std::string{verb} + r.group + r.version + r.plural);
    w_.member("description", std::string{verb} + " " + r.kind);
    if (!writes.empty()) {
      write_parameters(type, patch);
      if (patch)
        body(patch_types, type, true);
      else
        body(body_types, type, false);
    }
    responses(type);
    w_.member("x-kubernetes-action", verb == "create" ? "post" : verb == "update" ? "put" : verb);
    w_.key("x-kubernetes-group-version-kind");
    write_gvk(w_, r.group, r.version, r.kind);
    w_.close('}');
  }

  text_writer& w_;
  openapi_level level_;
};

void common_roots(std::vector<const type*>& roots) {
  for (const auto* name : {"DeleteOptions", "Patch", "Status"})
    roots.push_back(registry::get().find_type("io.k8s.apimachinery.pkg.apis.meta.v1." + std::string{name}));
}

void resource_roots(std::vector<const type*>& roots, const resource& r) {
  roots.push_back(r.body);
  if (!r.list_kind.empty()) roots.push_back(registry::get().find_kind(r.group, r.version, r.list_kind));
  for (const auto& s : r.subresources)
    roots.push_back(s.body);
}

void info(text_writer& w) {
  w.key("info").open('{').member("title", "Kubernetes").member("version", version::git_version).close('}');
}

std::string build_v3(std::string_view group, std::string_view version) {
  text_writer w;
  w.open('{').member("openapi", "3.0.0");
  info(w);
  std::vector<const type*> roots;
  common_roots(roots);
  w.key("paths").open('{');
  operations ops(w, openapi_level::v3);
  for (const auto& r : registry::get().resources()) {
    if (r.group != group || r.version != version) continue;
    ops.paths_of(r);
    resource_roots(roots, r);
  }
  w.close('}').key("components").open('{').key("schemas").open('{');
  for (const auto* t : reachable(roots)) {
    w.key(t->name);
    write_schema(w, *t, openapi_level::v3, group, version);
  }
  w.close('}').key("securitySchemes").open('{').key("BearerToken").open('{').member("type", "apiKey");
  w.member("name", "authorization").member("in", "header").close('}').close('}').close('}').close('}');
  return w.take();
}

std::string build_v2() {
  text_writer w;
  w.open('{').member("swagger", "2.0");
  info(w);
  std::vector<const type*> roots;
  common_roots(roots);
  w.key("paths").open('{');
  operations ops(w, openapi_level::v2);
  for (const auto& r : registry::get().resources()) {
    if (!served_group(r.group)) continue;
    ops.paths_of(r);
    resource_roots(roots, r);
  }
  w.close('}').key("definitions").open('{');
  for (const auto* t : reachable(roots)) {
    w.key(t->name);
    write_schema(w, *t, openapi_level::v2, "", "v1");
  }
  w.close('}').close('}');
  return w.take();
}

std::string build_index() {
  text_writer w;
  w.open('{').key("paths").open('{');
  const auto one = [&](std::string_view group, std::string_view version) {
    const auto path = path_of(group, version);
    w.key(path).open('{');
    w.member("serverRelativeURL", "/openapi/v3/" + path + "?hash=" + std::string{openapi_hash()}).close('}');
  };
  one("", "v1");
  for (const auto& g : registry::get().groups())
    if (served_group(g.name))
      for (const auto& v : g.versions)
        one(g.name, v);
  w.close('}').close('}');
  return w.take();
}

/// Documents made so far; each is made once and kept.
template <class Make>
shared_bytes cached(const std::string& key, Make&& make) {
  static std::mutex mutex;
  static std::map<std::string, shared_bytes> made;
  const std::lock_guard hold(mutex);
  auto& d = made[key];
  if (!d) {
    auto text = make();
    text.shrink_to_fit();
    d = std::make_shared<const std::string>(std::move(text));
  }
  return d;
}

static_reply failure(int code, std::string type, std::string text) {
  static_reply r;
  r.code = code;
  r.content_type = std::move(type);
  r.body = std::make_shared<const std::string>(std::move(text));
  return r;
}

static_reply not_found() { return failure(404, "text/plain; charset=utf-8", "404 page not found\n"); }
static_reply not_acceptable(std::string_view accepted) {
  return failure(406, "application/json", errors::not_acceptable(accepted).to_bytes());
}

static_reply tagged(shared_bytes body, std::string_view content_type, std::string_view tag,
                    std::string_view if_none_match) {
  static_reply r;
  r.content_type = content_type;
  const auto etag = '"' + std::string{openapi_hash()} + std::string{tag} + '"';
  r.headers = {{"ETag", etag}, {"Vary", "Accept"}, {"Cache-Control", "no-cache, private"}};
  if (if_none_match.find(etag) != if_none_match.npos)
    r.code = 304;
  else
    r.body = std::move(body);
  return r;
}

bool accepts_json(std::string_view accept) {
  for (const auto& c : accept_clauses(accept))
    if (takes_json(c)) return true;
  return false;
}

static_reply v2_reply(std::string_view accept, std::string_view if_none_match) {
  for (const auto& c : accept_clauses(accept)) {
    if (c.type == v2_protobuf || c.type == v2_protobuf_asked)
      return tagged(openapi_v2_protobuf(), v2_protobuf, "P2", if_none_match);
    if (takes_json(c)) return tagged(openapi_v2_json(), "application/json", "J2", if_none_match);
  }
  return not_acceptable("application/json, " + std::string{v2_protobuf});
}

std::string_view hash_parameter(std::string_view query) {
  while (!query.empty()) {
    const auto end = query.find('&');
    const auto part = query.substr(0, end);
    if (part.starts_with("hash=")) return part.substr(5);
    query = end == query.npos ? std::string_view{} : query.substr(end + 1);
  }
  return {};
}

} // namespace

std::string_view openapi_hash() {
  static const std::string h = sha512_hex({generator, embedded::types, embedded::resources});
  return h;
}

shared_bytes openapi_v3_index() { return cached("index", build_index); }

shared_bytes openapi_v3(std::string_view path) {
  if (path == "api/v1") return cached("api/v1", [] { return build_v3("", "v1"); });
  for (const auto& g : registry::get().groups()) {
    if (!served_group(g.name)) continue;
    for (const auto& v : g.versions)
      if (const auto own = path_of(g.name, v); own == path) return cached(own, [&] { return build_v3(g.name, v); });
  }
  return nullptr;
}

shared_bytes openapi_v2_json() { return cached("v2", build_v2); }

shared_bytes openapi_v2_protobuf() {
  return cached("v2 protobuf", [] { return swagger_to_protobuf(build_v2()); });
}

static_reply openapi_reply(std::string_view path, std::string_view query, std::string_view accept,
                           std::string_view if_none_match) {
  while (path.ends_with('/'))
    path.remove_suffix(1);
  if (path == "/openapi/v2") return v2_reply(accept, if_none_match);
  if (path == "/openapi/v3")
    return accepts_json(accept) ? tagged(openapi_v3_index(), "application/json", "I3", if_none_match)
                                : not_acceptable("application/json");
  constexpr std::string_view prefix = "/openapi/v3/";
  if (!path.starts_with(prefix)) return not_found();
  auto body = openapi_v3(path.substr(prefix.size()));
  if (!body) return not_found();
  if (!accepts_json(accept)) return not_acceptable("application/json");
  const auto asked = hash_parameter(query);
  if (!asked.empty() && asked != openapi_hash()) {
    static_reply r;
    r.code = 301;
    r.headers = {{"Location", std::string{path} + "?hash=" + std::string{openapi_hash()}}};
    return r;
  }
  auto r = tagged(std::move(body), "application/json", "J3", if_none_match);
  if (!asked.empty()) r.headers.back().second = "public, max-age=31536000, immutable";
  return r;
}

} // namespace troupe::schema

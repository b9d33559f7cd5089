#include "api/schema/discovery.hpp"

#include "api/schema/accept.hpp"
#include "api/schema/digest.hpp"
#include "api/schema/registry.hpp"
#include "api/schema/text_writer.hpp"
#include "api/status.hpp"

#include <map>
#include <mutex>

namespace troupe::schema {

namespace {

using bytes = std::shared_ptr<const std::string>;

std::string group_version(const group& g, std::string_view version) {
  return g.name.empty() ? std::string{version} : g.name + "/" + std::string{version};
}

const group& core() {
  static const group g{"", "v1", {"v1"}};
  return g;
}

// The plain forms

void plain_entry(text_writer& w, const resource& r, const subresource* s) {
  w.open('{');
  w.member("name", s ? r.plural + "/" + s->name : r.plural);
  w.member("singularName", s ? std::string_view{} : std::string_view{r.singular});
  w.key("namespaced").flag(r.namespaced);
  if (s && (s->group != r.group || s->version != r.version)) {
    if (!s->group.empty()) w.member("group", s->group);
    w.member("version", s->version);
  }
  w.member("kind", s ? s->kind : r.kind);
  w.key("verbs").texts(s ? s->verbs : r.verbs);
  if (!s && !r.short_names.empty()) w.key("shortNames").texts(r.short_names);
  if (!s && !r.categories.empty()) w.key("categories").texts(r.categories);
  if (!s && !r.storage_version_hash.empty()) w.member("storageVersionHash", r.storage_version_hash);
  w.close('}');
}

std::string resource_list(const group& g, std::string_view version) {
  text_writer w;
  w.open('{').member("kind", "APIResourceList");
  if (!g.name.empty()) w.member("apiVersion", "v1");
  w.member("groupVersion", group_version(g, version)).key("resources").open('[');
  for (const auto& r : registry::get().resources()) {
    if (r.group != g.name || r.version != version) continue;
    plain_entry(w, r, nullptr);
    for (const auto& s : r.subresources)
      plain_entry(w, r, &s);
  }
  w.close(']').close('}');
  return w.take() + "\n";
}

void group_body(text_writer& w, const group& g) {
  w.member("name", g.name).key("versions").open('[');
  const auto one = [&](std::string_view v) {
    w.open('{').member("groupVersion", group_version(g, v)).member("version", v).close('}');
  };
  for (const auto& v : g.versions)
    one(v);
  w.close(']').key("preferredVersion");
  one(g.preferred);
}

std::string group_document(const group& g) {
  text_writer w;
  w.open('{').member("kind", "APIGroup").member("apiVersion", "v1");
  group_body(w, g);
  w.close('}');
  return w.take() + "\n";
}

std::string group_list() {
  text_writer w;
  w.open('{').member("kind", "APIGroupList").member("apiVersion", "v1").key("groups").open('[');
  for (const auto& g : registry::get().groups()) {
    if (!served_group(g.name)) continue;
    w.open('{');
    group_body(w, g);
    w.close('}');
  }
  w.close(']').close('}');
  return w.take() + "\n";
}

std::string api_versions(std::string_view server_address) {
  text_writer w;
  w.open('{').member("kind", "APIVersions").key("versions").open('[').text("v1").close(']');
  w.key("serverAddressByClientCIDRs").open('[').open('{').member("clientCIDR", "0.0.0.0/0");
  w.member("serverAddress", server_address).close('}').close(']').close('}');
  return w.take() + "\n";
}

// The aggregated form

void response_kind(text_writer& w, std::string_view group, std::string_view version, std::string_view kind,
                   const resource& parent) {
  const bool same = group == parent.group && version == parent.version;
  w.key("responseKind").open('{').member("group", same ? std::string_view{} : group);
  w.member("version", same ? std::string_view{} : version).member("kind", kind).close('}');
}

void aggregated_resource(text_writer& w, const resource& r) {
  w.open('{').member("resource", r.plural);
  response_kind(w, r.group, r.version, r.kind, r);
  w.member("scope", r.namespaced ? "Namespaced" : "Cluster").member("singularResource", r.singular);
  w.key("verbs").texts(r.verbs);
  if (!r.short_names.empty()) w.key("shortNames").texts(r.short_names);
  if (!r.categories.empty()) w.key("categories").texts(r.categories);
  if (!r.subresources.empty()) {
    w.key("subresources").open('[');
    for (const auto& s : r.subresources) {
      w.open('{').member("subresource", s.name);
      response_kind(w, s.group, s.version, s.kind, r);
      w.key("verbs").texts(s.verbs).close('}');
    }
    w.close(']');
  }
  w.close('}');
}

void aggregated_group(text_writer& w, const group& g) {
  w.open('{').key("metadata").open('{');
  if (!g.name.empty()) w.member("name", g.name);
  w.key("creationTimestamp").raw("null").close('}').key("versions").open('[');
  for (const auto& v : g.versions) {
    w.open('{').member("version", v).key("resources").open('[');
    for (const auto& r : registry::get().resources())
      if (r.group == g.name && r.version == v) aggregated_resource(w, r);
    w.close(']').member("freshness", "Current").close('}');
  }
  w.close(']').close('}');
}

std::string aggregated(bool legacy, std::string_view version) {
  text_writer w;
  w.open('{').member("kind", "APIGroupDiscoveryList");
  w.member("apiVersion", "apidiscovery.k8s.io/" + std::string{version});
  w.key("metadata").open('{').close('}').key("items").open('[');
  if (legacy) {
    aggregated_group(w, core());
  } else {
    for (const auto& g : registry::get().groups())
      if (served_group(g.name)) aggregated_group(w, g);
  }
  w.close(']').close('}');
  return w.take() + "\n";
}

// Answers

struct document {
  bytes body;
  std::string etag;
};

/// Documents made so far, by the key that names them.
class document_cache {
public:
  template <class Make>
  document get(const std::string& key, Make&& make) {
    const std::lock_guard hold(mutex_);
    auto& d = made_[key];
    if (!d.body) {
      d.body = std::make_shared<const std::string>(make());
      d.etag = '"' + sha512_hex({*d.body}) + '"';
    }
    return d;
  }

private:
  std::mutex mutex_;
  std::map<std::string, document> made_;
};

document_cache& cache() {
  static document_cache one;
  return one;
}

static_reply plain(std::string body) {
  static_reply r;
  r.headers = {{"Cache-Control", "no-cache, private"}};
  r.body = std::make_shared<const std::string>(std::move(body));
  return r;
}

static_reply plain(bytes body) {
  static_reply r;
  r.headers = {{"Cache-Control", "no-cache, private"}};
  r.body = std::move(body);
  return r;
}

static_reply failed(const status& s) {
  auto r = plain(s.to_bytes());
  r.code = s.code;
  return r;
}

static_reply not_found() {
  auto r = plain("404 page not found\n");
  r.code = 404;
  r.content_type = "text/plain; charset=utf-8";
  return r;
}

static_reply not_acceptable() { return failed(errors::not_acceptable("application/json")); }

static_reply aggregated_reply(bool legacy, std::string_view version, std::string_view if_none_match) {
  const auto d = cache().get(std::string{legacy ? "api " : "apis "} + std::string{version},
                             [&] { return aggregated(legacy, version); });
  static_reply r;
  r.content_type = "application/json;g=apidiscovery.k8s.io;v=" + std::string{version} + ";as=APIGroupDiscoveryList";
  r.headers = {{"ETag", d.etag}, {"Vary", "Accept"}, {"Cache-Control", "public"}};
  if (if_none_match.find(d.etag) != if_none_match.npos)
    r.code = 304;
  else
    r.body = d.body;
  return r;
}

static_reply root(bool legacy, std::string_view accept, std::string_view if_none_match,
                  std::string_view server_address) {
  for (const auto& c : accept_clauses(accept)) {
    if (c.type == "application/json" && c.as == "APIGroupDiscoveryList" && c.g == "apidiscovery.k8s.io" &&
        (c.v == "v2" || c.v == "v2beta1"))
      return aggregated_reply(legacy, c.v, if_none_match);
    if (!takes_json(c)) continue;
    auto r = legacy ? plain(api_versions(server_address)) : plain(cache().get("groups", group_list).body);
    r.headers.emplace_back("Vary", "Accept");
    return r;
  }
  return not_acceptable();
}

} // namespace

bool served_group(std::string_view group) noexcept { return group != "metrics.k8s.io"; }

static_reply discovery_reply(std::string_view path, std::string_view accept, std::string_view if_none_match,
                             std::string_view server_address) {
  while (path.size() > 1 && path.ends_with('/'))
    path.remove_suffix(1);
  if (path == "/api") return root(true, accept, if_none_match, server_address);
  if (path == "/apis") return root(false, accept, if_none_match, server_address);
  bool json_ok = false;
  for (const auto& c : accept_clauses(accept))
    json_ok |= takes_json(c);
  if (path == "/api/v1")
    return json_ok ? plain(cache().get("v1", [] { return resource_list(core(), "v1"); }).body) : not_acceptable();
  if (!path.starts_with("/apis/")) return not_found();
  const auto rest = path.substr(6);
  const auto slash = rest.find('/');
  for (const auto& g : registry::get().groups()) {
    if (g.name != rest.substr(0, slash) || !served_group(g.name)) continue;
    if (slash == rest.npos) {
      if (!json_ok) return not_acceptable();
      return plain(cache().get("group " + g.name, [&] { return group_document(g); }).body);
    }
    for (const auto& v : g.versions) {
      if (v != rest.substr(slash + 1)) continue;
      if (!json_ok) return not_acceptable();
      return plain(cache().get(group_version(g, v), [&] { return resource_list(g, v); }).body);
    }
  }
  return not_found();
}

} // namespace troupe::schema

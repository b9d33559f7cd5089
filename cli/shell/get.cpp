// `get`: tables as people know them, or the objects themselves; -w follows changes.
#include "api/table/table.hpp"
#include "cli/shell/session.hpp"

#include <algorithm>
#include <ostream>
#include <sstream>

namespace troupe::cli {

namespace {

constexpr const char* table_accept = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json";

std::string query_of(const parsed_words& p) {
  std::string q;
  auto add = [&](const char* key, const std::string& value) {
    q += q.empty() ? "?" : "&";
    q += std::string{key} + "=" + url_encode(value);
  };
  if (p.has("selector")) add("labelSelector", p.get("selector"));
  if (p.has("field-selector")) add("fieldSelector", p.get("field-selector"));
  return q;
}

bool known_output(session& s, const std::string& o) {
  if (o.empty() || o == "wide" || o == "yaml" || o == "json" || o == "name") return true;
  return s.fail("unknown output \"" + o + "\"; known are wide, yaml, json, name");
}

void print_names(session& s, const schema::resource& r, const json::value& doc) {
  const auto prefix = r.group.empty() ? r.singular + "/" : r.singular + "." + r.group + "/";
  if (const auto* items = jq::find(doc, {"items"}); items && items->is_array()) {
    for (const auto& item : items->get_array())
      s.out << prefix << jq::str(item, {"metadata", "name"}) << "\n";
  } else {
    s.out << prefix << jq::str(doc, {"metadata", "name"}) << "\n";
  }
}

bool print_objects(session& s, const schema::resource& r, const std::string& target, const std::string& output) {
  auto doc = s.ask_json(target);
  if (!doc) return false;
  if (output == "yaml") {
    s.out << to_yaml(*doc);
  } else if (output == "json") {
    s.out << json::serialize(*doc) << "\n";
  } else {
    print_names(s, r, *doc);
  }
  return true;
}

/// The answer's resourceVersion, to watch from; empty on failure.
std::optional<std::string> print_table(session& s, const std::string& target, const table::text_options& o,
                                       const std::string& what) {
  auto answer = s.ask({.method = "GET", .target = target, .content_type = {}, .accept = table_accept, .body = {}});
  if (!answer) return std::nullopt;
  boost::system::error_code ec;
  auto doc = json::parse(answer->body, ec);
  if (ec) {
    s.fail("the server's answer is no JSON: " + ec.message());
    return std::nullopt;
  }
  if (!jq::arr(doc, {"rows"}).empty()) {
    s.out << table::to_text(doc, o);
  } else if (!what.empty()) {
    s.out << what << "\n";
  }
  s.out.flush();
  return std::string{jq::str(doc, {"metadata", "resourceVersion"}, "0")};
}

/// Prints the events of a watch and remembers how far it got.
struct follower {
  session& s;
  table::text_options o;
  std::string revision;
  std::string pending;
  json::value columns;
  bool ok = true;

  bool take(std::string_view bytes) {
    pending += bytes;
    for (std::size_t nl; (nl = pending.find('\n')) != std::string::npos; pending.erase(0, nl + 1)) {
      boost::system::error_code ec;
      auto event = json::parse(std::string_view{pending}.substr(0, nl), ec);
      if (ec) return false;
      if (auto* table = jq::find(event, {"object"}); table && !show(event, *table)) return false;
    }
    s.out.flush();
    return true;
  }

  bool show(const json::value& event, json::value& table) {
    if (jq::str(table, {"kind"}) == "Status") return ok = s.fail(std::string{jq::str(table, {"message"})});
    if (const auto* c = jq::find(table, {"columnDefinitions"}); c && c->is_array() && !c->get_array().empty())
      columns = *c;
    else
      table.as_object()["columnDefinitions"] = columns;
    auto seen = jq::str(table, {"metadata", "resourceVersion"});
    for (const auto& row : jq::arr(table, {"rows"}))
      if (auto r = jq::str(row, {"object", "metadata", "resourceVersion"}); !r.empty()) seen = r;
    if (!seen.empty()) revision = seen;
    if (jq::str(event, {"type"}) == "BOOKMARK") return true;
    s.out << table::to_text(table, o);
    o.headers = false;
    return true;
  }
};

constexpr int resumes_max = 5; // in a row, without an event between them

/// `target` lacks the revision. A stream that breaks is taken up again where it ended, at another server if need be.
bool follow(session& s, const std::string& target, const std::string& from, table::text_options o, bool columns_shown) {
  o.headers = !columns_shown;
  follower f{s, o, from, {}, {}, true};
  for (int resumes = 0;;) {
    const auto before = f.revision;
    f.pending.clear();
    auto code = s.client.stream(
        {.method = "GET",
         .target = target + "&allowWatchBookmarks=true&resourceVersion=" + f.revision,
         .content_type = {},
         .accept = table_accept,
         .body = {}},
        [&](std::string_view bytes) { return f.take(bytes); }, s.stop_fd);
    if (code) return *code < 400 ? f.ok : s.fail(explain({*code, {}, f.pending}));
    resumes = f.revision == before ? resumes + 1 : 1;
    if (resumes > resumes_max) return s.fail(code.error().message);
  }
}

/// What one `get` asks for, resolved.
struct wanted {
  std::vector<const schema::resource*> resources;
  std::vector<std::string> names; // empty: all
};

/// `pods`, `pods,svc`, `all`; empty when a name is unknown (told).
std::vector<const schema::resource*> resources_of(session& s, const std::string& word) {
  std::vector<const schema::resource*> out;
  if (word == "all") {
    for (const auto& r : schema::registry::get().resources())
      if (std::find(r.categories.begin(), r.categories.end(), "all") != r.categories.end())
        if (const auto* preferred = schema::registry::get().find_by_name(r.plural); preferred == &r) out.push_back(&r);
    return out;
  }
  std::istringstream words(word);
  for (std::string name; std::getline(words, name, ',');) {
    const auto* r = s.resource(name);
    if (!r) return {};
    out.push_back(r);
  }
  return out;
}

std::optional<wanted> wanted_of(session& s, const parsed_words& p) {
  if (p.operands.empty()) {
    s.fail("get what? For example: get pods");
    return std::nullopt;
  }
  auto what = p.operands[0];
  wanted w;
  w.names.assign(p.operands.begin() + 1, p.operands.end());
  if (const auto slash = what.find('/'); slash != std::string::npos) {
    w.names.insert(w.names.begin(), what.substr(slash + 1));
    what.resize(slash);
  }
  w.resources = resources_of(s, what);
  if (w.resources.empty()) return std::nullopt;
  for (const auto* r : w.resources)
    if (!r->allows(w.names.empty() ? "list" : "get")) {
      s.fail(r->plural + (w.names.empty() ? " cannot be listed" : " cannot be read"));
      return std::nullopt;
    }
  return w;
}

/// Several kinds: a table each, names with their kind in front, a blank line between.
bool print_kinds(session& s, const wanted& w, const parsed_words& p, const std::string& ns) {
  bool ok = true, first = true;
  for (const auto* r : w.resources) {
    table::text_options o;
    o.wide = p.get("output") == "wide";
    o.with_namespace = p.has("all-namespaces") && r->namespaced;
    const auto prefix = r->group.empty() ? r->singular + "/" : r->singular + "." + r->group + "/";
    o.name_prefix = prefix;
    auto answer = s.ask({.method = "GET",
                         .target = path_of(*r, ns) + query_of(p),
                         .content_type = {},
                         .accept = table_accept,
                         .body = {}});
    if (!answer) {
      ok = false;
      continue;
    }
    boost::system::error_code ec;
    const auto doc = json::parse(answer->body, ec);
    if (ec || jq::arr(doc, {"rows"}).empty()) continue;
    s.out << (first ? "" : "\n") << table::to_text(doc, o);
    first = false;
  }
  if (ok && first) s.out << "nothing found" << (ns.empty() ? "" : " in namespace " + ns) << "\n";
  return ok;
}

/// One kind as a table; with names, their rows under one heading; followed when -w was given.
bool print_kind(session& s, const schema::resource& r, const wanted& w, const parsed_words& p, const std::string& ns) {
  std::vector<std::size_t> widths;
  table::text_options o;
  o.wide = p.get("output") == "wide";
  o.with_namespace = ns.empty() && r.namespaced;
  o.widths = &widths;
  if (w.names.empty()) {
    const bool watch = p.has("watch");
    const auto none = "no " + r.plural + " found" + (ns.empty() || !r.namespaced ? "" : " in namespace " + ns);
    auto rv = print_table(s, path_of(r, ns) + query_of(p), o, watch ? std::string{} : none);
    if (!rv || !watch) return rv.has_value();
    auto q = query_of(p);
    q += q.empty() ? "?" : "&";
    return follow(s, path_of(r, ns) + q + "watch=true", *rv, o, !widths.empty());
  }
  bool ok = true;
  std::string rv;
  for (const auto& name : w.names) {
    auto got = print_table(s, path_of(r, ns, name), o, {});
    ok = got && ok;
    if (got) o.headers = false, rv = *got;
  }
  if (!ok || !p.has("watch")) return ok;
  const auto only = "?fieldSelector=" + url_encode("metadata.name=" + w.names.front());
  return follow(s, path_of(r, ns) + only + "&watch=true", rv, o, true);
}

} // namespace

bool cmd_get(session& s, const word_list& words) {
  auto p = s.parse(words, {{'n', "namespace", true},
                           {'A', "all-namespaces", false},
                           {'l', "selector", true},
                           {0, "field-selector", true},
                           {'o', "output", true},
                           {'w', "watch", false}});
  if (!p) return false;
  auto w = wanted_of(s, *p);
  const auto output = p->get("output");
  if (!w || !known_output(s, output)) return false;
  const bool selects = p->has("selector") || p->has("field-selector");
  if (!w->names.empty() && (selects || p->has("all-namespaces")))
    return s.fail("names and a selector or -A do not go together");
  if (p->has("watch") && (w->resources.size() > 1 || w->names.size() > 1))
    return s.fail("-w follows one kind, or one object");
  const auto ns = p->has("all-namespaces") ? std::string{} : p->get("namespace", s.ns);
  if (!output.empty() && output != "wide") {
    if (p->has("watch")) return s.fail("-w shows tables: leave out -o " + output);
    bool ok = true;
    for (const auto* r : w->resources) {
      if (w->names.empty()) ok = print_objects(s, *r, path_of(*r, ns) + query_of(*p), output) && ok;
      for (const auto& name : w->names)
        ok = print_objects(s, *r, path_of(*r, ns, name), output) && ok;
    }
    return ok;
  }
  if (w->resources.size() > 1 && w->names.empty()) return print_kinds(s, *w, *p, ns);
  bool ok = true;
  for (const auto* r : w->resources)
    ok = print_kind(s, *r, *w, *p, ns) && ok;
  return ok;
}

} // namespace troupe::cli

// `get`: tables as people know them, or the objects themselves; -w follows changes.
#include "api/table/table.hpp"
#include "cli/shell/session.hpp"

#include <ostream>

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
  if (jq::arr(doc, {"rows"}).empty()) {
    s.out << "no " << what << " found" << (o.with_namespace || s.ns.empty() ? "" : " in namespace " + s.ns) << "\n";
  } else {
    s.out << table::to_text(doc, o);
  }
  s.out.flush();
  return std::string{jq::str(doc, {"metadata", "resourceVersion"}, "0")};
}

bool follow(session& s, const std::string& target, table::text_options o) {
  std::string pending;
  o.headers = false;
  json::value columns;
  auto piece = [&](std::string_view bytes) {
    pending += bytes;
    for (std::size_t nl; (nl = pending.find('\n')) != std::string::npos; pending.erase(0, nl + 1)) {
      boost::system::error_code ec;
      auto event = json::parse(std::string_view{pending}.substr(0, nl), ec);
      if (ec) return false;
      auto* table = jq::find(event, {"object"});
      if (!table) continue;
      if (jq::str(*table, {"kind"}) == "Status") return s.fail(std::string{jq::str(*table, {"message"})});
      if (const auto* c = jq::find(*table, {"columnDefinitions"}); c && c->is_array() && !c->get_array().empty())
        columns = *c;
      else
        table->as_object()["columnDefinitions"] = columns;
      if (jq::str(event, {"type"}) == "BOOKMARK") continue;
      s.out << table::to_text(*table, o);
    }
    s.out.flush();
    return true;
  };
  auto code = s.client.stream(
      {.method = "GET", .target = target, .content_type = {}, .accept = table_accept, .body = {}}, piece, s.stop_fd);
  return code ? *code < 400 : s.fail(code.error().message);
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
  if (p->operands.empty()) return s.fail("get what? For example: get pods");
  auto what = p->operands[0];
  std::string name = p->operands.size() > 1 ? p->operands[1] : "";
  if (const auto slash = what.find('/'); slash != std::string::npos) {
    name = what.substr(slash + 1);
    what.resize(slash);
  }
  const auto* r = s.resource(what);
  if (!r || !known_output(s, p->get("output"))) return false;
  if (!r->allows(name.empty() ? "list" : "get")) return s.fail(r->plural + " cannot be listed");

  const bool all = p->has("all-namespaces");
  const auto ns = all ? std::string{} : p->get("namespace", s.ns);
  const auto output = p->get("output");
  const auto target = path_of(*r, ns, name) + query_of(*p);
  if (!output.empty() && output != "wide") return print_objects(s, *r, target, output);

  table::text_options o;
  o.wide = output == "wide";
  o.with_namespace = all && r->namespaced;
  auto rv = print_table(s, target, o, r->plural);
  if (!rv || !p->has("watch")) return rv.has_value();
  auto watch_query = query_of(*p);
  if (!name.empty()) watch_query += (watch_query.empty() ? "?" : "&") + ("fieldSelector=metadata.name%3D" + name);
  watch_query += watch_query.empty() ? "?" : "&";
  return follow(s, path_of(*r, ns) + watch_query + "watch=true&resourceVersion=" + *rv, o);
}

} // namespace troupe::cli

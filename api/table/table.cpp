#include "api/table/table.hpp"

#include "api/meta/object_meta.hpp"
#include "api/table/cells.hpp"

#include <algorithm>
#include <map>
#include <mutex>

namespace troupe::table {

namespace {

/// The columns of one table as a JSON array, ready to send, and how many there are.
struct columns {
  std::string bytes;
  std::size_t count = 0;
};

columns make_columns(const json::array& list) {
  json::array out;
  for (const auto& c : list) {
    json::object o;
    o["name"] = jq::str(c, {"name"});
    o["type"] = jq::str(c, {"type"});
    o["format"] = jq::str(c, {"format"});
    o["description"] = jq::str(c, {"cell"});
    o["priority"] = jq::num(c, {"priority"});
    out.push_back(std::move(o));
  }
  return {json::serialize(out), out.size()};
}

/// Built once from the data; the map is immutable afterwards.
const columns& columns_of(std::string_view group, std::string_view plural) {
  static const auto all = [] {
    std::map<std::pair<std::string, std::string>, columns, std::less<>> out;
    const auto& data = schema::registry::get().printers();
    for (const auto& t : jq::arr(data, {"tables"}))
      out.emplace(std::pair{std::string{jq::str(t, {"group"})}, std::string{jq::str(t, {"resource"})}},
                  make_columns(jq::arr(t, {"columns"})));
    out.emplace(std::pair{std::string{}, std::string{"*default"}}, make_columns(jq::arr(data, {"default"})));
    out.emplace(std::pair{std::string{}, std::string{"*custom"}}, make_columns(jq::arr(data, {"customResource"})));
    return out;
  }();
  const auto it = all.find(std::pair{std::string{group}, std::string{plural}});
  return it != all.end() ? it->second : all.at(std::pair{std::string{}, std::string{"*default"}});
}

void default_row(row& r, const json::value& o) { r.name(o).text(jq::str(o, {"metadata", "creationTimestamp"})); }

void custom_row(row& r, const json::value& o) { r.name(o).age(o); }

void scale_row(row& r, const json::value& o) {
  r.name(o).number(jq::num(o, {"spec", "replicas"})).number(jq::num(o, {"status", "replicas"})).age(o);
}

void status_row(row& r, const json::value& o) {
  r.text(jq::str(o, {"status"})).text(jq::str(o, {"reason"})).text(jq::str(o, {"message"}));
}

/// Rows of pods that have ended say so, which lets clients strike them out.
std::string_view pod_conditions(const json::value& o) {
  const auto phase = jq::str(o, {"status", "phase"});
  if (phase == "Succeeded")
    return R"("conditions":[{"type":"Completed","status":"True","reason":"Succeeded","message":"The pod has completed successfully."}],)";
  if (phase == "Failed")
    return R"("conditions":[{"type":"Completed","status":"True","reason":"Failed","message":"The pod failed."}],)";
  return {};
}

void append_object(std::string& out, const json::value& o, std::string_view bytes, const options& opt) {
  switch (opt.include) {
  case include_object::none: out += "null"; return;
  case include_object::object: out += bytes.empty() ? json::serialize(o) : std::string{bytes}; return;
  case include_object::metadata: break;
  }
  out.append(R"({"kind":"PartialObjectMetadata","apiVersion":")").append(opt.api_version).append(R"(","metadata":)");
  const auto* m = jq::find(o, {"metadata"});
  out += m ? json::serialize(*m) : "{}";
  out += '}';
}

std::string head(const options& o, const list_meta& m, const columns& c) {
  std::string out = R"({"kind":"Table","apiVersion":")";
  out.append(o.api_version).append(R"(","metadata":{)");
  const auto member = [&](std::string_view key, const std::string& value) {
    if (value.empty()) return;
    if (out.back() != '{') out += ',';
    out.append("\"").append(key).append("\":");
    append_json_string(out, value);
  };
  member("resourceVersion", m.resource_version);
  member("continue", m.continue_token);
  if (m.remaining) {
    if (out.back() != '{') out += ',';
    out += "\"remainingItemCount\":" + std::to_string(*m.remaining);
  }
  out.append("},\"columnDefinitions\":").append(o.with_columns ? c.bytes : "[]").append(",\"rows\":[");
  return out;
}

} // namespace

std::optional<include_object> parse_include_object(std::string_view text) noexcept {
  if (text.empty() || text == "Metadata") return include_object::metadata;
  if (text == "Object") return include_object::object;
  if (text == "None") return include_object::none;
  return std::nullopt;
}

struct table_writer::impl {
  options opt;
  const columns& cols;
  row_writer write;
  bool pods, sorted;
  std::string api_version; // options hold a view
  std::string rows;
  std::vector<std::pair<std::pair<std::int64_t, std::string>, std::string>> by_precedence;

  impl(const columns& c, row_writer w, options o, bool is_pods, bool is_sorted)
      : opt(o), cols(c), write(w), pods(is_pods), sorted(is_sorted), api_version(o.api_version) {
    opt.api_version = api_version;
  }

  void add(const json::value& o, std::string_view bytes) {
    std::string own;
    auto& out = sorted ? own : rows;
    if (!out.empty()) out += ',';
    out += "{\"cells\":[";
    row r{out, opt.now};
    write(r, o);
    out += "],";
    if (pods) out += pod_conditions(o);
    out += "\"object\":";
    append_object(out, o, bytes, opt);
    out += '}';
    if (sorted)
      by_precedence.push_back(
          {{jq::num(o, {"spec", "matchingPrecedence"}), std::string{meta::name(o)}}, std::move(own)});
  }

  std::string finish(const list_meta& m) {
    std::sort(by_precedence.begin(), by_precedence.end());
    for (auto& [key, text] : by_precedence)
      rows.append(rows.empty() ? "" : ",").append(text);
    auto out = head(opt, m, cols);
    out += rows;
    out += "]}";
    return out;
  }
};

table_writer::table_writer(const schema::resource& r, options o) {
  const bool is_pods = r.group.empty() && r.plural == "pods";
  if (const auto write = find_row(r.group, r.plural))
    impl_ = std::make_unique<impl>(columns_of(r.group, r.plural), write, o, is_pods, r.plural == "flowschemas");
  else if (schema::registry::get().find(r.group, r.version, r.plural))
    impl_ = std::make_unique<impl>(columns_of("", "*default"), default_row, o, false, false);
  else // not one of ours: an instance of a CustomResourceDefinition
    impl_ = std::make_unique<impl>(columns_of("", "*custom"), custom_row, o, false, false);
}
table_writer::~table_writer() = default;
table_writer::table_writer(table_writer&&) noexcept = default;
void table_writer::add(const json::value& object, std::string_view bytes) { impl_->add(object, bytes); }
std::string table_writer::finish(const list_meta& m) { return impl_->finish(m); }

std::string render_table(const schema::resource& r, std::span<const json::value> items, const options& o,
                         const list_meta& m) {
  table_writer w{r, o};
  for (const auto& v : items)
    w.add(v);
  return w.finish(m);
}

std::string render_row(const schema::resource& r, const json::value& object, const options& o, std::string_view bytes) {
  table_writer w{r, o};
  w.add(object, bytes);
  return w.finish({std::string{meta::resource_version(object)}, {}, {}});
}

namespace {
std::string render_special(const columns& c, row_writer write, const json::value& v, const options& o,
                           std::string resource_version) {
  auto out = head(o, {std::move(resource_version), {}, {}}, c);
  out += "{\"cells\":[";
  row r{out, o.now};
  write(r, v);
  out += "],\"object\":";
  append_object(out, v, {}, o);
  return out + "}]}";
}
} // namespace

std::string render_status(const json::value& status, const options& o) {
  auto opt = o;
  if (opt.include == include_object::metadata) opt.include = include_object::none;
  return render_special(columns_of("", "*status"), status_row, status, opt, {});
}

std::string render_scale(const json::value& scale, const options& o) {
  return render_special(columns_of("autoscaling", "*/scale"), scale_row, scale, o,
                        std::string{meta::resource_version(scale)});
}

} // namespace troupe::table

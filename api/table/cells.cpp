#include "api/table/cells.hpp"

#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"

#include <algorithm>

namespace troupe::table {

void append_json_string(std::string& out, std::string_view s) {
  const bool simple = std::all_of(
      s.begin(), s.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; });
  if (simple)
    out.append("\"").append(s).append("\"");
  else
    out += json::serialize(json::string(s));
}

void row::next() {
  if (count_++ != 0) out_ += ',';
}
row& row::text(std::string_view s) {
  next();
  append_json_string(out_, s);
  return *this;
}
row& row::number(std::int64_t n) {
  next();
  out_ += std::to_string(n);
  return *this;
}
row& row::boolean(bool b) {
  next();
  out_ += b ? "true" : "false";
  return *this;
}
row& row::name(const json::value& o) { return text(meta::name(o)); }
row& row::age(const json::value& o) { return age_of(jq::str(o, {"metadata", "creationTimestamp"})); }
row& row::age_of(std::string_view instant) { return text(human_age(instant, now_)); }

row_writer find_row(std::string_view group, std::string_view plural) {
  for (const auto rules : {core_rows(), workload_rows(), network_rows(), storage_rows(), policy_rows()})
    for (const auto& r : rules)
      if (r.group == group && r.plural == plural) return r.write;
  return nullptr;
}

std::string_view or_else(std::string_view s, std::string_view otherwise) { return s.empty() ? otherwise : s; }

std::string join(const std::vector<std::string>& v, std::string_view by) {
  std::string out;
  for (std::size_t i = 0; i < v.size(); ++i)
    out.append(i ? by : "").append(v[i]);
  return out;
}

std::string join_few(const std::vector<std::string>& v, std::size_t max, std::string_view by) {
  if (v.size() <= max) return join(v, by);
  return join({v.begin(), v.begin() + static_cast<std::ptrdiff_t>(max)}, by) + " + " + std::to_string(v.size() - max) +
         " more...";
}

std::vector<std::string> strings(const json::array& a, std::string_view member) {
  std::vector<std::string> out;
  for (const auto& v : a) {
    const auto* s = member.empty() ? v.if_string() : nullptr;
    out.emplace_back(member.empty() ? (s ? jq::view(*s) : std::string_view{}) : jq::str(v, {member}));
  }
  return out;
}

std::string labels_text(const json::object& labels) {
  if (labels.empty()) return "<none>";
  std::vector<std::string> out;
  for (const auto& [k, v] : labels) {
    const auto* s = v.if_string();
    out.push_back(std::string{jq::view(k)}.append("=").append(s ? jq::view(*s) : std::string_view{}));
  }
  std::sort(out.begin(), out.end());
  return join(out, ",");
}

std::string selector_text(const json::value* selector) {
  const auto s = label_selector::from_object(selector);
  if (!s) return "<error>";
  auto out = s->to_string();
  return out.empty() ? "<none>" : out;
}

std::string containers_text(const json::value& o, std::initializer_list<std::string_view> pod_spec,
                            std::string_view member) {
  const auto* spec = jq::find(o, pod_spec);
  return spec ? join(strings(jq::arr(*spec, {"containers"}), member), ",") : std::string{};
}

std::string access_modes_text(const json::array& modes) {
  static constexpr std::pair<std::string_view, std::string_view> known[] = {
      {"ReadWriteOnce", "RWO"}, {"ReadOnlyMany", "ROX"}, {"ReadWriteMany", "RWX"}, {"ReadWriteOncePod", "RWOP"}};
  const auto given = strings(modes);
  std::vector<std::string> out;
  for (const auto& [name, abbreviation] : known)
    if (std::find(given.begin(), given.end(), name) != given.end()) out.emplace_back(abbreviation);
  return join(out, ",");
}

const json::value* condition(const json::value& o, std::string_view type) {
  for (const auto& c : jq::arr(o, {"status", "conditions"}))
    if (jq::str(c, {"type"}) == type) return &c;
  return nullptr;
}

bool condition_true(const json::value& o, std::string_view type) {
  const auto* c = condition(o, type);
  return c && jq::str(*c, {"status"}) == "True";
}

} // namespace troupe::table

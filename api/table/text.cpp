#include "api/table/table.hpp"

#include <algorithm>

namespace troupe::table {

namespace {

std::string upper(std::string_view s) {
  std::string out{s};
  for (auto& c : out)
    if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
  return out;
}

/// Cells stand on one line each: what breaks it is shown as its escape.
std::string one_line(std::string_view s) {
  std::string out;
  for (char c : s) {
    switch (c) {
    case '\n': out += "\\n"; break;
    case '\r': out += "\\r"; break;
    case '\f': out += "\\f"; break;
    default: out += static_cast<unsigned char>(c) < 0x20 && c != '\t' ? ' ' : c;
    }
  }
  return out;
}

std::string cell_text(const json::value& v) {
  if (const auto* s = v.if_string()) return one_line(jq::view(*s));
  if (v.is_null()) return "<none>";
  return json::serialize(v);
}

/// Columns as people count them: bytes that only continue a UTF-8 character take no place.
std::size_t width(std::string_view s) {
  return static_cast<std::size_t>(
      std::count_if(s.begin(), s.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

} // namespace

std::string to_text(const json::value& table, const text_options& o) {
  std::vector<std::size_t> shown;
  std::vector<std::vector<std::string>> lines;
  std::vector<std::string> header;
  if (o.with_namespace) header.emplace_back("NAMESPACE");
  const auto& columns = jq::arr(table, {"columnDefinitions"});
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (!o.wide && jq::num(columns[i], {"priority"}) != 0) continue;
    shown.push_back(i);
    header.push_back(upper(jq::str(columns[i], {"name"})));
  }
  if (o.headers) lines.push_back(std::move(header));
  for (const auto& r : jq::arr(table, {"rows"})) {
    std::vector<std::string> line;
    if (o.with_namespace) line.emplace_back(jq::str(r, {"object", "metadata", "namespace"}));
    const auto& cells = jq::arr(r, {"cells"});
    for (auto i : shown)
      line.push_back(i < cells.size() ? cell_text(cells[i]) : std::string{});
    const std::size_t name_at = o.with_namespace ? 1 : 0;
    if (line.size() > name_at) line[name_at].insert(0, o.name_prefix);
    lines.push_back(std::move(line));
  }
  std::vector<std::size_t> own;
  auto& widths = o.widths ? *o.widths : own;
  for (const auto& l : lines) {
    widths.resize(std::max(widths.size(), l.size()));
    for (std::size_t i = 0; i < l.size(); ++i)
      widths[i] = std::max(widths[i], width(l[i]));
  }
  constexpr std::size_t gap = 3;
  std::string out;
  for (const auto& l : lines) {
    for (std::size_t i = 0; i < l.size(); ++i) {
      out += l[i];
      if (i + 1 < l.size()) out.append(widths[i] - width(l[i]) + gap, ' ');
    }
    out += '\n';
  }
  return out;
}

} // namespace troupe::table

// `describe`: one object as an indented report, with what happened to it lately.
#include "api/meta/time.hpp"
#include "cli/shell/session.hpp"

#include <algorithm>
#include <chrono>
#include <iomanip>
#include <ostream>
#include <sstream>

namespace troupe::cli {

namespace {

/// `creationTimestamp` becomes `Creation Timestamp`, as kubectl titles keys.
std::string title(std::string_view key) {
  std::string out;
  for (std::size_t i = 0; i < key.size(); ++i) {
    const char c = key[i];
    const bool upper = c >= 'A' && c <= 'Z';
    const bool run = upper && i > 0 && key[i - 1] >= 'A' && key[i - 1] <= 'Z';
    if (upper && i > 0 && !run) out += ' ';
    out += i == 0 && c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  }
  return out;
}

std::string scalar(const json::value& v) {
  if (const auto* s = v.if_string()) return std::string{*s};
  return json::serialize(v);
}

void report(std::ostream& out, const json::value& v, int indent);

/// Maps whose keys are the user's own words, not fields.
bool is_user_map(std::string_view name) {
  return name == "labels" || name == "annotations" || name == "matchLabels" || name == "selector" ||
         name == "nodeSelector" || name == "data" || name == "binaryData" || name == "requests" || name == "limits" ||
         name == "capacity" || name == "allocatable";
}

void report_entry(std::ostream& out, std::string_view name, const json::value& v, int indent, bool own_word = false) {
  out << std::string(static_cast<std::size_t>(indent), ' ') << (own_word ? std::string{name} : title(name)) << ":";
  if (is_user_map(name) && v.is_object() && !v.get_object().empty()) {
    out << "\n";
    for (const auto& [k, x] : v.get_object())
      report_entry(out, k, x, indent + 2, !x.is_object());
    return;
  }
  if (v.is_object() || v.is_array()) {
    const bool empty = v.is_object() ? v.get_object().empty() : v.get_array().empty();
    out << (empty ? "  <none>\n" : "\n");
    report(out, v, indent + 2);
    return;
  }
  const auto text = scalar(v);
  if (text.find('\n') == std::string::npos) {
    out << "  " << text << "\n";
    return;
  }
  out << "\n";
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);)
    out << std::string(static_cast<std::size_t>(indent) + 2, ' ') << line << "\n";
}

void report(std::ostream& out, const json::value& v, int indent) {
  if (const auto* o = v.if_object()) {
    for (const auto& [k, x] : *o)
      report_entry(out, k, x, indent);
  } else if (const auto* a = v.if_array()) {
    for (const auto& x : *a) {
      if (!x.is_object()) {
        out << std::string(static_cast<std::size_t>(indent), ' ') << scalar(x) << "\n";
        continue;
      }
      const auto name = jq::str(x, {"name"}, jq::str(x, {"type"}));
      out << std::string(static_cast<std::size_t>(indent), ' ') << (name.empty() ? "-" : std::string{name} + ":")
          << "\n";
      report(out, x, indent + 2);
    }
  }
}

/// Labels and annotations one per line; data of secrets by size only.
void report_top(std::ostream& out, const json::value& doc) {
  const auto& meta = jq::obj(doc, {"metadata"});
  out << "Name:         " << jq::str(doc, {"metadata", "name"}) << "\n";
  if (const auto ns = jq::str(doc, {"metadata", "namespace"}); !ns.empty()) out << "Namespace:    " << ns << "\n";
  out << "Kind:         " << jq::str(doc, {"kind"}) << " (" << jq::str(doc, {"apiVersion"}) << ")\n";
  for (const char* section : {"labels", "annotations"}) {
    std::string heading = title(section) + ":";
    heading.resize(14, ' ');
    const auto* map = meta.if_contains(section);
    if (!map || !map->is_object() || map->get_object().empty()) {
      out << heading << "<none>\n";
      continue;
    }
    for (const auto& [k, v] : map->get_object()) {
      if (k == "kubectl.kubernetes.io/last-applied-configuration") continue;
      out << heading << std::string_view{k} << "=" << scalar(v) << "\n";
      heading.assign(14, ' ');
    }
  }
  out << "Created:      " << jq::str(doc, {"metadata", "creationTimestamp"}) << "\n";
  if (const auto gone = jq::str(doc, {"metadata", "deletionTimestamp"}); !gone.empty())
    out << "Terminating:  since " << gone << "\n";
  for (const auto& owner : jq::arr(doc, {"metadata", "ownerReferences"}))
    out << "Owned by:     " << jq::str(owner, {"kind"}) << "/" << jq::str(owner, {"name"}) << "\n";
}

void report_rest(std::ostream& out, const json::value& doc) {
  const bool secret = jq::str(doc, {"kind"}) == "Secret";
  for (const auto& [k, v] : doc.as_object()) {
    if (k == "kind" || k == "apiVersion" || k == "metadata") continue;
    if (secret && (k == "data" || k == "stringData") && v.is_object()) {
      out << "Data:\n";
      for (const auto& [name, value] : v.get_object())
        out << "  " << std::string_view{name} << ":  " << scalar(value).size() / 4 * 3 << " bytes\n";
      continue;
    }
    report_entry(out, k, v, 0);
  }
}

void report_events(session& s, const json::value& doc, const std::string& ns) {
  auto selector = "involvedObject.uid=" + std::string{jq::str(doc, {"metadata", "uid"})};
  auto events = s.ask_json("/api/v1/namespaces/" + url_encode(ns.empty() ? "default" : ns) +
                           "/events?fieldSelector=" + url_encode(selector));
  if (!events) return;
  auto items = jq::arr(*events, {"items"});
  if (items.empty()) {
    s.out << "Events:  <none>\n";
    return;
  }
  std::sort(items.begin(), items.end(),
            [](const auto& a, const auto& b) { return jq::str(a, {"lastTimestamp"}) < jq::str(b, {"lastTimestamp"}); });
  s.out << "Events:\n";
  std::vector<word_list> rows{{"  TYPE", "REASON", "LAST SEEN", "FROM", "MESSAGE"}};
  for (const auto& e : items) {
    const auto count = jq::num(e, {"count"}, 1);
    const std::string times = count > 1 ? " (x" + std::to_string(count) + ")" : "";
    auto cell = [&e](auto... path) { return std::string{jq::str(e, {path...})}; };
    rows.push_back({"  " + cell("type"), cell("reason"), cell("lastTimestamp") + times, cell("source", "component"),
                    cell("message")});
  }
  print_rows(s.out, rows);
}

} // namespace

bool cmd_describe(session& s, const word_list& words) {
  auto p = s.parse(words, {{'n', "namespace", true}});
  if (!p) return false;
  auto w = p->operands;
  if (w.size() == 1)
    if (const auto slash = w[0].find('/'); slash != std::string::npos)
      w = {w[0].substr(0, slash), w[0].substr(slash + 1)};
  if (w.size() != 2) return s.fail("usage: describe RESOURCE NAME");
  const auto* r = s.resource(w[0]);
  if (!r) return false;
  const auto ns = r->namespaced ? p->get("namespace", s.ns) : std::string{};
  auto doc = s.ask_json(path_of(*r, ns, w[1]));
  if (!doc) return false;
  jq::erase(*doc, {"metadata", "managedFields"});
  report_top(s.out, *doc);
  report_rest(s.out, *doc);
  report_events(s, *doc, ns);
  return true;
}

} // namespace troupe::cli

// `actors`, `raft`, `images`, `loglevel`: the process behind the API, asked for its own state.
#include "cli/shell/session.hpp"

#include <algorithm>
#include <iomanip>
#include <ostream>

namespace troupe::cli {

namespace {

/// Prints rows with columns as wide as their widest cell.
void print_rows(std::ostream& out, const std::vector<word_list>& rows) {
  std::vector<std::size_t> width;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == width.size()) width.push_back(0);
      width[i] = std::max(width[i], row[i].size());
    }
  for (const auto& row : rows) {
    for (std::size_t i = 0; i + 1 < row.size(); ++i)
      out << std::left << std::setw(static_cast<int>(width[i]) + 3) << row[i];
    out << row.back() << "\n";
  }
}

/// node/kubelet/pod default/web-1 is shown below node/kubelet, indented. The part behind a blank is one name.
std::string tree_label(const std::string& path) {
  const auto name_end = path.find(' ');
  const auto last = path.rfind('/', name_end == std::string::npos ? path.size() : name_end);
  const auto depth = std::count(
      path.begin(), path.begin() + static_cast<std::ptrdiff_t>(name_end == std::string::npos ? path.size() : name_end),
      '/');
  return std::string(static_cast<std::size_t>(depth) * 2, ' ') +
         (last == std::string::npos ? path : path.substr(last + 1));
}

} // namespace

bool cmd_actors(session& s, const word_list& words) {
  if (!s.parse(words, {})) return false;
  auto doc = s.ask_json("/troupe/v1/actors");
  if (!doc) return false;
  std::vector<word_list> rows{{"ACTOR", "MAILBOX", "HANDLED", "RESTARTS", "STATE"}};
  for (const auto& a : jq::arr(*doc, {"actors"}))
    rows.push_back({tree_label(std::string{jq::str(a, {"path"})}), std::to_string(jq::num(a, {"mailbox"})),
                    std::to_string(jq::num(a, {"handled"})), std::to_string(jq::num(a, {"restarts"})),
                    std::string{jq::str(a, {"state"})}});
  print_rows(s.out, rows);
  return true;
}

bool cmd_raft(session& s, const word_list& words) {
  if (!s.parse(words, {})) return false;
  auto doc = s.ask_json("/troupe/v1/raft");
  if (!doc) return false;
  s.out << to_yaml(*doc);
  return true;
}

bool cmd_images(session& s, const word_list& words) {
  if (!s.parse(words, {})) return false;
  auto doc = s.ask_json("/troupe/v1/images");
  if (!doc) return false;
  std::vector<word_list> rows{{"IMAGE", "ID", "SIZE"}};
  for (const auto& i : jq::arr(*doc, {"images"})) {
    const auto id = jq::str(i, {"id"});
    const auto hex = id.substr(id.find(':') == std::string_view::npos ? 0 : id.find(':') + 1);
    const auto kib = (jq::num(i, {"bytes"}) + 1023) / 1024;
    for (const auto& ref : jq::arr(i, {"references"}))
      rows.push_back({std::string{ref.as_string()}, std::string{hex.substr(0, 12)}, std::to_string(kib) + " KiB"});
  }
  print_rows(s.out, rows);
  return true;
}

bool cmd_log_level(session& s, const word_list& words) {
  auto p = s.parse(words, {});
  if (!p) return false;
  const auto& w = p->operands;
  if (w.empty() || w.size() > 2)
    return s.fail("usage: loglevel [COMPONENT] trace|debug|info|warning|error|critical|off");
  const json::object body{{"component", w.size() == 2 ? w[0] : "*"}, {"level", w.back()}};
  auto done = s.ask({.method = "PUT",
                     .target = "/troupe/v1/loglevel",
                     .content_type = "application/json",
                     .accept = "application/json",
                     .body = json::serialize(body)});
  if (done) s.out << "log level of " << (w.size() == 2 ? w[0] : "everything") << " is now " << w.back() << "\n";
  return done.has_value();
}

} // namespace troupe::cli

// `actors`, `raft`, `images`, `loglevel`: the process behind the API, asked for its own state.
#include "cli/shell/session.hpp"

#include <algorithm>
#include <ostream>

namespace troupe::cli {

void print_rows(std::ostream& out, const std::vector<word_list>& rows) {
  std::vector<std::size_t> width;
  for (const auto& row : rows)
    for (std::size_t i = 0; i < row.size(); ++i) {
      if (i == width.size()) width.push_back(0);
      width[i] = std::max(width[i], row[i].size());
    }
  for (const auto& row : rows) {
    std::string line;
    for (std::size_t i = 0; i < row.size(); ++i) {
      line += row[i];
      line.append(width[i] - row[i].size() + 3, ' ');
    }
    line.erase(line.find_last_not_of(' ') + 1); // no blanks at the end of a line
    out << line << "\n";
  }
}

namespace {

/// The parts of a path: node/kubelet/pod default/web-1 has three; what follows a blank is one name.
word_list parts_of(const std::string& path) {
  word_list out;
  std::size_t from = 0;
  const auto name_at = std::min(path.find(' '), path.size());
  for (std::size_t slash; (slash = path.find('/', from)) < name_at; from = slash + 1)
    out.push_back(path.substr(from, slash - from));
  out.push_back(path.substr(from));
  return out;
}

/// One row per actor, indented below its parent; a parent that is no actor itself gets a row of its name alone.
void add_tree_rows(std::vector<word_list>& rows, const word_list& former, const word_list& parts, word_list cells) {
  std::size_t common = 0;
  while (common < former.size() && common + 1 < parts.size() && former[common] == parts[common])
    ++common;
  for (std::size_t depth = common; depth + 1 < parts.size(); ++depth)
    rows.push_back({std::string(depth * 2, ' ') + parts[depth], "", "", "", ""});
  cells.insert(cells.begin(), std::string((parts.size() - 1) * 2, ' ') + parts.back());
  rows.push_back(std::move(cells));
}

} // namespace

bool cmd_actors(session& s, const word_list& words) {
  if (!s.parse(words, {})) return false;
  auto doc = s.ask_json("/troupe/v1/actors");
  if (!doc) return false;
  std::vector<word_list> rows{{"ACTOR", "MAILBOX", "HANDLED", "RESTARTS", "STATE"}};
  word_list former;
  for (const auto& a : jq::arr(*doc, {"actors"})) {
    auto parts = parts_of(std::string{jq::str(a, {"path"})});
    add_tree_rows(rows, former, parts,
                  {std::to_string(jq::num(a, {"mailbox"})), std::to_string(jq::num(a, {"handled"})),
                   std::to_string(jq::num(a, {"restarts"})), std::string{jq::str(a, {"state"})}});
    former = std::move(parts);
  }
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

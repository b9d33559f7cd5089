// `master`: who the masters of the cluster are, and changing that while they run.
#include "cli/shell/session.hpp"

#include <charconv>
#include <ostream>

namespace troupe::cli {

namespace {

constexpr const char* members_path = "/troupe/v1/members";
constexpr const char* usage =
    "usage: master ls | add NAME --address IP [--api-port N] [--actors-port N] [--priority N] [--learner] | "
    "remove NAME | replace OLD NEW --address IP | promote NAME | transfer [NAME]";

std::string number_or_dash(const json::value& m, std::string_view key, const char* unit = "") {
  const auto n = jq::maybe_num(m, {key});
  return n ? std::to_string(*n) + unit : "-";
}

/// Sends one change and prints what the server says about it. With `to_the_end`, one that goes on is no success yet.
bool change(session& s, std::string method, std::string target, json::value body, bool to_the_end = false) {
  http_call c;
  c.method = std::move(method);
  c.target = std::move(target);
  if (!body.is_null()) {
    c.content_type = "application/json";
    c.body = json::serialize(body);
  }
  const auto answer = s.ask(c);
  if (!answer) return false;
  boost::system::error_code ec;
  const auto doc = json::parse(answer->body, ec);
  if (ec) return s.fail("the server's answer is no JSON: " + ec.message());
  s.out << jq::str(doc, {"message"}) << "\n";
  if (const auto warning = jq::str(doc, {"warning"}); !warning.empty()) s.err << "warning: " << warning << "\n";
  return !to_the_end || answer->code != 202;
}

bool list(session& s) {
  const auto doc = s.ask_json(members_path);
  if (!doc) return false;
  std::vector<word_list> rows{{"NAME", "ID", "ADDRESS", "ROLE", "VOTER", "MATCH", "LAG", "LAST CONTACT", "HEALTH"}};
  for (const auto& m : jq::arr(*doc, {"members"})) {
    const std::string name{jq::str(m, {"name"}, "-")};
    const auto address = std::string{jq::str(m, {"address"})} + ":" + std::to_string(jq::num(m, {"apiPort"}));
    rows.push_back({name.empty() ? "-" : name, std::to_string(jq::num(m, {"id"})), address,
                    std::string{jq::str(m, {"role"})}, jq::flag(m, {"voter"}) ? "yes" : "no",
                    number_or_dash(m, "match"), number_or_dash(m, "lag"), number_or_dash(m, "lastContactMs", " ms"),
                    std::string{jq::str(m, {"health"})}});
  }
  print_rows(s.out, rows);
  if (jq::str(*doc, {"leader"}).empty())
    s.err << "warning: no leader is known to " << jq::str(*doc, {"from"})
          << ", so this is what it knows by itself: a majority of the masters must be reachable\n";
  if (const auto warning = jq::str(*doc, {"warning"}); !warning.empty()) s.err << "warning: " << warning << "\n";
  return true;
}

/// Puts the number of an option into the body; false when it is none.
bool take_number(session& s, const parsed_words& p, const char* option, const char* key, json::object& body) {
  if (!p.has(option)) return true;
  const auto text = p.get(option);
  int n = 0;
  const auto r = std::from_chars(text.data(), text.data() + text.size(), n);
  if (r.ec != std::errc{} || r.ptr != text.data() + text.size())
    return s.fail(std::string("--") + option + " takes a number, not \"" + text + "\"");
  body[key] = n;
  return true;
}

bool add(session& s, const parsed_words& p, const std::string& name, bool to_the_end = false) {
  if (!p.has("address")) return s.fail("say where the other masters reach " + name + ": --address IP");
  json::object body{{"name", name}, {"address", p.get("address")}, {"learner", p.has("learner")}};
  if (!take_number(s, p, "api-port", "apiPort", body) || !take_number(s, p, "actors-port", "actorsPort", body) ||
      !take_number(s, p, "priority", "priority", body))
    return false;
  return change(s, "POST", members_path, std::move(body), to_the_end);
}

bool remove(session& s, const std::string& name) {
  return change(s, "DELETE", std::string(members_path) + "/" + url_encode(name), nullptr);
}

} // namespace

bool cmd_master(session& s, const word_list& words) {
  const auto p = s.parse(words, {{0, "address", true},
                                 {0, "api-port", true},
                                 {0, "actors-port", true},
                                 {0, "priority", true},
                                 {0, "learner", false}});
  if (!p) return false;
  const auto& w = p->operands;
  const auto what = w.empty() ? std::string{"ls"} : w[0];
  if (what == "ls" && w.size() <= 1) return list(s);
  if (what == "add" && w.size() == 2) return add(s, *p, w[1]);
  if (what == "remove" && w.size() == 2) return remove(s, w[1]);
  // The new one comes first, so that the group is never weaker than it was.
  if (what == "replace" && w.size() == 3) return add(s, *p, w[2], true) && remove(s, w[1]);
  if (what == "promote" && w.size() == 2)
    return change(s, "POST", std::string(members_path) + "/" + url_encode(w[1]) + "/promote", nullptr);
  if (what == "transfer" && w.size() <= 2)
    return change(s, "POST", "/troupe/v1/leader", json::object{{"name", w.size() == 2 ? w[1] : std::string{}}});
  return s.fail(usage);
}

} // namespace troupe::cli

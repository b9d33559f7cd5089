#include "actors/node/member_planner.hpp"

#include <algorithm>
#include <arpa/inet.h>

namespace troupe::node {

namespace {

constexpr std::string_view op_words[] = {"list", "add", "remove", "promote", "transfer"};

status refusal(int code, std::string sentence) {
  return {code, code == 404 ? "NotFound" : code == 400 ? "BadRequest" : "Conflict", std::move(sentence)};
}

bool is_name(std::string_view s) {
  if (s.empty() || s.size() > 63 || s.front() == '-' || s.back() == '-') return false;
  return std::all_of(s.begin(), s.end(),
                     [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; });
}

bool is_address(const std::string& s) {
  in_addr a{};
  return inet_pton(AF_INET, s.c_str(), &a) == 1;
}

std::string called(const master_row& m) { return m.name + " (id " + std::to_string(m.id.v) + ", " + m.address + ")"; }

std::string names_of(const store::view& state) {
  std::string out;
  for (const auto& m : list_masters(state))
    out += (out.empty() ? "" : ", ") + m.name;
  return out;
}

status unknown(const std::string& name, const store::view& state) {
  return refusal(404, "there is no master named \"" + name + "\"; the group has " + names_of(state));
}

std::optional<status> check_new(const master_row& m, const store::view& state) {
  if (!is_name(m.name))
    return refusal(400, "\"" + m.name + "\" is no name for a master: lower-case letters, digits and '-', at most 63");
  if (!is_address(m.address))
    return refusal(400, "\"" + m.address + "\" is no IPv4 address; say where the others reach " + m.name +
                            ", as in --address 10.0.0.4");
  if (const auto same = find_master(state, m.name))
    return refusal(409, "a master named " + called(*same) +
                            " belongs to the group already; choose another name, or remove it first");
  for (const auto& other : list_masters(state))
    if (other.address == m.address && (other.api_port == m.api_port || other.actors_port == m.actors_port))
      return refusal(409, m.address + " with ports " + std::to_string(m.api_port) + " and " +
                              std::to_string(m.actors_port) + " belongs to " + called(other) + " already");
  return std::nullopt;
}

order_start begin_add(const member_order& o, const std::string& by, const store::view& state, const group_report& g) {
  order_start out;
  if (const auto same = find_master(state, o.row.name); same && same->by == by) return out; // begun by another leader
  if ((out.refused = check_new(o.row, state))) return out;
  out.change.emplace();
  auto row = o.row;
  store::member_id highest;
  for (const auto& m : g.members)
    highest = std::max(highest, m.id);
  row.id = take_member_id(*out.change, state, highest);
  row.want = o.learner ? member_wish::learner : member_wish::voter;
  row.joining = true;
  row.by = by;
  put_master(*out.change, state, row);
  return out;
}

/// Who would be missing when `gone` no longer counts: the sentence, or nothing when a majority of the rest is there.
std::optional<status> check_majority(const master_row& gone, const store::view& state, const group_report& g) {
  const auto* member = g.find(gone.id);
  if (!member || !member->voter) return std::nullopt;
  std::size_t left = 0, up = 0;
  std::string missing;
  for (const auto& m : g.members) {
    if (!m.voter || m.id == gone.id) continue;
    ++left;
    if (m.up()) {
      ++up;
      continue;
    }
    const auto row = find_master(state, m.id);
    missing += (missing.empty() ? "" : ", ") + (row ? row->name : "member " + std::to_string(m.id.v));
  }
  if (left == 0) return refusal(409, gone.name + " is the only master that votes: nobody would keep the state");
  if (up >= left / 2 + 1) return std::nullopt;
  return refusal(409, "without " + gone.name + " the group would have " + std::to_string(left) + " voters, of which " +
                          missing + " cannot be heard: it would lose its majority. Bring " + missing +
                          " back, or remove it first");
}

order_start begin_remove(const member_order& o, const store::view& state, const group_report& g) {
  order_start out;
  auto row = find_master(state, o.row.name);
  if (!row) {
    out.refused = unknown(o.row.name, state);
    return out;
  }
  if (row->want == member_wish::gone) return out;
  if ((out.refused = check_majority(*row, state, g))) return out;
  row->want = member_wish::gone;
  out.change.emplace();
  put_master(*out.change, state, *row);
  return out;
}

order_start begin_promote(const member_order& o, const store::view& state, const group_report& g) {
  order_start out;
  auto row = find_master(state, o.row.name);
  if (!row) {
    out.refused = unknown(o.row.name, state);
  } else if (row->want == member_wish::gone) {
    out.refused = refusal(409, called(*row) + " is being removed");
  } else if (const auto* m = g.find(row->id); m && m->voter) {
    out.done = true;
  } else if (row->want != member_wish::voter) {
    row->want = member_wish::voter;
    row->joining = true;
    out.change.emplace();
    put_master(*out.change, state, *row);
  }
  return out;
}

order_start begin_transfer(const member_order& o, const store::view& state, const group_report& g) {
  order_start out;
  if (o.row.name.empty()) return out;
  const auto row = find_master(state, o.row.name);
  if (!row) {
    out.refused = unknown(o.row.name, state);
    return out;
  }
  const auto* m = g.find(row->id);
  if (!m || !m->voter)
    out.refused = refusal(409, called(*row) + " is a learner: promote it before it can lead");
  else if (row->id != g.leader && !m->up())
    out.refused = refusal(409, called(*row) + " cannot be heard: it cannot take over");
  out.done = row->id == g.leader;
  return out;
}

store::txn rewritten(const store::view& state, const master_row& row) {
  store::txn t;
  put_master(t, state, row);
  return t;
}

member_step step_away(const master_row& row, const store::view& state, const group_report& g) {
  member_step s;
  s.pending = true;
  s.who = row.id;
  if (!g.find(row.id)) {
    s.what = member_step::kind::write;
    erase_master(s.change, state, row.name);
  } else {
    // A leader does not remove itself: who leads next does.
    s.what = row.id == g.self ? member_step::kind::hand_over : member_step::kind::remove;
  }
  return s;
}

member_step step_in(const master_row& row, const store::view& state, const group_report& g) {
  member_step s;
  s.pending = true;
  s.who = row.id;
  const auto* m = g.find(row.id);
  // Near the end of a young log is also who never answered; such a voter would only raise the majority.
  const bool holds_something = m && m->match.value_or(0) > 0;
  if (!m) {
    s.what = member_step::kind::add_learner;
  } else if (m->voter || (row.want == member_wish::learner && holds_something)) {
    auto there = row;
    there.joining = false;
    s.what = member_step::kind::write;
    s.change = rewritten(state, there);
  } else if (row.want == member_wish::voter && m->up() && holds_something &&
             *m->match + limits::promotion_lag_max >= g.last) {
    s.what = member_step::kind::promote;
  }
  return s;
}

std::string health_of(const master_row* row, const group_report::member* m, const group_report& g) {
  if (row && row->want == member_wish::gone) return "leaving";
  if (!m) return row && row->joining ? "joining" : "not a member";
  if (!m->self && !g.leads) return "unknown";
  if (!m->up()) return "down";
  if (row && row->joining) return "catching up";
  return "ok";
}

json::object list_entry(const master_row* row, const group_report::member* m, const group_report& g) {
  json::object o;
  const auto id = row ? row->id : m->id;
  o["id"] = id.v;
  o["name"] = row ? row->name : "";
  o["address"] = row ? row->address : "";
  o["apiPort"] = row ? row->api_port : 0;
  o["actorsPort"] = row ? row->actors_port : 0;
  o["priority"] = row ? row->priority : 0;
  o["role"] = g.leader && id == g.leader ? "leader" : m && m->voter ? "follower" : "learner";
  o["voter"] = m && m->voter;
  if (m && m->match) {
    o["match"] = *m->match;
    o["lag"] = g.last > *m->match ? g.last - *m->match : 0;
  }
  if (m && m->contact_ms) o["lastContactMs"] = *m->contact_ms;
  o["joining"] = row && row->joining; // what a master that waits for its id looks for
  o["health"] = health_of(row, m, g);
  return o;
}

} // namespace

json::object to_json(const member_order& o) {
  return {{"what", op_words[static_cast<std::size_t>(o.what)]}, {"row", to_json(o.row)}, {"learner", o.learner}};
}

std::optional<member_order> read_order(const json::value& doc) {
  member_order o;
  const auto what = jq::str(doc, {"what"});
  const auto at = std::find(std::begin(op_words), std::end(op_words), what);
  if (at == std::end(op_words)) return std::nullopt;
  o.what = static_cast<member_order::op>(at - std::begin(op_words));
  o.row.name = jq::str(doc, {"row", "name"});
  o.row.address = jq::str(doc, {"row", "address"});
  o.row.api_port = static_cast<std::uint16_t>(jq::num(doc, {"row", "apiPort"}, 6443));
  o.row.actors_port = static_cast<std::uint16_t>(jq::num(doc, {"row", "actorsPort"}, 6444));
  o.row.priority = static_cast<int>(jq::num(doc, {"row", "priority"}));
  o.learner = jq::flag(doc, {"learner"});
  return o;
}

const group_report::member* group_report::find(store::member_id id) const {
  const auto it = std::find_if(members.begin(), members.end(), [&](const member& m) { return m.id == id; });
  return it == members.end() ? nullptr : &*it;
}

std::size_t group_report::voters() const {
  return static_cast<std::size_t>(
      std::count_if(members.begin(), members.end(), [](const member& m) { return m.voter; }));
}

group_report read_report(const json::value& doc) {
  const auto number = [](const json::value& v, std::string_view key) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(0, jq::num(v, {key})));
  };
  group_report g;
  g.self = store::member_id{number(doc, "member")};
  g.leader = store::member_id{number(doc, "leader")};
  g.term = number(doc, "term");
  g.last = number(doc, "lastIndex");
  g.leads = jq::str(doc, {"role"}) == "leader";
  for (const auto& v : jq::arr(doc, {"members"})) {
    group_report::member m;
    m.id = store::member_id{number(v, "id")};
    m.voter = jq::flag(v, {"voter"});
    m.self = jq::flag(v, {"self"});
    if (g.leads && jq::find(v, {"match"})) m.match = number(v, "match");
    if (g.leads && m.self) m.match = g.last;
    if (g.leads) m.contact_ms = jq::maybe_num(v, {"lastContactMs"});
    g.members.push_back(m);
  }
  return g;
}

order_start begin_order(const member_order& o, const std::string& by, const store::view& state, const group_report& g) {
  switch (o.what) {
  case member_order::op::add: return begin_add(o, by, state, g);
  case member_order::op::remove: return begin_remove(o, state, g);
  case member_order::op::promote: return begin_promote(o, state, g);
  case member_order::op::transfer: return begin_transfer(o, state, g);
  case member_order::op::list: break;
  }
  order_start out;
  out.done = true;
  return out;
}

bool unheard(const member_order& o, const store::view& state, const group_report& g) {
  if (o.what != member_order::op::add) return false;
  const auto row = find_master(state, o.row.name);
  const auto* m = row ? g.find(row->id) : nullptr;
  return m && (m->match.value_or(0) == 0 || !m->up());
}

bool fulfilled(const member_order& o, const store::view& state, const group_report& g) {
  const auto row = find_master(state, o.row.name);
  switch (o.what) {
  case member_order::op::list: return true;
  case member_order::op::remove: return !row;
  case member_order::op::transfer: return row ? row->id == g.leader : g.leader && g.leader != g.self;
  case member_order::op::add:
  case member_order::op::promote: return row && !row->joining;
  }
  return false;
}

member_step next_step(const store::view& state, const group_report& g) {
  member_step waiting;
  for (const auto& row : list_masters(state)) {
    member_step s;
    if (row.want == member_wish::gone)
      s = step_away(row, state, g);
    else if (row.joining)
      s = step_in(row, state, g);
    else if (!g.find(row.id)) // taken out by other means, such as recovery from one survivor
      s = step_away(row, state, g);
    if (s.what != member_step::kind::none) return s;
    waiting.pending = waiting.pending || s.pending;
  }
  return waiting;
}

std::string even_warning(std::size_t voters) {
  if (voters == 0 || voters % 2 == 1) return {};
  const auto n = std::to_string(voters), less = std::to_string(voters - 1);
  return n + " voting masters survive the loss of " + std::to_string((voters - 1) / 2) + ", just as " + less +
         " do, but each write waits for " + std::to_string(voters / 2 + 1) +
         " of them: an odd number costs less and is as safe";
}

json::object member_list(const store::view& state, const group_report& g) {
  json::array members;
  const auto rows = list_masters(state);
  for (const auto& row : rows)
    members.push_back(list_entry(&row, g.find(row.id), g));
  for (const auto& m : g.members)
    if (std::none_of(rows.begin(), rows.end(), [&](const master_row& r) { return r.id == m.id; }))
      members.push_back(list_entry(nullptr, &m, g));
  const auto name_of = [&](store::member_id id) {
    const auto row = find_master(state, id);
    return row ? row->name : id ? std::to_string(id.v) : std::string{};
  };
  json::object out{{"leader", name_of(g.leader)}, {"term", g.term}, {"from", name_of(g.self)}};
  out["members"] = std::move(members);
  if (const auto warning = even_warning(g.voters()); !warning.empty()) out["warning"] = warning;
  return out;
}

} // namespace troupe::node

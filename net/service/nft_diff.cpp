#include "net/service/nft_planner.hpp"

#include <set>
#include <string_view>

namespace troupe::net {

namespace {

/// Commands of one transaction in an order in which every reference exists when it is made.
struct transaction {
  std::string where; // ` ip <table> `
  std::string block, rules, gone_elements, fresh_elements, empty, remove;
  bool any = false;

  explicit transaction(const std::string& table) : where(" ip " + table + ' ') {}

  void add(std::string& part, const std::string& text) {
    part += text + '\n';
    any = true;
  }
  void write_rules(const std::string& chain, const nft_chain& c) {
    for (const auto& r : c.rules)
      add(rules, "add rule" + where + chain + ' ' + r);
  }
  /// New chains go into one block: libnftables looks each `add rule` up among all chains.
  void make_chain(const std::string& name, const nft_chain& c) {
    add(block, "chain " + name + " {");
    if (!c.head.empty()) block += c.head + '\n';
    for (const auto& r : c.rules)
      block += r + '\n';
    block += "}\n";
  }
  void change_chain(const std::string& name, const nft_chain& c) {
    add(rules, "flush chain" + where + name);
    write_rules(name, c);
  }
  void remove_chain(const std::string& name) {
    add(empty, "flush chain" + where + name);
    add(remove, "delete chain" + where + name);
  }
  void make_set(const std::string& name, const nft_set& s) {
    add(block, s.kind + ' ' + name + " { " + s.declaration + " }");
  }
  void elements(std::string& part, const char* verb, const std::string& set, const std::string& list) {
    if (!list.empty()) add(part, std::string{verb} + " element" + where + set + " { " + list + " }");
  }
  std::string text(const std::string& table) const {
    if (!any) return {};
    return "table ip " + table + " {\n" + block + "}\n" + rules + gone_elements + fresh_elements + empty + remove;
  }
};

void append(std::string& list, const std::string& key, const std::string& value) {
  if (!list.empty()) list += ", ";
  list += key;
  if (!value.empty()) list += " : " + value;
}

void diff_elements(transaction& t, const std::string& name, const nft_set& held, const nft_set& wanted) {
  std::string gone, fresh;
  for (const auto& [key, value] : held.elements) {
    auto now = wanted.elements.find(key);
    if (now == wanted.elements.end() || now->second != value) append(gone, key, value);
  }
  for (const auto& [key, value] : wanted.elements) {
    auto was = held.elements.find(key);
    if (was == held.elements.end() || was->second != value) append(fresh, key, value);
  }
  t.elements(t.gone_elements, "delete", name, gone);
  t.elements(t.fresh_elements, "add", name, fresh);
}

std::string text_of(const json::value& v) {
  if (const auto* s = v.if_string()) return std::string{jq::view(*s)};
  if (const auto* n = v.if_int64()) return std::to_string(*n);
  if (const auto* u = v.if_uint64()) return std::to_string(*u);
  return {};
}

/// `10.96.0.1 . 6 . 80` from {"concat": […]}.
std::string key_of(const json::value& v) {
  std::string out;
  for (const auto& part : jq::arr(v, {"concat"}))
    out += (out.empty() ? "" : " . ") + text_of(part);
  return out.empty() ? text_of(v) : out;
}

std::string verdict_of(const json::value& v) {
  if (auto target = jq::str(v, {"goto", "target"}); !target.empty()) return "goto " + std::string{target};
  const auto* o = v.if_object();
  return o && !o->empty() ? std::string{o->begin()->key()} : std::string{};
}

nft_set read_set(const json::value& v, const char* kind) {
  nft_set out;
  out.kind = kind;
  for (const auto& e : jq::arr(v, {"elem"})) {
    if (const auto* pair = e.if_array(); pair && pair->size() == 2)
      out.elements[key_of((*pair)[0])] = verdict_of((*pair)[1]);
    else
      out.elements[key_of(e)];
  }
  return out;
}

std::string print_of(std::string_view text) {
  auto hash = text.rfind('#');
  if (hash == text.npos) return {};
  auto end = text.find('"', hash);
  return std::string{text.substr(hash + 1, end == text.npos ? end : end - hash - 1)};
}

} // namespace

std::string diff_nft(const nft_rules& held, const nft_rules& wanted) {
  static const nft_set nothing;
  transaction t{wanted.table};
  for (const auto& [name, set] : wanted.sets) {
    auto old = held.sets.find(name);
    if (old == held.sets.end()) t.make_set(name, set);
    if (!set.learned) diff_elements(t, name, old == held.sets.end() ? nothing : old->second, set);
  }
  for (const auto& [name, chain] : wanted.chains) {
    auto old = held.chains.find(name);
    if (old == held.chains.end())
      t.make_chain(name, chain);
    else if (old->second.rules != chain.rules)
      t.change_chain(name, chain);
  }
  for (const auto& [name, chain] : held.chains)
    if (!wanted.chains.contains(name)) t.remove_chain(name);
  for (const auto& [name, set] : held.sets)
    if (!wanted.sets.contains(name)) t.add(t.remove, "delete " + set.kind + t.where + name);
  return t.text(wanted.table);
}

nft_rules read_nft(const json::value& listed, const nft_rules& wanted) {
  nft_rules out;
  out.table = wanted.table;
  std::map<std::string, std::pair<std::size_t, std::string>> found; // chain -> rules, fingerprint
  if (!listed.is_array()) return out;
  for (const auto& item : listed.get_array()) {
    if (const auto* c = jq::find(item, {"chain"})) found[std::string{jq::str(*c, {"name"})}];
    if (const auto* s = jq::find(item, {"set"})) out.sets[std::string{jq::str(*s, {"name"})}] = read_set(*s, "set");
    if (const auto* m = jq::find(item, {"map"})) out.sets[std::string{jq::str(*m, {"name"})}] = read_set(*m, "map");
    if (const auto* r = jq::find(item, {"rule"})) {
      auto& [count, print] = found[std::string{jq::str(*r, {"chain"})}];
      if (count++ == 0) print = print_of(jq::str(*r, {"comment"}));
    }
  }
  for (const auto& [name, state] : found) {
    auto want = wanted.chains.find(name);
    bool same = want != wanted.chains.end() && state.first == want->second.rules.size() && state.first > 0 &&
                state.second == print_of(want->second.rules.front());
    out.chains[name] = same ? want->second : nft_chain{{}, {"(another)"}};
  }
  return out;
}

} // namespace troupe::net

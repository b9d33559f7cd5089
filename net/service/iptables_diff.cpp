#include "net/service/iptables_planner.hpp"
#include "net/service/limits.hpp"
#include "net/service/service_text.hpp"

#include <algorithm>

namespace troupe::net {

namespace {

using chain_map = std::map<std::string, iptables_chain>;

/// The lines of one table in the order that iptables-restore needs: chains, rules, removals.
struct table_text {
  std::string chains, rules, removals;

  void clear(const std::string& name) { chains += ':' + name + " - [0:0]\n"; }
  void write(const std::string& name, const iptables_chain& c) {
    clear(name);
    for (const auto& r : c.rules)
      rules += "-A " + name + ' ' + r + '\n';
  }
  void remove(const std::string& name) {
    clear(name);
    removals += "-X " + name + '\n';
  }
  bool empty() const { return chains.empty() && rules.empty() && removals.empty(); }
  std::string text(const std::string& table) const {
    return '*' + table + '\n' + chains + rules + removals + "COMMIT\n";
  }
};

/// What is in `a` and not in `b`.
std::vector<std::string> only_in(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  std::set<std::string_view> other{b.begin(), b.end()};
  std::vector<std::string> out;
  for (const auto& r : a)
    if (!other.contains(r)) out.push_back(r);
  return out;
}

void change_alone(table_text& out, const std::string& name, const iptables_chain& held, const iptables_chain& wanted) {
  auto gone = only_in(held.rules, wanted.rules), fresh = only_in(wanted.rules, held.rules);
  if (gone.size() > limits::chain_deltas_max) return out.write(name, wanted);
  for (const auto& r : gone)
    out.rules += "-D " + name + ' ' + r + '\n';
  for (const auto& r : fresh)
    out.rules += "-A " + name + ' ' + r + '\n';
}

void diff_chains(table_text& out, const chain_map& held, const chain_map& wanted) {
  for (const auto& [name, chain] : wanted) {
    auto old = held.find(name);
    if (old == held.end())
      out.write(name, chain);
    else if (old->second == chain)
      continue;
    else if (chain.ordered || old->second.ordered)
      out.write(name, chain);
    else
      change_alone(out, name, old->second, chain);
  }
  for (const auto& [name, chain] : held)
    if (!wanted.contains(name)) out.remove(name);
}

std::string_view target_of(std::string_view rule) {
  auto at = rule.rfind("-j ");
  return at == rule.npos ? std::string_view{} : rule.substr(at + 3);
}

/// The fingerprint in a saved rule's comment.
std::string print_of(std::string_view rule) {
  auto at = rule.find("--comment ");
  if (at == rule.npos) return {};
  auto hash = rule.find('#', at);
  if (hash == rule.npos) return {};
  auto end = rule.find_first_of("\" ", hash);
  return std::string{rule.substr(hash + 1, end == rule.npos ? end : end - hash - 1)};
}

/// Chains the kernel holds, in the words of `wanted` where the fingerprints agree.
chain_map held_as_wanted(const std::map<std::string, iptables_kernel::chain>& kernel, const chain_map& wanted) {
  chain_map out;
  for (const auto& [name, found] : kernel) {
    auto& held = out[name];
    auto want = wanted.find(name);
    if (want == wanted.end()) continue;
    held.ordered = want->second.ordered;
    if (held.ordered) {
      auto fresh = want->second.rules.empty() ? std::string{} : print_of(want->second.rules.front());
      bool same = fresh == found.fingerprint && found.rules == want->second.rules.size();
      held.rules = same ? want->second.rules : std::vector<std::string>{"(another)"};
      continue;
    }
    std::map<std::string, std::string> ours;
    for (const auto& r : want->second.rules)
      ours[print_of(r)] = r;
    for (const auto& [print, saved] : found.rule_by_print) {
      auto same = ours.find(print);
      held.rules.push_back(same == ours.end() ? saved : same->second);
    }
    if (held.rules.size() != found.rules) held.ordered = true; // doubled or foreign rules: write it anew
  }
  return out;
}

template <class Fn>
void each_line(std::string_view text, Fn fn) {
  while (!text.empty()) {
    auto end = text.find('\n');
    fn(text.substr(0, end));
    if (end == text.npos) break;
    text.remove_prefix(end + 1);
  }
}

} // namespace

std::string diff_iptables(const iptables_rules& held, const iptables_rules& wanted) {
  static const chain_map none;
  std::string out;
  for (const char* table : {"nat", "filter"}) {
    auto old = held.tables.find(table), fresh = wanted.tables.find(table);
    table_text text;
    diff_chains(text, old == held.tables.end() ? none : old->second,
                fresh == wanted.tables.end() ? none : fresh->second);
    auto jumps = wanted.jumps.find(table), known = held.jumps.find(table);
    if (jumps != wanted.jumps.end())
      for (const auto& jump : jumps->second) {
        bool there = known != held.jumps.end() &&
                     std::find(known->second.begin(), known->second.end(), jump) != known->second.end();
        if (!there) text.rules += "-I " + jump.first + ' ' + jump.second + '\n';
      }
    if (!text.empty()) out += text.text(table);
  }
  return out;
}

iptables_kernel read_iptables(std::string_view table, std::string_view saved, std::string_view prefix) {
  iptables_kernel out;
  auto& chains = out.tables[std::string{table}];
  each_line(saved, [&](std::string_view line) {
    if (line.starts_with(":")) {
      auto name = line.substr(1, line.find(' ') - 1);
      if (is_service_chain(name, prefix)) chains[std::string{name}];
      return;
    }
    if (!line.starts_with("-A ")) return;
    auto space = line.find(' ', 3);
    auto name = line.substr(3, space - 3);
    auto rule = space == line.npos ? std::string_view{} : line.substr(space + 1);
    if (!is_service_chain(name, prefix)) {
      auto target = target_of(rule);
      if (is_service_chain(target, prefix))
        out.jumps.emplace(std::string{table} + '/' + std::string{name}, std::string{target});
      return;
    }
    auto& chain = chains[std::string{name}];
    auto print = print_of(rule);
    if (chain.rules++ == 0) chain.fingerprint = print;
    chain.rule_by_print.emplace(print, rule);
  });
  return out;
}

std::string reconcile_iptables(const iptables_kernel& kernel, const iptables_rules& wanted) {
  iptables_rules held;
  for (const auto& [table, chains] : kernel.tables) {
    auto fresh = wanted.tables.find(table);
    held.tables[table] = held_as_wanted(chains, fresh == wanted.tables.end() ? chain_map{} : fresh->second);
  }
  for (const auto& [table, jumps] : wanted.jumps)
    for (const auto& jump : jumps)
      if (kernel.jumps.contains({table + '/' + jump.first, std::string{target_of(jump.second)}}))
        held.jumps[table].push_back(jump);
  return diff_iptables(held, wanted);
}

std::string removal_iptables(std::string_view table, std::string_view saved, const proxy_config& c) {
  auto prefix = iptables_prefix(c);
  table_text out;
  each_line(saved, [&](std::string_view line) {
    if (line.starts_with(":")) {
      if (auto name = line.substr(1, line.find(' ') - 1); is_service_chain(name, prefix)) out.remove(std::string{name});
    } else if (line.starts_with("-A ")) {
      auto name = line.substr(3, line.find(' ', 3) - 3);
      if (!is_service_chain(name, prefix) && is_service_chain(target_of(line), prefix))
        out.rules += "-D " + std::string{line.substr(3)} + '\n';
    }
  });
  return out.empty() ? std::string{} : out.text(std::string{table});
}

} // namespace troupe::net

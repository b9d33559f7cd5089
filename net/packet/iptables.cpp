#include "net/packet/iptables.hpp"

#include "net/packet/process.hpp"

#include <fstream>

namespace troupe::net::iptables {

namespace {

/// Tens of thousands of chains take the nft backend a minute.
constexpr std::chrono::seconds restore_time_max{300};

std::string program(backend b, std::string_view what) {
  return (b == backend::nft ? "iptables-nft-" : "iptables-legacy-") + std::string{what};
}

/// The legacy kernel tables of this namespace; reading does not load a module, as iptables-legacy-save would.
bool legacy_tables_exist() {
  std::ifstream names{"/proc/net/ip_tables_names"};
  std::string line;
  return static_cast<bool>(std::getline(names, line));
}

std::size_t count_rules(backend b) {
  auto text = run_program({program(b, "save")}, {});
  if (!text) return 0;
  std::size_t n = 0;
  for (std::size_t at = 0; (at = text->find("\n-A ", at)) != text->npos; ++at)
    ++n;
  return n;
}

/// A table may matter by its policy alone.
bool holds_tables(backend b) {
  auto text = run_program({program(b, "save")}, {});
  return text && text->find('*') != text->npos;
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

bool jumps_to_prefix(std::string_view rule, std::string_view prefix) {
  for (std::string_view flag : {" -j ", " -g "})
    if (auto at = rule.find(flag); at != rule.npos && rule.substr(at + flag.size()).starts_with(prefix)) return true;
  return false;
}

} // namespace

std::string_view to_string(backend b) noexcept { return b == backend::nft ? "nft" : "legacy"; }

std::vector<backend> in_use() {
  std::vector<backend> out;
  if (holds_tables(backend::nft)) out.push_back(backend::nft);
  if (legacy_tables_exist() && !find_program(program(backend::legacy, "save")).empty()) out.push_back(backend::legacy);
  return out;
}

result<backend> pick() {
  bool has_nft = !find_program(program(backend::nft, "restore")).empty();
  bool has_legacy = !find_program(program(backend::legacy, "restore")).empty();
  if (!has_nft && !has_legacy) {
    status missing;
    missing.code = 501;
    missing.reason = "NotImplemented";
    missing.message = "iptables is not installed on this host: install the package iptables, or use mode nftables";
    return missing;
  }
  if (!has_nft) return backend::legacy;
  if (has_legacy && legacy_tables_exist() && count_rules(backend::legacy) > count_rules(backend::nft))
    return backend::legacy;
  return backend::nft;
}

result<std::string> save(backend b, std::string_view table) {
  return run_program({program(b, "save"), "-t", std::string{table}}, {});
}

result<void> restore(backend b, const std::string& text) {
  if (text.empty()) return {};
  auto done = run_program({program(b, "restore"), "--noflush", "-w", "10"}, text, restore_time_max);
  if (!done) return done.error();
  return {};
}

std::string removal_of(const std::string& saved, std::string_view table, std::string_view prefix) {
  std::vector<std::string> chains, rules;
  each_line(saved, [&](std::string_view line) {
    if (line.starts_with(":") && line.substr(1).starts_with(prefix)) {
      chains.emplace_back(line.substr(1, line.find(' ') - 1));
    } else if (line.starts_with("-A ") && !line.substr(3).starts_with(prefix) && jumps_to_prefix(line, prefix)) {
      rules.push_back("-D " + std::string{line.substr(3)});
    }
  });
  if (chains.empty() && rules.empty()) return {};
  std::string out = "*" + std::string{table} + "\n";
  for (const auto& c : chains)
    out += ":" + c + " - [0:0]\n";
  for (const auto& r : rules)
    out += r + "\n";
  for (const auto& c : chains)
    out += "-X " + c + "\n";
  return out + "COMMIT\n";
}

result<void> remove_prefix(std::string_view prefix) {
  for (auto b : in_use()) {
    for (std::string_view table : {"nat", "filter"}) {
      auto saved = save(b, table);
      if (!saved) return saved.error();
      if (auto done = restore(b, removal_of(*saved, table, prefix)); !done) return done;
    }
  }
  return {};
}

} // namespace troupe::net::iptables

#include "actors/node/config_reader.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <set>

namespace troupe::node {

namespace detail {

bool is_dns_label(std::string_view s) {
  if (s.empty() || s.size() > 63) return false;
  auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  if (!alnum(s.front()) || !alnum(s.back())) return false;
  return std::all_of(s.begin(), s.end(), [&](char c) { return alnum(c) || c == '-'; });
}

bool is_dns_name(std::string_view s) {
  if (s.empty() || s.size() > 253) return false;
  while (true) {
    const auto dot = s.find('.');
    if (!is_dns_label(s.substr(0, dot))) return false;
    if (dot == std::string_view::npos) return true;
    s.remove_prefix(dot + 1);
  }
}

bool is_ipv4(const std::string& s) {
  in_addr a{};
  return inet_pton(AF_INET, s.c_str(), &a) == 1;
}

/// Accepts a network of `shortest` to `longest` bits whose host part is zero.
bool is_cidr(const std::string& s, int shortest, int longest) {
  const auto slash = s.find('/');
  if (slash == std::string::npos) return false;
  in_addr a{};
  if (inet_pton(AF_INET, s.substr(0, slash).c_str(), &a) != 1) return false;
  int bits = -1;
  auto [end, ec] = std::from_chars(s.data() + slash + 1, s.data() + s.size(), bits);
  if (ec != std::errc{} || end != s.data() + s.size() || bits < shortest || bits > longest) return false;
  return (ntohl(a.s_addr) & ((1ULL << (32 - bits)) - 1)) == 0;
}

std::optional<std::chrono::milliseconds> parse_duration(std::string_view s) {
  std::int64_t n = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (ec != std::errc{} || n < 0 || n > 1'000'000'000) return std::nullopt;
  const std::string_view unit{end, static_cast<std::size_t>(s.data() + s.size() - end)};
  if (unit == "ms") return std::chrono::milliseconds{n};
  if (unit == "s") return std::chrono::seconds{n};
  if (unit == "m") return std::chrono::minutes{n};
  if (n == 0 && unit.empty()) return std::chrono::milliseconds{0};
  return std::nullopt;
}

void section::read(const YAML::Node& n) const {
  if (!n.IsMap()) {
    fail(n, where_ + ": expected a mapping (key: value lines)");
    return;
  }
  std::set<std::string> seen;
  for (const auto& kv : n) {
    if (!kv.first.IsScalar()) {
      fail(kv.first, where_ + ": expected a plain key");
      continue;
    }
    const auto name = kv.first.Scalar();
    const auto it = std::find_if(handlers_.begin(), handlers_.end(), [&](const auto& h) { return h.first == name; });
    if (it == handlers_.end()) {
      unknown(kv.first, name);
    } else if (!seen.insert(name).second) {
      fail(kv.first, where_ + ": key \"" + name + "\" appears twice");
    } else {
      it->second(kv.second);
    }
  }
}

void section::unknown(const YAML::Node& n, const std::string& name) const {
  std::vector<std::string> known;
  for (const auto& h : handlers_)
    known.push_back(h.first);
  auto what = where_ + ": unknown key \"" + name + "\"";
  if (auto near = nearest_word(name, known)) {
    what += "; did you mean \"" + *near + "\"?";
  } else {
    what += "; known keys are ";
    for (std::size_t i = 0; i < known.size(); ++i)
      what += (i ? ", " : "") + known[i];
  }
  fail(n, std::move(what));
}

section::handler reader::text(std::string name, std::string& out, std::function<bool(const std::string&)> ok,
                              std::string expected) const {
  return [=, this, &out](const YAML::Node& n) {
    if (!n.IsScalar() || !ok(n.Scalar())) {
      fail(n, name + ": expected " + expected + (n.IsScalar() ? ", found \"" + n.Scalar() + "\"" : std::string{}));
      return;
    }
    out = n.Scalar();
  };
}

section::handler reader::map(std::string name, std::map<std::string, std::string>& out) const {
  return [=, this, &out](const YAML::Node& n) {
    if (!n.IsMap()) return fail(n, name + ": expected a mapping of text to text");
    for (const auto& kv : n) {
      if (!kv.first.IsScalar() || !kv.second.IsScalar()) {
        fail(kv.first, name + ": expected text for both key and value");
        continue;
      }
      out[kv.first.Scalar()] = kv.second.Scalar();
    }
  };
}
section::handler reader::flag(std::string name, bool& out) const {
  return [=, this, &out](const YAML::Node& n) {
    const auto s = n.IsScalar() ? n.Scalar() : std::string{};
    if (s != "true" && s != "false") return fail(n, name + ": expected true or false");
    out = s == "true";
  };
}

std::string reader::duration_words(const std::string& name, const std::string& found, std::chrono::milliseconds low,
                                   std::chrono::milliseconds high) {
  const auto words = [](std::chrono::milliseconds d) {
    return d.count() % 1000 ? std::to_string(d.count()) + "ms" : std::to_string(d.count() / 1000) + "s";
  };
  return name + ": expected a duration from " + words(low) + " to " + words(high) + ", written like 50ms, 2s or 1m" +
         (found.empty() ? "" : ", found \"" + found + "\"");
}

} // namespace detail

std::optional<std::string> nearest_word(std::string_view word, const std::vector<std::string>& known) {
  std::optional<std::string> best;
  std::size_t best_distance = 4;
  for (const auto& k : known) {
    std::vector<std::size_t> row(k.size() + 1);
    for (std::size_t j = 0; j <= k.size(); ++j)
      row[j] = j;
    for (std::size_t i = 1; i <= word.size(); ++i) {
      std::size_t diagonal = row[0];
      row[0] = i;
      for (std::size_t j = 1; j <= k.size(); ++j) {
        const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
        const auto swap = diagonal + (lower(word[i - 1]) == lower(k[j - 1]) ? 0 : 1);
        diagonal = row[j];
        row[j] = std::min({row[j] + 1, row[j - 1] + 1, swap});
      }
    }
    if (row[k.size()] < best_distance && row[k.size()] < std::max(k.size(), std::size_t{2})) {
      best_distance = row[k.size()];
      best = k;
    }
  }
  return best;
}

} // namespace troupe::node

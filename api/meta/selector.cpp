#include "api/meta/selector.hpp"

#include "api/meta/names.hpp"

#include <algorithm>
#include <charconv>
#include <map>

namespace troupe {

namespace {

using op = label_selector::op;
using requirement = label_selector::requirement;

std::string quoted(std::string_view s) { return json::serialize(json::string(s)); }

std::string joined(const std::vector<std::string>& v, std::string_view by) {
  std::string out;
  for (std::size_t i = 0; i < v.size(); ++i)
    out.append(i ? by : "").append(v[i]);
  return out;
}

std::optional<std::int64_t> integer(std::string_view s) noexcept {
  std::int64_t n = 0;
  if (s.starts_with('+')) s.remove_prefix(1);
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (s.empty() || ec != std::errc{} || end != s.data() + s.size()) return std::nullopt;
  return n;
}

/// What the server says of a key out of form; `path` is `<nil>` while parsing and `key` afterwards.
std::string key_fault(std::string_view key, std::string_view path) {
  if (names::is_qualified(key)) return {};
  return std::string{path} + ": Invalid value: " + quoted(key) + ": " + joined(names::qualified(key), "; ");
}

/// All faults of a requirement in one text, empty when there are none.
std::string requirement_fault(const requirement& r) {
  std::vector<std::string> out;
  if (auto f = key_fault(r.key, "key"); !f.empty()) out.push_back(std::move(f));
  const auto values = [&] {
    json::array a;
    for (const auto& v : r.values)
      a.push_back(json::string(v));
    return json::serialize(a);
  };
  switch (r.how) {
  case op::in:
  case op::not_in:
    if (r.values.empty())
      out.push_back("values: Invalid value: " + values() + ": for 'in', 'notin' operators, values set can't be empty");
    break;
  case op::greater:
  case op::less:
    if (r.values.size() == 1 && !integer(r.values[0]))
      out.push_back("values[0]: Invalid value: " + quoted(r.values[0]) +
                    ": for 'Gt', 'Lt' operators, the value must be an integer");
    break;
  case op::exists:
  case op::not_exists:
    if (!r.values.empty())
      out.push_back("values: Invalid value: " + values() + ": values set must be empty for exists and does not exist");
    break;
  default: break;
  }
  for (std::size_t i = 0; i < r.values.size(); ++i)
    if (!names::is_label_value(r.values[i]))
      out.push_back("values[" + std::to_string(i) + "][" + r.key + "]: Invalid value: " + quoted(r.values[i]) + ": " +
                    joined(names::label_value(r.values[i]), "; "));
  if (out.size() <= 1) return out.empty() ? std::string{} : out.front();
  return "[" + joined(out, ", ") + "]";
}

enum class token : std::uint8_t {
  error,
  end,
  close,
  comma,
  bang,
  double_equals,
  equals,
  greater,
  identifier,
  in,
  less,
  not_equals,
  not_in,
  open
};

struct lexeme {
  token kind = token::end;
  std::string text;
};

bool special(char c) noexcept { return std::string_view{"=!(),><"}.find(c) != std::string_view::npos; }
bool blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

std::optional<token> symbol(std::string_view s) noexcept {
  static constexpr std::pair<std::string_view, token> table[] = {
      {")", token::close},          {",", token::comma},       {"!", token::bang},
      {"==", token::double_equals}, {"=", token::equals},      {">", token::greater},
      {"<", token::less},           {"!=", token::not_equals}, {"(", token::open}};
  for (const auto& [text, t] : table)
    if (text == s) return t;
  return std::nullopt;
}

std::vector<lexeme> scan(std::string_view s) {
  std::vector<lexeme> out;
  std::size_t i = 0;
  while (true) {
    while (i < s.size() && blank(s[i]))
      ++i;
    if (i >= s.size()) break;
    if (special(s[i])) {
      // The longest symbol: `!=` before `!`.
      lexeme best;
      best.kind = token::error;
      std::size_t n = 1;
      for (; i + n <= s.size() && special(s[i + n - 1]); ++n) {
        const auto t = symbol(s.substr(i, n));
        if (!t && best.kind != token::error) break;
        if (t) best = {*t, std::string{s.substr(i, n)}};
      }
      i += n - 1;
      out.push_back(std::move(best));
      continue;
    }
    const auto at = i;
    while (i < s.size() && !special(s[i]) && !blank(s[i]))
      ++i;
    const auto word = s.substr(at, i - at);
    out.push_back({word == "in" ? token::in : word == "notin" ? token::not_in : token::identifier, std::string{word}});
  }
  out.push_back({token::end, ""});
  return out;
}

struct syntax_error {
  std::string text;
};

/// Recursive descent over the tokens; errors are thrown inside this file only.
class parser {
public:
  explicit parser(std::string_view s) : items_(scan(s)) {}

  std::vector<requirement> run() {
    std::vector<requirement> out;
    for (;;) {
      const auto& next = peek();
      if (next.kind == token::end) return out;
      if (next.kind != token::identifier && next.kind != token::bang) fail(next, "!, identifier, or 'end of string'");
      try {
        out.push_back(one());
      } catch (const syntax_error& e) {
        throw syntax_error{"unable to parse requirement: " + e.text};
      }
      const auto after = take();
      if (after.kind == token::end) return out;
      if (after.kind != token::comma) fail(after, "',' or 'end of string'");
      const auto& follows = peek();
      if (follows.kind != token::identifier && follows.kind != token::bang) fail(follows, "identifier after ','");
    }
  }

private:
  [[noreturn]] static void fail(const lexeme& found, std::string_view expected) {
    throw syntax_error{"found '" + found.text + "', expected: " + std::string{expected}};
  }
  /// Outside the operator place, `in` and `notin` are names like others.
  static lexeme as_value(lexeme l) {
    if (l.kind == token::in || l.kind == token::not_in) l.kind = token::identifier;
    return l;
  }
  lexeme raw() const { return at_ < items_.size() ? items_[at_] : lexeme{}; }
  lexeme peek() const { return as_value(raw()); }
  lexeme take() { return as_value(take_raw()); }
  lexeme take_raw() {
    auto l = raw();
    ++at_;
    return l;
  }

  requirement one() {
    requirement r;
    bool negated = false;
    auto l = take();
    if (l.kind == token::bang) {
      negated = true;
      l = take();
    }
    if (l.kind != token::identifier) fail(l, "identifier");
    if (auto f = key_fault(l.text, "<nil>"); !f.empty()) throw syntax_error{std::move(f)};
    r.key = l.text;
    const auto next = peek().kind;
    if (negated || next == token::end || next == token::comma) {
      r.how = negated ? op::not_exists : op::exists;
    } else {
      r.how = operator_();
      r.values = r.how == op::in || r.how == op::not_in ? list() : exact();
    }
    if (auto f = requirement_fault(r); !f.empty()) throw syntax_error{std::move(f)};
    return r;
  }

  op operator_() {
    const auto l = take_raw();
    switch (l.kind) {
    case token::in: return op::in;
    case token::not_in: return op::not_in;
    case token::equals: return op::equals;
    case token::double_equals: return op::double_equals;
    case token::not_equals: return op::not_equals;
    case token::greater: return op::greater;
    case token::less: return op::less;
    default: fail(l, "in, notin, =, ==, !=, gt, lt");
    }
  }

  std::vector<std::string> exact() {
    const auto next = peek().kind;
    if (next == token::end || next == token::comma) return {""};
    auto l = take();
    if (l.kind != token::identifier) fail(l, "identifier");
    return {std::move(l.text)};
  }

  std::vector<std::string> list() {
    const auto open = take();
    if (open.kind != token::open) throw syntax_error{"found '" + open.text + "' expected: '('"};
    const auto first = peek();
    if (first.kind == token::close) {
      take();
      return {""};
    }
    if (first.kind != token::identifier && first.kind != token::comma) fail(first, "',', ')' or identifier");
    auto out = items();
    if (take().kind != token::close) fail(first, "')'");
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
  }

  /// An empty place between commas is the empty value.
  std::vector<std::string> items() {
    std::vector<std::string> out;
    for (;;) {
      auto l = take();
      if (l.kind == token::identifier) {
        out.push_back(std::move(l.text));
        const auto next = peek();
        if (next.kind == token::close) return out;
        if (next.kind != token::comma) fail(next, "',' or ')'");
      } else if (l.kind == token::comma) {
        if (out.empty()) out.emplace_back();
        const auto next = peek().kind;
        if (next == token::close) {
          out.emplace_back();
          return out;
        }
        if (next == token::comma) {
          take();
          out.emplace_back();
        }
      } else {
        fail(l, "',', or identifier");
      }
    }
  }

  std::vector<lexeme> items_;
  std::size_t at_ = 0;
};

std::string requirement_text(const requirement& r) {
  switch (r.how) {
  case op::exists: return r.key;
  case op::not_exists: return "!" + r.key;
  case op::equals: return r.key + "=" + r.values.front();
  case op::double_equals: return r.key + "==" + r.values.front();
  case op::not_equals: return r.key + "!=" + r.values.front();
  case op::greater: return r.key + ">" + r.values.front();
  case op::less: return r.key + "<" + r.values.front();
  case op::in: return r.key + " in (" + joined(r.values, ",") + ")";
  case op::not_in: return r.key + " notin (" + joined(r.values, ",") + ")";
  }
  return {};
}

std::optional<op> object_operator(std::string_view s) noexcept {
  if (s == "In") return op::in;
  if (s == "NotIn") return op::not_in;
  if (s == "Exists") return op::exists;
  if (s == "DoesNotExist") return op::not_exists;
  return std::nullopt;
}

} // namespace

label_selector label_selector::nothing() {
  label_selector s;
  s.nothing_ = true;
  return s;
}

void label_selector::sort() {
  std::stable_sort(requirements_.begin(), requirements_.end(),
                   [](const requirement& a, const requirement& b) { return a.key < b.key; });
}

result<label_selector> label_selector::parse(std::string_view text) {
  try {
    label_selector s;
    s.requirements_ = parser{text}.run();
    s.sort();
    return s;
  } catch (const syntax_error& e) {
    return errors::bad_request(e.text);
  }
}

result<label_selector> label_selector::from_object(const json::value* selector) {
  if (!selector || selector->is_null()) return nothing();
  label_selector s;
  for (const auto& [k, v] : jq::obj(*selector, {"matchLabels"})) {
    const auto* text = v.if_string();
    s.requirements_.push_back(
        {std::string{jq::view(k)}, op::in, {text ? std::string{jq::view(*text)} : std::string{}}});
    s.requirements_.back().how = op::equals;
  }
  for (const auto& e : jq::arr(*selector, {"matchExpressions"})) {
    const auto name = jq::str(e, {"operator"});
    const auto how = object_operator(name);
    if (!how) return errors::bad_request(quoted(name) + " is not a valid label selector operator");
    requirement r{std::string{jq::str(e, {"key"})}, *how, {}};
    for (const auto& v : jq::arr(e, {"values"}))
      if (const auto* text = v.if_string()) r.values.emplace_back(jq::view(*text));
    std::sort(r.values.begin(), r.values.end());
    r.values.erase(std::unique(r.values.begin(), r.values.end()), r.values.end());
    s.requirements_.push_back(std::move(r));
  }
  for (const auto& r : s.requirements_)
    if (auto f = requirement_fault(r); !f.empty()) return errors::bad_request(std::move(f));
  s.sort();
  return s;
}

label_selector label_selector::from_map(const json::object& labels) {
  label_selector s;
  for (const auto& [k, v] : labels) {
    const auto* text = v.if_string();
    s.requirements_.push_back(
        {std::string{jq::view(k)}, op::equals, {text ? std::string{jq::view(*text)} : std::string{}}});
  }
  s.sort();
  return s;
}

bool label_selector::holds(const requirement& r, const std::string_view* value) noexcept {
  switch (r.how) {
  case op::exists: return value != nullptr;
  case op::not_exists: return value == nullptr;
  case op::equals:
  case op::double_equals: return value && *value == r.values.front();
  case op::not_equals: return !value || *value != r.values.front();
  case op::in: return value && std::find(r.values.begin(), r.values.end(), *value) != r.values.end();
  case op::not_in: return !value || std::find(r.values.begin(), r.values.end(), *value) == r.values.end();
  case op::greater:
  case op::less: {
    const auto have = value ? integer(*value) : std::nullopt;
    const auto want = integer(r.values.front());
    return have && want && (r.how == op::greater ? *have > *want : *have < *want);
  }
  }
  return false;
}

bool label_selector::matches(std::span<const pair> labels) const noexcept {
  if (nothing_) return false;
  for (const auto& r : requirements_) {
    const auto it = std::lower_bound(labels.begin(), labels.end(), r.key,
                                     [](const pair& p, const std::string& k) { return p.first < k; });
    std::string_view value;
    const bool found = it != labels.end() && it->first == r.key;
    if (found) value = it->second;
    if (!holds(r, found ? &value : nullptr)) return false;
  }
  return true;
}

bool label_selector::matches(const json::object& labels) const noexcept {
  if (nothing_) return false;
  for (const auto& r : requirements_) {
    const auto* v = labels.if_contains(r.key);
    const auto* s = v ? v->if_string() : nullptr;
    const auto value = s ? jq::view(*s) : std::string_view{};
    if (!holds(r, s ? &value : nullptr)) return false;
  }
  return true;
}

std::string label_selector::to_string() const {
  std::string out;
  for (const auto& r : requirements_)
    out.append(out.empty() ? "" : ",").append(requirement_text(r));
  return out;
}

} // namespace troupe

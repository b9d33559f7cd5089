#include "api/patch/patch.hpp"

#include <charconv>
#include <cmath>

namespace troupe::patch {

namespace {

/// A step that cannot be done; thrown and caught in this file only.
struct cannot_apply {
  std::string why;
};

using path = std::vector<std::string>;

std::string unescape(std::string_view s) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == '~' && i + 1 < s.size() && (s[i + 1] == '0' || s[i + 1] == '1')) {
      out += s[++i] == '0' ? '~' : '/';
    } else {
      out += s[i];
    }
  }
  return out;
}

path parse_pointer(std::string_view text) {
  path out;
  if (text.empty()) return out;
  if (text.front() != '/')
    throw cannot_apply{"invalid JSON pointer \"" + std::string{text} + "\": must start with '/'"};
  while (!text.empty()) {
    text.remove_prefix(1);
    const auto slash = text.find('/');
    out.push_back(unescape(text.substr(0, slash)));
    text = slash == text.npos ? std::string_view{} : text.substr(slash);
  }
  return out;
}

/// The element number of a token; `size` allows the place after the last element.
std::size_t element(const std::string& token, std::size_t size) {
  std::size_t n = 0;
  const auto [end, ec] = std::from_chars(token.data(), token.data() + token.size(), n);
  const bool leading_zero = token.size() > 1 && token[0] == '0';
  if (ec != std::errc{} || end != token.data() + token.size() || leading_zero)
    throw cannot_apply{"invalid array index \"" + token + "\""};
  if (n >= size) throw cannot_apply{"Unable to access invalid index: " + token + ": invalid index referenced"};
  return n;
}

json::value* child(json::value& v, const std::string& token) {
  if (auto* o = v.if_object()) return o->if_contains(token);
  if (auto* a = v.if_array()) return &(*a)[element(token, a->size())];
  return nullptr;
}

json::value* walk(json::value& root, const path& p, std::size_t steps) {
  json::value* cur = &root;
  for (std::size_t i = 0; cur && i < steps; ++i)
    cur = child(*cur, p[i]);
  return cur;
}

std::string missing(std::string_view op, std::string_view text) {
  return std::string{op} + " operation does not apply: doc is missing path: \"" + std::string{text} +
         "\": missing value";
}

json::value take(json::value& root, const path& p, std::string_view op, std::string_view text) {
  if (p.empty()) throw cannot_apply{std::string{op} + " operation does not apply to the whole document"};
  auto* parent = walk(root, p, p.size() - 1);
  auto* at = parent ? child(*parent, p.back()) : nullptr;
  if (!at) throw cannot_apply{missing(op, text)};
  json::value out = std::move(*at);
  if (auto* o = parent->if_object()) {
    o->erase(p.back());
  } else {
    auto& a = parent->as_array();
    a.erase(a.begin() + static_cast<std::ptrdiff_t>(element(p.back(), a.size())));
  }
  return out;
}

void add(json::value& root, const path& p, json::value value, std::string_view op, std::string_view text) {
  if (p.empty()) {
    root = std::move(value);
    return;
  }
  auto* parent = walk(root, p, p.size() - 1);
  if (auto* o = parent ? parent->if_object() : nullptr) {
    o->insert_or_assign(p.back(), std::move(value));
  } else if (auto* a = parent ? parent->if_array() : nullptr) {
    const auto at = p.back() == "-" ? a->size() : element(p.back(), a->size() + 1);
    a->insert(a->begin() + static_cast<std::ptrdiff_t>(at), std::move(value));
  } else {
    throw cannot_apply{missing(op, text)};
  }
}

/// Numbers are equal by value: 1 and 1.0 are the same JSON number.
bool same(const json::value& a, const json::value& b) {
  if (a.is_number() && b.is_number()) {
    if (a.is_double() || b.is_double()) {
      const auto number = [](const json::value& v) {
        return v.is_double()  ? v.get_double()
               : v.is_int64() ? static_cast<double>(v.get_int64())
                              : static_cast<double>(v.get_uint64());
      };
      return number(a) == number(b);
    }
    return a == b;
  }
  if (const auto* x = a.if_array()) {
    const auto* y = b.if_array();
    if (!y || x->size() != y->size()) return false;
    for (std::size_t i = 0; i < x->size(); ++i)
      if (!same((*x)[i], (*y)[i])) return false;
    return true;
  }
  if (const auto* x = a.if_object()) {
    const auto* y = b.if_object();
    if (!y || x->size() != y->size()) return false;
    for (const auto& [k, v] : *x) {
      const auto* w = y->if_contains(k);
      if (!w || !same(v, *w)) return false;
    }
    return true;
  }
  return a == b;
}

const json::value& value_of(const json::object& step, std::string_view op) {
  const auto* v = step.if_contains("value");
  if (!v) throw cannot_apply{std::string{op} + " operation is missing its value"};
  return *v;
}

void run(json::value& doc, const json::object& step) {
  const auto text_of = [&](std::string_view key) -> std::string_view {
    const auto* v = step.if_contains(key);
    const auto* s = v ? v->if_string() : nullptr;
    if (!s) throw cannot_apply{"operation is missing its " + std::string{key}};
    return jq::view(*s);
  };
  const auto op = text_of("op");
  const auto text = text_of("path");
  const auto target = parse_pointer(text);
  if (op == "add") {
    add(doc, target, value_of(step, op), op, text);
  } else if (op == "remove") {
    take(doc, target, op, text);
  } else if (op == "replace") {
    auto* at = walk(doc, target, target.size());
    if (!at)
      throw cannot_apply{"replace operation does not apply: doc is missing key: " + std::string{text} +
                         ": missing value"};
    *at = value_of(step, op);
  } else if (op == "move") {
    const auto from_text = text_of("from");
    const auto from = parse_pointer(from_text);
    const bool inside = from.size() < target.size() && std::equal(from.begin(), from.end(), target.begin());
    if (inside) throw cannot_apply{"move operation cannot move a value into itself"};
    if (from == target && walk(doc, from, from.size())) return;
    add(doc, target, take(doc, from, op, from_text), op, text);
  } else if (op == "copy") {
    const auto from_text = text_of("from");
    const auto from = parse_pointer(from_text);
    const auto* at = walk(doc, from, from.size());
    if (!at) throw cannot_apply{missing(op, from_text)};
    add(doc, target, *at, op, text);
  } else if (op == "test") {
    const auto* at = walk(doc, target, target.size());
    const auto* wanted = step.if_contains("value");
    const bool null_wanted = !wanted || wanted->is_null();
    const bool good = at ? same(*at, wanted ? *wanted : json::value{}) : null_wanted;
    if (!good) throw cannot_apply{"testing value " + std::string{text} + " failed: test failed"};
  } else {
    throw cannot_apply{"Unexpected kind: " + std::string{op}};
  }
}

/// The server's own words, which clients know, with the reason as a cause.
status unprocessable(std::string why) {
  status s;
  s.code = 422;
  s.reason = "Invalid";
  s.message = "the server rejected our request due to an error in our request";
  s.causes.push_back({"FieldValueInvalid", std::move(why), "patch"});
  return s;
}

} // namespace

result<json::value> json_patch(const json::value& doc, const json::value& patch) {
  const auto* steps = patch.if_array();
  if (!steps)
    return errors::bad_request("json: cannot unmarshal " + std::string{to_string(patch.kind()).data()} +
                               " into Go value of type jsonpatch.Patch");
  if (steps->size() > json_patch_operations_max) {
    auto s = errors::too_large("");
    s.message = "The allowed maximum operations in a JSON patch is " + std::to_string(json_patch_operations_max) +
                ", got " + std::to_string(steps->size());
    return s;
  }
  json::value out = doc;
  for (const auto& step : *steps) {
    const auto* o = step.if_object();
    if (!o) return errors::bad_request("each JSON patch operation must be an object");
    try {
      run(out, *o);
    } catch (const cannot_apply& e) {
      return unprocessable(e.why);
    }
  }
  return out;
}

} // namespace troupe::patch

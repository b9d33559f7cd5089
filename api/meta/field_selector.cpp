#include "api/meta/selector.hpp"

#include <algorithm>

namespace troupe {

namespace {

/// Terms are parted by commas that no backslash precedes.
std::vector<std::string_view> terms(std::string_view s) {
  std::vector<std::string_view> out;
  std::size_t at = 0;
  bool escaped = false;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (escaped) {
      escaped = false;
    } else if (s[i] == '\\') {
      escaped = true;
    } else if (s[i] == ',') {
      out.push_back(s.substr(at, i - at));
      at = i + 1;
    }
  }
  out.push_back(s.substr(at));
  return out;
}

result<std::string> unescape(std::string_view s) {
  std::string out;
  for (std::size_t i = 0; i < s.size(); ++i) {
    if (s[i] == ',' || s[i] == '=')
      return errors::bad_request("invalid field selector: unescaped character in value: " + std::string{s[i]});
    if (s[i] != '\\') {
      out += s[i];
      continue;
    }
    if (++i >= s.size()) return errors::bad_request("invalid field selector: invalid escape sequence: \\");
    if (s[i] != '\\' && s[i] != ',' && s[i] != '=')
      return errors::bad_request("invalid field selector: invalid escape sequence: \\" + std::string{s[i]});
    out += s[i];
  }
  return out;
}

std::string escape(std::string_view s) {
  std::string out;
  for (char c : s) {
    if (c == '\\' || c == ',' || c == '=') out += '\\';
    out += c;
  }
  return out;
}

/// The first of `=`, `==`, `!=` in the term.
std::optional<std::pair<std::size_t, std::string_view>> find_operator(std::string_view term) noexcept {
  for (std::size_t i = 0; i < term.size(); ++i)
    for (std::string_view o : {"!=", "==", "="})
      if (term.substr(i).starts_with(o)) return std::pair{i, o};
  return std::nullopt;
}

const json::value* walk(const json::value& v, std::string_view path) noexcept {
  const json::value* cur = &v;
  while (cur && !path.empty()) {
    const auto dot = path.find('.');
    const auto* o = cur->if_object();
    cur = o ? o->if_contains(path.substr(0, dot)) : nullptr;
    path = dot == path.npos ? std::string_view{} : path.substr(dot + 1);
  }
  return cur;
}

std::string text(const json::value* v) {
  if (!v) return {};
  if (const auto* s = v->if_string()) return std::string{jq::view(*s)};
  if (v->is_null()) return {};
  return json::serialize(*v);
}

} // namespace

result<field_selector> field_selector::parse(std::string_view s) {
  field_selector out;
  for (auto term : terms(s)) {
    if (term.empty()) continue;
    const auto o = find_operator(term);
    if (!o)
      return errors::bad_request("invalid selector: '" + std::string{s} + "'; can't understand '" + std::string{term} +
                                 "'");
    auto value = unescape(term.substr(o->first + o->second.size()));
    if (!value) return value.error();
    out.requirements_.push_back({std::string{term.substr(0, o->first)}, o->second != "!=", std::move(*value)});
  }
  return out;
}

result<void> field_selector::check(const schema::resource& r) const {
  for (const auto& q : requirements_) {
    const auto& known = r.field_selectors;
    if (std::find(known.begin(), known.end(), q.field) == known.end())
      return errors::bad_request("field label not supported: " + q.field);
  }
  return {};
}

std::optional<std::string_view> field_selector::pinned(std::string_view field) const noexcept {
  for (const auto& r : requirements_)
    if (r.equal && r.field == field) return r.value;
  return std::nullopt;
}

std::string field_selector::to_string() const {
  std::string out;
  for (const auto& r : requirements_)
    out.append(out.empty() ? "" : ",").append(r.field).append(r.equal ? "=" : "!=").append(escape(r.value));
  return out;
}

bool field_selector::matches(const json::value& object) const {
  return matches([&](std::string_view f) { return selectable_field(object, f); });
}

std::string selectable_field(const json::value& o, std::string_view field) {
  // Fields whose name is not the path of their value.
  if (field == "source") {
    auto component = text(walk(o, "source.component"));
    return component.empty() ? text(walk(o, "reportingComponent")) : component;
  }
  if (field == "reportingComponent" && !walk(o, field)) return text(walk(o, "reportingController"));
  if (field == "status.successful" || field == "status.replicas") {
    const auto* v = walk(o, field == "status.successful" ? "status.succeeded" : field);
    return v ? text(v) : "0";
  }
  if (field == "spec.unschedulable" || field == "spec.hostNetwork")
    return jq::flag(o, {"spec", field.substr(5)}) ? "true" : "false";
  if (field == "status.podIPs") return text(walk(o, "status.podIP"));
  auto out = text(walk(o, field));
  // An Event is served under two groups; each names the same fields in its own way.
  if (out.empty() && field.starts_with("involvedObject."))
    return text(walk(o, "regarding." + std::string{field.substr(15)}));
  if (out.empty() && field.starts_with("regarding."))
    return text(walk(o, "involvedObject." + std::string{field.substr(10)}));
  return out;
}

} // namespace troupe

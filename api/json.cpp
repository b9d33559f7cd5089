#include "api/json.hpp"

#include <cmath>

namespace troupe::jq {

namespace {
const json::array empty_array;
const json::object empty_object;
json::string_view sv(std::string_view s) noexcept { return {s.data(), s.size()}; }
} // namespace

const json::value* find(const json::value& v, std::initializer_list<std::string_view> path) noexcept {
  const json::value* cur = &v;
  for (auto step : path) {
    const auto* o = cur->if_object();
    if (!o) return nullptr;
    cur = o->if_contains(sv(step));
    if (!cur) return nullptr;
  }
  return cur;
}

json::value* find(json::value& v, std::initializer_list<std::string_view> path) noexcept {
  return const_cast<json::value*>(find(static_cast<const json::value&>(v), path));
}

std::string_view str(const json::value& v, std::initializer_list<std::string_view> path,
                     std::string_view otherwise) noexcept {
  const auto* p = find(v, path);
  const auto* s = p ? p->if_string() : nullptr;
  return s ? std::string_view{s->data(), s->size()} : otherwise;
}

std::optional<std::int64_t> maybe_num(const json::value& v, std::initializer_list<std::string_view> path) noexcept {
  const auto* p = find(v, path);
  if (!p) return std::nullopt;
  if (const auto* i = p->if_int64()) return *i;
  if (const auto* u = p->if_uint64()) return static_cast<std::int64_t>(*u);
  if (const auto* d = p->if_double(); d && std::trunc(*d) == *d) return static_cast<std::int64_t>(*d);
  return std::nullopt;
}

std::int64_t num(const json::value& v, std::initializer_list<std::string_view> path, std::int64_t otherwise) noexcept {
  return maybe_num(v, path).value_or(otherwise);
}

bool flag(const json::value& v, std::initializer_list<std::string_view> path, bool otherwise) noexcept {
  const auto* p = find(v, path);
  const auto* b = p ? p->if_bool() : nullptr;
  return b ? *b : otherwise;
}

const json::array& arr(const json::value& v, std::initializer_list<std::string_view> path) noexcept {
  const auto* p = find(v, path);
  const auto* a = p ? p->if_array() : nullptr;
  return a ? *a : empty_array;
}

const json::object& obj(const json::value& v, std::initializer_list<std::string_view> path) noexcept {
  const auto* p = find(v, path);
  const auto* o = p ? p->if_object() : nullptr;
  return o ? *o : empty_object;
}

json::value& at(json::value& v, std::initializer_list<std::string_view> path) {
  json::value* cur = &v;
  for (auto step : path) {
    if (!cur->is_object()) *cur = json::object(cur->storage());
    cur = &(*cur).as_object()[sv(step)];
  }
  return *cur;
}

bool erase(json::value& v, std::initializer_list<std::string_view> path) noexcept {
  if (path.size() == 0) return false;
  json::value* cur = &v;
  auto last = path.end() - 1;
  for (auto it = path.begin(); it != last; ++it) {
    auto* o = cur->if_object();
    if (!o) return false;
    cur = o->if_contains(sv(*it));
    if (!cur) return false;
  }
  auto* o = cur->if_object();
  return o && o->erase(sv(*last)) != 0;
}

} // namespace troupe::jq

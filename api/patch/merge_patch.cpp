#include "api/patch/patch.hpp"

namespace troupe::patch {

namespace {

void merge(json::value& target, const json::value& patch) {
  const auto* members = patch.if_object();
  if (!members) {
    target = patch;
    return;
  }
  if (!target.is_object()) target.emplace_object();
  auto& o = target.as_object();
  for (const auto& [key, value] : *members) {
    if (value.is_null()) {
      o.erase(key);
    } else {
      merge(o[key], value);
    }
  }
}

} // namespace

json::value merge_patch(const json::value& doc, const json::value& patch) {
  json::value out = doc;
  merge(out, patch);
  return out;
}

json::value merge_diff(const json::value& from, const json::value& to) {
  const auto* a = from.if_object();
  const auto* b = to.if_object();
  if (!a || !b) return to;
  json::object out;
  for (const auto& [key, value] : *a)
    if (!b->contains(key)) out[key] = nullptr;
  for (const auto& [key, value] : *b) {
    const auto* old = a->if_contains(key);
    if (!old)
      out[key] = value;
    else if (*old != value)
      out[key] = merge_diff(*old, value);
  }
  return out;
}

} // namespace troupe::patch

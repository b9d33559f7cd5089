#include "actors/apiserver/selection.hpp"

#include "actors/apiserver/conversion.hpp"

namespace troupe::apiserver {

result<selection> selection::read(const request& r, const schema::resource& asked, const schema::resource& stored) {
  selection s;
  s.ns_ = r.ns;
  s.asked_ = &asked;
  s.stored_ = &stored;
  if (const auto text = r.param("labelSelector"); !text.empty()) {
    auto l = label_selector::parse(text);
    if (!l) return l.error();
    s.labels_ = std::move(*l);
  }
  if (const auto text = r.param("fieldSelector"); !text.empty()) {
    auto f = field_selector::parse(text);
    if (!f) return f.error();
    if (auto ok = f->check(asked); !ok) return ok.error();
    s.fields_ = std::move(*f);
  }
  return s;
}

std::optional<std::string> selection::pinned_name() const {
  const auto name = fields_.pinned("metadata.name");
  if (!name) return std::nullopt;
  return std::string(*name);
}

bool selection::fields_match(const store::object& o) const {
  bool simple = true;
  for (const auto& q : fields_.requirements())
    simple = simple && (q.field == "metadata.name" || q.field == "metadata.namespace" || q.field == "spec.nodeName");
  if (simple)
    return fields_.matches([&](std::string_view f) -> std::string_view {
      if (f == "metadata.name") return o.name;
      if (f == "metadata.namespace") return o.ns;
      return o.meta().node_name;
    });
  auto doc = o.parse();
  if (asked_ != stored_) from_stored(*asked_, doc);
  return fields_.matches(static_cast<const json::value&>(doc));
}

bool selection::matches(const store::object& o) const {
  if (!ns_.empty() && o.ns != ns_) return false;
  if (!labels_.matches_everything() && !labels_.matches(o.meta().labels)) return false;
  return fields_.matches_everything() || fields_match(o);
}

} // namespace troupe::apiserver

#include "actors/controllers/action.hpp"

#include "api/meta/object_meta.hpp"

namespace troupe::ctl {

std::string table_of(resource_ref ref) {
  std::string t{ref.plural};
  if (!ref.group.empty()) t.append(1, '.').append(ref.group);
  return t;
}

namespace act {

namespace {
action base(action::kind k, resource_ref ref, std::string_view ns, std::string_view name, json::value doc) {
  action a;
  a.what = k;
  a.ref = ref;
  a.ns = ns;
  a.name = name;
  a.doc = std::move(doc);
  return a;
}
} // namespace

action create(resource_ref ref, std::string_view ns, json::value doc) {
  return base(action::kind::create, ref, ns, {}, std::move(doc));
}

action update(resource_ref ref, json::value doc, std::string_view subresource) {
  std::string ns{meta::ns(doc)}, name{meta::name(doc)};
  auto a = base(action::kind::update, ref, ns, name, std::move(doc));
  a.subresource = subresource;
  return a;
}

action merge(resource_ref ref, std::string_view ns, std::string_view name, json::value patch,
             std::string_view subresource) {
  auto a = base(action::kind::merge_patch, ref, ns, name, std::move(patch));
  a.subresource = subresource;
  return a;
}

action strategic(resource_ref ref, std::string_view ns, std::string_view name, json::value patch,
                 std::string_view subresource) {
  auto a = base(action::kind::strategic_patch, ref, ns, name, std::move(patch));
  a.subresource = subresource;
  return a;
}

action remove(resource_ref ref, std::string_view ns, std::string_view name, std::string_view uid,
              std::string_view propagation, std::string_view resource_version) {
  json::object pre{{"uid", uid}};
  if (!resource_version.empty()) pre["resourceVersion"] = resource_version;
  json::object options{{"apiVersion", "v1"}, {"kind", "DeleteOptions"}};
  options["preconditions"] = std::move(pre);
  if (!propagation.empty()) options["propagationPolicy"] = propagation;
  return base(action::kind::remove, ref, ns, name, std::move(options));
}

} // namespace act
} // namespace troupe::ctl

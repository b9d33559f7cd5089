#include "api/kinds/rules.hpp"

#include "api/meta/selector.hpp"

#include <algorithm>
#include <array>

namespace troupe::kinds {

namespace {

constexpr std::size_t annotations_bytes_max = 262144;
constexpr std::string_view orphan = "orphan", foreground = "foregroundDeletion";

void check_owners(field_errors& e, const json::value& obj) {
  constexpr std::array<std::pair<std::string_view, std::string_view>, 4> needed{
      {{"apiVersion", "version must not be empty"},
       {"kind", "kind must not be empty"},
       {"name", "name must not be empty"},
       {"uid", "uid must not be empty"}}};
  const auto& owners = meta::owners(obj);
  const json::value* controller = nullptr;
  for (const auto& ref : owners) {
    for (const auto& [key, detail] : needed)
      if (jq::str(ref, {key}).empty())
        e.push_back(field::invalid("metadata.ownerReferences." + std::string{key}, "", detail));
    const auto version = jq::str(ref, {"apiVersion"});
    if (jq::str(ref, {"kind"}) == "Event" && (version == "v1" || version.starts_with("events.k8s.io/")))
      e.push_back(field::invalid("metadata.ownerReferences", ref,
                                 std::string{version} + ", Kind=Event is disallowed from being an owner"));
    if (!jq::flag(ref, {"controller"})) continue;
    if (controller)
      e.push_back(field::invalid(
          "metadata.ownerReferences", owners,
          "Only one reference can have Controller set to true. Found \"true\" in references for " +
              std::string{jq::str(*controller, {"name"})} + " and " + std::string{jq::str(ref, {"name"})}));
    controller = &ref;
  }
}

void check_finalizers(field_errors& e, const json::value& obj) {
  bool has_orphan = false, has_foreground = false;
  for (const auto& f : meta::finalizers(obj)) {
    const auto* s = f.if_string();
    const auto name = s ? jq::view(*s) : std::string_view{};
    has_orphan |= name == orphan;
    has_foreground |= name == foreground;
    if (!names::is_qualified(name)) {
      check_name(e, "metadata.finalizers", name, names::qualified(name));
    } else if (name.find('/') == name.npos && name != orphan && name != foreground && name != "kubernetes") {
      e.push_back(field::invalid("metadata.finalizers", text(name),
                                 "name is neither a standard finalizer name nor is it fully qualified"));
    }
  }
  if (has_orphan && has_foreground)
    e.push_back(field::invalid("metadata.finalizers", meta::finalizers(obj),
                               "finalizer orphan and foregroundDeletion cannot be both set"));
}

/// The length after the comma of a name rule such as `dns1123subdomain, <=52`.
std::size_t length_of(std::string_view rule) {
  const auto at = rule.find("<=");
  std::size_t n = 0;
  if (at != rule.npos)
    for (auto i = at + 2; i < rule.size() && rule[i] >= '0' && rule[i] <= '9'; ++i)
      n = n * 10 + std::size_t(rule[i] - '0');
  return n;
}

} // namespace

const json::value& at(const json::value& v, std::initializer_list<std::string_view> path) noexcept {
  static const json::value null;
  const auto* p = jq::find(v, path);
  return p ? *p : null;
}

bool differ(const json::value* a, const json::value* b) {
  const bool no_a = !a || a->is_null(), no_b = !b || b->is_null();
  if (no_a || no_b) return no_a != no_b;
  return *a != *b;
}

void check_name(field_errors& e, std::string path, std::string_view value, names::faults faults) {
  for (const auto& f : faults)
    e.push_back(field::invalid(path, text(value), f));
}

void check_labels(field_errors& e, const json::object& labels, const std::string& path) {
  for (const auto& [k, v] : labels) {
    const auto key = jq::view(k);
    const auto* s = v.if_string();
    const auto value = s ? jq::view(*s) : std::string_view{};
    if (!names::is_qualified(key)) check_name(e, path, key, names::qualified(key));
    if (!names::is_label_value(value)) check_name(e, path, value, names::label_value(value));
  }
}

void check_annotations(field_errors& e, const json::object& annotations, const std::string& path) {
  std::size_t bytes = 0;
  for (const auto& [k, v] : annotations) {
    const auto key = jq::view(k);
    bytes += key.size() + (v.is_string() ? v.get_string().size() : 0);
    if (names::is_qualified(key)) continue;
    // Keys are compared in lower case, values of the message are as sent.
    if (const auto small = names::lower(key); !names::is_qualified(small))
      check_name(e, path, key, names::qualified(small));
  }
  if (bytes > annotations_bytes_max) e.push_back(field::too_long(path, annotations_bytes_max));
}

void check_selector(field_errors& e, const json::value* selector, const std::string& path) {
  if (!selector || selector->is_null()) return;
  check_labels(e, jq::obj(*selector, {"matchLabels"}), path + ".matchLabels");
  const auto& expressions = jq::arr(*selector, {"matchExpressions"});
  for (std::size_t i = 0; i < expressions.size(); ++i) {
    const auto here = index(path + ".matchExpressions", i);
    const auto& x = expressions[i];
    const auto how = jq::str(x, {"operator"});
    const auto& values = jq::arr(x, {"values"});
    if (how == "In" || how == "NotIn") {
      if (values.empty())
        e.push_back(field::required(here + ".values", "must be specified when `operator` is 'In' or 'NotIn'"));
    } else if (how == "Exists" || how == "DoesNotExist") {
      if (!values.empty())
        e.push_back(
            field::forbidden(here + ".values", "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"));
    } else {
      e.push_back(field::invalid(here + ".operator", text(how), "not a valid selector operator"));
    }
    const auto key = jq::str(x, {"key"});
    if (!names::is_qualified(key)) check_name(e, here + ".key", key, names::qualified(key));
    for (std::size_t j = 0; j < values.size(); ++j) {
      const auto v = values[j].is_string() ? jq::view(values[j].get_string()) : std::string_view{};
      if (!names::is_label_value(v)) check_name(e, index(here + ".values", j), v, names::label_value(v));
    }
  }
}

void check_not_negative(field_errors& e, const json::value& o, std::initializer_list<std::string_view> fields,
                        const std::string& path) {
  for (auto f : fields)
    if (const auto n = jq::maybe_num(o, {f}); n && *n < 0)
      e.push_back(field::invalid(path + "." + std::string{f}, *n, "must be greater than or equal to 0"));
}

void check_port(field_errors& e, std::int64_t port, std::string path) {
  constexpr std::int64_t port_max = 65535;
  if (port < 1 || port > port_max)
    e.push_back(field::invalid(std::move(path), port, "must be between 1 and 65535, inclusive"));
}

void check_port_or_name(field_errors& e, const json::value* v, std::string path) {
  if (v && v->is_string()) {
    const auto name = jq::view(v->get_string());
    check_name(e, std::move(path), name, names::port_name(name));
  } else {
    check_port(e, v && v->is_number() ? v->to_number<std::int64_t>() : 0, std::move(path));
  }
}

void check_immutable(field_errors& e, const json::value& obj, const json::value& old,
                     std::initializer_list<std::string_view> path, std::string_view detail) {
  const auto* now = jq::find(obj, path);
  if (!differ(now, jq::find(old, path))) return;
  std::string name;
  for (auto p : path)
    name.append(name.empty() ? "" : ".").append(p);
  e.push_back(field::invalid(std::move(name), now ? *now : json::value{}, detail));
}

void check_metadata_content(field_errors& e, const json::value& obj) {
  static const std::string labels_path = "metadata.labels", annotations_path = "metadata.annotations";
  const auto* m = jq::find(obj, {"metadata"});
  const auto* o = m ? m->if_object() : nullptr;
  if (!o) return;
  check_labels(e, meta::labels(obj), labels_path);
  check_annotations(e, meta::annotations(obj), annotations_path);
  if (o->contains("ownerReferences")) check_owners(e, obj);
  if (o->contains("finalizers")) check_finalizers(e, obj);
}

void check_metadata(field_errors& e, const schema::resource& r, const json::value& obj) {
  const auto name = meta::name(obj);
  const auto base = jq::str(obj, {"metadata", "generateName"});
  if (!base.empty()) check_name(e, "metadata.generateName", base, names::by_rule(r.name_rule, base, true));
  if (name.empty()) {
    e.push_back(field::required("metadata.name", "name or generateName is required"));
  } else {
    // The common rule is checked without building texts first.
    const bool plain = r.name_rule == "dns1123subdomain" && names::is_dns1123_subdomain(name);
    if (!plain) check_name(e, "metadata.name", name, names::by_rule(r.name_rule, name, false));
    const auto length_max = length_of(r.name_rule);
    if (length_max != 0 && name.size() > length_max)
      e.push_back(field::invalid("metadata.name", text(name),
                                 "must be no more than " + std::to_string(length_max) + " characters"));
  }
  const auto ns = meta::ns(obj);
  if (r.namespaced) {
    if (ns.empty())
      e.push_back(field::required("metadata.namespace"));
    else if (!names::is_dns1123_label(ns))
      check_name(e, "metadata.namespace", ns, names::dns1123_label(ns));
  } else if (!ns.empty()) {
    e.push_back(field::forbidden("metadata.namespace", "not allowed on this type"));
  }
  check_metadata_content(e, obj);
}

void check_metadata_update(field_errors& e, const json::value& obj, const json::value& old) {
  check_metadata_content(e, obj);
  for (auto f : {"name", "namespace", "uid", "creationTimestamp"})
    check_immutable(e, obj, old, {"metadata", f});
  if (!meta::deleting(old)) return;
  std::string added;
  for (const auto& f : meta::finalizers(obj)) {
    const auto name = f.is_string() ? jq::view(f.get_string()) : std::string_view{};
    if (!meta::has_finalizer(old, name))
      added.append(added.empty() ? "" : ", ").append(json::serialize(json::string(name)));
  }
  if (!added.empty())
    e.push_back(
        field::forbidden("metadata.finalizers", "no new finalizers can be added if the object is being deleted, "
                                                "found new finalizers []string{" +
                                                    added + "}"));
}

} // namespace troupe::kinds

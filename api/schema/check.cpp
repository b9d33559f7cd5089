#include "api/schema/check.hpp"

#include "api/meta/quantity.hpp"
#include "api/schema/scalars.hpp"
#include "api/schema/walk.hpp"

#include <algorithm>

namespace troupe::schema {

namespace {

/// Fields that the schema lists as required and real servers accept empty all the same.
constexpr std::pair<std::string_view, std::string_view> may_be_empty[] = {
    {"io.k8s.api.apps.v1.StatefulSetSpec", "serviceName"},
    {"io.k8s.api.authentication.v1.TokenRequestSpec", "audiences"},
    {"io.k8s.api.core.v1.HTTPHeader", "value"},
    {"io.k8s.api.core.v1.LimitRangeSpec", "limits"},
    {"io.k8s.api.core.v1.Sysctl", "value"},
    {"io.k8s.api.discovery.v1.EndpointSlice", "endpoints"},
    {"io.k8s.api.storage.v1.CSINodeSpec", "drivers"},
    {"io.k8s.api.rbac.v1.PolicyRule", "verbs"}, // api/kinds says it in more words
    {"io.k8s.api.storage.v1.TokenRequest", "audience"},
    {"io.k8s.apimachinery.pkg.apis.meta.v1.Condition", "message"},
    {"io.k8s.apimachinery.pkg.apis.meta.v1.ApplyOptions", "fieldManager"},
};

/// What has to be looked at in structs of one type; worked out once for all types.
struct plan {
  std::uint64_t required = 0; // text, list, map or pointer that must not be empty
  std::uint64_t look = 0;     // fields whose value is checked or leads to one that is
};

bool can_be_missing(const field& f) noexcept {
  if (f.how != shape::single || f.pointer) return true;
  return f.what == form::string || f.what == form::bytes;
}

/// Metadata has rules of its own, kept by api/meta.
bool left_to_others(const type& t) noexcept { return t.name == "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"; }

class planner {
public:
  static const planner& get() {
    static const planner one;
    return one;
  }
  const plan& of(const type& t) const noexcept { return plans_[t.id]; }

private:
  planner() {
    const auto types = registry::get().types();
    plans_.resize(types.size());
    for (const auto* t : types)
      own_work(*t);
    for (bool grew = true; grew;) {
      grew = false;
      for (const auto* t : types)
        grew |= spread(*t);
    }
  }
  void own_work(const type& t) {
    if (left_to_others(t)) return;
    auto& p = plans_[t.id];
    for (std::size_t i = 0; i < t.fields.size(); ++i) {
      const auto& f = t.fields[i];
      const auto bit = std::uint64_t{1} << i;
      const bool excused =
          std::find(std::begin(may_be_empty), std::end(may_be_empty),
                    std::pair<std::string_view, std::string_view>{t.name, f.name}) != std::end(may_be_empty);
      if (f.required && !excused && can_be_missing(f)) p.required |= bit;
      switch (f.what) {
      case form::quantity:
      case form::int_or_string:
      case form::time:
      case form::microtime: p.look |= bit; break;
      default:
        if (!f.one_of.empty()) p.look |= bit;
      }
    }
  }
  bool spread(const type& t) {
    if (left_to_others(t)) return false;
    auto& p = plans_[t.id];
    const auto was = p.look;
    for (std::size_t i = 0; i < t.fields.size(); ++i) {
      const auto& f = t.fields[i];
      if (f.what != form::structure) continue;
      const auto& q = plans_[f.ref->id];
      if (q.required != 0 || q.look != 0) p.look |= std::uint64_t{1} << i;
    }
    return p.look != was;
  }
  std::vector<plan> plans_;
};

class checker {
public:
  void structure(const json::object& o, const type& t, const crumb* at, bool in_status);
  field_errors take() { return std::move(errors_); }

private:
  bool full() const noexcept { return errors_.size() >= check_errors_max; }
  void required(const json::object& o, const type& t, std::uint64_t mask, const crumb* at);
  void member(const json::value& v, const field& f, const crumb* at, bool in_status);
  void element(const json::value& v, const field& f, const crumb* at, bool in_status);
  void scalar(const json::value& v, const field& f, const crumb* at);
  void add(cause c) { errors_.push_back(std::move(c)); }

  field_errors errors_;
};

bool missing(const json::value* v) noexcept {
  if (!v || v->is_null()) return true;
  if (const auto* s = v->if_string()) return s->empty();
  if (const auto* a = v->if_array()) return a->empty();
  return false;
}

void checker::required(const json::object& o, const type& t, std::uint64_t mask, const crumb* at) {
  for (std::size_t i = 0; mask >> i != 0; ++i) {
    if ((mask >> i & 1) == 0) continue;
    const auto& f = t.fields[i];
    if (!missing(o.if_contains(f.name))) continue;
    const crumb here{at, f.name, -1, false};
    add(troupe::field::required(path_text(&here, true)));
    if (full()) return;
  }
}

void checker::structure(const json::object& o, const type& t, const crumb* at, bool in_status) {
  const auto& p = planner::get().of(t);
  if (p.required != 0 && !in_status) required(o, t, p.required, at);
  if (p.look == 0) return;
  for (const auto& kv : o) {
    if (full()) return;
    const auto key = jq::view(kv.key());
    const int i = t.index_of(key);
    if (i < 0 || (p.look >> i & 1) == 0 || kv.value().is_null()) continue;
    const crumb here{at, key, -1, false};
    const bool below_status = in_status || (!at && key == "status");
    member(kv.value(), t.fields[static_cast<std::size_t>(i)], &here, below_status);
  }
}

void checker::member(const json::value& v, const field& f, const crumb* at, bool in_status) {
  if (f.how == shape::single) return element(v, f, at, in_status);
  if (const auto* a = v.if_array(); a && f.how == shape::list) {
    int i = 0;
    for (const auto& e : *a) {
      const crumb here{at, {}, i++, false};
      element(e, f, &here, in_status);
      if (full()) return;
    }
  } else if (const auto* o = v.if_object(); o && f.how == shape::map && !f.map_of_lists) {
    for (const auto& kv : *o) {
      const crumb here{at, jq::view(kv.key()), -1, true};
      element(kv.value(), f, &here, in_status);
      if (full()) return;
    }
  } else if (!f.map_of_lists) {
    add(troupe::field::type_invalid(path_text(at, true), v, f.how == shape::list ? "must be a list" : "must be a map"));
  }
}

void checker::element(const json::value& v, const field& f, const crumb* at, bool in_status) {
  if (f.what != form::structure) return scalar(v, f, at);
  if (const auto* o = v.if_object())
    structure(*o, *f.ref, at, in_status);
  else
    add(troupe::field::type_invalid(path_text(at, true), v, "must be an object"));
}

void checker::scalar(const json::value& v, const field& f, const crumb* at) {
  const auto* s = v.if_string();
  switch (f.what) {
  case form::quantity: {
    const auto q = quantity::parse(v);
    if (!q) add(troupe::field::invalid(path_text(at, true), v, q.error().message));
    return;
  }
  case form::int_or_string:
    if (!s && !v.is_int64()) add(troupe::field::type_invalid(path_text(at, true), v, "must be an integer or a string"));
    return;
  case form::time:
  case form::microtime:
    if (!s || !parse_time(jq::view(*s)))
      add(troupe::field::invalid(path_text(at, true), v, "must be a time as in RFC 3339"));
    return;
  default: break;
  }
  if (f.one_of.empty() || !s) return;
  const auto word = jq::view(*s);
  if (word.empty() && !f.required && !f.pointer) return;
  if (std::find(f.one_of.begin(), f.one_of.end(), word) == f.one_of.end()) {
    // A required word that is missing has been reported already.
    if (word.empty() && f.required) return;
    add(troupe::field::not_supported(path_text(at, true), v, f.one_of));
  }
}

} // namespace

field_errors check_schema(const json::value& doc, const type& t) {
  checker c;
  if (const auto* o = doc.if_object()) c.structure(*o, t, nullptr, false);
  return c.take();
}

} // namespace troupe::schema

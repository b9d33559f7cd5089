#include "api/schema/defaulting.hpp"

#include "api/meta/quantity.hpp"
#include "api/schema/defaulting_kinds.hpp"
#include "api/schema/walk.hpp"

#include <algorithm>
#include <vector>

namespace troupe::schema {

namespace {

/// What there is to do in structs of one type; worked out once for all types.
struct plan {
  std::vector<std::uint8_t> statics; // positions of fields with a static default that would be printed
  std::uint64_t below = 0;           // bit i: field i leads to something to do
  defaulting_hook before = nullptr;
  defaulting_hook after = nullptr;
  bool busy() const noexcept { return !statics.empty() || below != 0 || before || after; }
};

bool is_zero(const json::value& v) noexcept {
  switch (v.kind()) {
  case json::kind::null: return true;
  case json::kind::bool_: return !v.get_bool();
  case json::kind::int64: return v.get_int64() == 0;
  case json::kind::uint64: return v.get_uint64() == 0;
  case json::kind::double_: return v.get_double() == 0;
  case json::kind::string: return v.get_string().empty();
  case json::kind::array: return v.get_array().empty();
  case json::kind::object: return v.get_object().empty();
  }
  return false;
}

/// The defaults of a JobSpec belong to Jobs; a CronJob's template keeps what the client wrote.
bool keeps_to_itself(const type& owner, const field& f) noexcept {
  return owner.name == "io.k8s.api.batch.v1.JobTemplateSpec" && f.name == "spec";
}

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
    for (const auto& c : conditional_defaults_table())
      if (const auto* t = registry::get().find_type(c.type)) {
        auto& p = plans_[t->id];
        p.before = c.before;
        p.after = c.after;
        // A hook may add to its children: they are walked so that their keys end up in order.
        for (std::size_t i = 0; i < t->fields.size(); ++i)
          if (t->fields[i].what == form::structure) p.below |= std::uint64_t{1} << i;
      }
    for (bool grew = true; grew;) {
      grew = false;
      for (const auto* t : types)
        grew |= spread(*t);
    }
  }

  void own_work(const type& t) {
    auto& p = plans_[t.id];
    for (std::size_t i = 0; i < t.fields.size(); ++i) {
      const auto& f = t.fields[i];
      // A default equal to the zero value of a field that is no pointer changes nothing.
      if (f.fallback && !f.gated_off && (f.pointer || !is_zero(*f.fallback)))
        p.statics.push_back(static_cast<std::uint8_t>(i));
      if (f.what == form::quantity && f.how == shape::map) p.below |= std::uint64_t{1} << i;
    }
  }

  bool spread(const type& t) {
    auto& p = plans_[t.id];
    const auto was = p.below;
    for (std::size_t i = 0; i < t.fields.size(); ++i) {
      const auto& f = t.fields[i];
      if (f.what == form::structure && !f.gated_off && plans_[f.ref->id].busy()) p.below |= std::uint64_t{1} << i;
    }
    return p.below != was;
  }

  std::vector<plan> plans_;
};

/// Amounts in resource lists are kept to thousandths.
void round_amounts(json::object& amounts) {
  for (auto& kv : amounts) {
    const auto* s = kv.value().if_string();
    if (!s || s->empty() || (s->back() != 'n' && s->back() != 'u' && s->find("e-") == s->npos)) continue;
    if (auto q = quantity::parse(jq::view(*s))) kv.value() = q->rounded_to_milli().to_string();
  }
}

void apply(json::object& o, const type& t, bool own);

void descend(json::value& v, const type& owner, const field& f) {
  if (f.what == form::quantity) {
    if (auto* amounts = v.if_object()) round_amounts(*amounts);
    return;
  }
  const bool own = !keeps_to_itself(owner, f);
  if (auto* a = v.if_array()) {
    for (auto& e : *a)
      if (auto* o = e.if_object()) apply(*o, *f.ref, own);
  } else if (auto* o = v.if_object()) {
    if (f.how == shape::map) {
      for (auto& kv : *o)
        if (auto* e = kv.value().if_object()) apply(*e, *f.ref, own);
    } else {
      apply(*o, *f.ref, own);
    }
  }
}

void apply(json::object& o, const type& t, bool own) {
  const auto& p = planner::get().of(t);
  if (own) {
    if (p.before) p.before(o);
    for (const auto i : p.statics) {
      const auto& f = t.fields[i];
      auto* v = o.if_contains(f.name);
      if (!v)
        o.emplace(f.name, *f.fallback);
      else if (v->is_null() || (!f.pointer && is_zero(*v)))
        *v = *f.fallback;
    }
    if (p.after) p.after(o);
  }
  for (auto& kv : o) {
    const int i = t.index_of(jq::view(kv.key()));
    if (i >= 0 && (p.below >> i & 1) != 0) descend(kv.value(), t, t.fields[static_cast<std::size_t>(i)]);
  }
  arrange(o, t, 0);
}

} // namespace

void apply_defaults(json::value& doc, const type& t) {
  if (auto* o = doc.if_object()) apply(*o, t, true);
}

} // namespace troupe::schema

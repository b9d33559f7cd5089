#include "store/state_view.hpp"

#include <algorithm>

namespace troupe::store {

const tree* state_view::find(std::string_view table) const {
  auto it = std::lower_bound(tables_.begin(), tables_.end(), table,
                             [](const table_root& t, std::string_view n) { return *t.name < n; });
  return it != tables_.end() && *it->name == table ? &it->objects : nullptr;
}

object_ptr state_view::get(std::string_view table, std::string_view ns, std::string_view name) const {
  const auto* t = find(table);
  return t ? t->get(ns, name) : nullptr;
}

void state_view::scan(std::string_view table, std::string_view ns, std::string_view after_ns,
                      std::string_view after_name, const std::function<bool(const object_ptr&)>& fn) const {
  const auto* t = find(table);
  if (!t) return;
  const bool resumed = !after_name.empty() && after_ns >= ns;
  if (ns.empty()) {
    t->visit(resumed ? after_ns : std::string_view{}, resumed ? after_name : std::string_view{}, resumed, fn);
    return;
  }
  if (resumed && after_ns > ns) return;
  t->visit(ns, resumed ? after_name : std::string_view{}, resumed,
           [&](const object_ptr& o) { return o->ns == ns && fn(o); });
}

std::size_t state_view::count(std::string_view table, std::string_view ns) const {
  const auto* t = find(table);
  if (!t) return 0;
  if (ns.empty()) return t->size();
  std::string behind(ns);
  behind.push_back('\0'); // the smallest namespace greater than ns
  return t->rank(behind, {}) - t->rank(ns, {});
}

std::vector<std::string> state_view::tables() const {
  std::vector<std::string> out;
  for (const auto& t : tables_)
    if (t.objects.size() > 0) out.push_back(*t.name);
  return out;
}

namespace {

struct fnv {
  std::uint64_t h = 1469598103934665603ull;
  void add(std::string_view s) {
    for (unsigned char c : s)
      h = (h ^ c) * 1099511628211ull;
    h = (h ^ 0xff) * 1099511628211ull; // ends the part: ("a","bc") differs from ("ab","c")
  }
};

} // namespace

std::uint64_t state_view::hash() const {
  fnv all;
  all.add(std::to_string(rev_));
  for (const auto& t : tables_) {
    if (t.objects.size() == 0) continue;
    all.add(*t.name);
    t.objects.visit({}, {}, false, [&](const object_ptr& o) {
      all.add(o->ns);
      all.add(o->name);
      all.add(o->bytes);
      all.add(std::to_string(o->mod) + "/" + std::to_string(o->created));
      return true;
    });
  }
  return all.h;
}

} // namespace troupe::store

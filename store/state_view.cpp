#include "store/state_view.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

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

/// Sixteen bytes per 128-bit multiplication; numbers are read little-endian, so that all machines agree.
class fast_hash {
public:
  void add(std::uint64_t v) { h_ = mix(h_ ^ v, k0); }
  void add(std::string_view s) {
    add(s.size()); // ("a","bc") differs from ("ab","c")
    const char* p = s.data();
    std::size_t n = s.size();
    for (; n > 16; n -= 16, p += 16)
      h_ = mix(le64(p, 8) ^ k1, le64(p + 8, 8) ^ h_);
    const auto low = n > 8 ? std::size_t{8} : n;
    h_ = mix(le64(p, low) ^ k1, le64(p + low, n - low) ^ h_);
  }
  std::uint64_t value() const { return mix(h_ ^ k0, k1); }

private:
  static constexpr std::uint64_t k0 = 0x9e3779b97f4a7c15u, k1 = 0xd6e8feb86659fd93u;
  static std::uint64_t mix(std::uint64_t a, std::uint64_t b) {
    __extension__ using wide = unsigned __int128;
    const auto r = static_cast<wide>(a) * b;
    // Factors that are zero by chance must not swallow what came before.
    return static_cast<std::uint64_t>(r) ^ static_cast<std::uint64_t>(r >> 64) ^ a ^ (b << 1 | b >> 63);
  }
  static std::uint64_t le64(const char* p, std::size_t n) {
    std::uint64_t v = 0;
    if constexpr (std::endian::native == std::endian::little) {
      std::memcpy(&v, p, n);
    } else {
      for (std::size_t i = 0; i < n; ++i)
        v |= static_cast<std::uint64_t>(static_cast<unsigned char>(p[i])) << (8 * i);
    }
    return v;
  }
  std::uint64_t h_ = 0x2545f4914f6cdd1du;
};

} // namespace

std::uint64_t state_view::hash() const {
  fast_hash all;
  all.add(rev_);
  for (const auto& t : tables_) {
    if (t.objects.size() == 0) continue;
    all.add(*t.name);
    all.add(t.objects.size());
    t.objects.visit({}, {}, false, [&](const object_ptr& o) {
      all.add(o->ns);
      all.add(o->name);
      all.add(o->bytes);
      all.add(o->mod);
      all.add(o->created);
      return true;
    });
  }
  return all.value();
}

} // namespace troupe::store

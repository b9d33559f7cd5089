#include "actors/apiserver/past_view.hpp"

#include <algorithm>
#include <limits>
#include <map>

namespace troupe::apiserver {

namespace {

using key = std::pair<std::string_view, std::string_view>; // namespace, name: views into objects that are held

key key_of(const store::object& o) { return {o.ns, o.name}; }

class past_view final : public store::view {
public:
  past_view(std::string table, store::revision rev, std::vector<store::object_ptr> sorted)
      : table_(std::move(table)), rev_(rev), objects_(std::move(sorted)) {}

  store::revision rev() const noexcept override { return rev_; }

  store::object_ptr get(std::string_view table, std::string_view ns, std::string_view name) const override {
    if (table != table_) return nullptr;
    const auto it = first_not_before({ns, name});
    return it != objects_.end() && key_of(**it) == key{ns, name} ? *it : nullptr;
  }

  void scan(std::string_view table, std::string_view ns, std::string_view after_ns, std::string_view after_name,
            const std::function<bool(const store::object_ptr&)>& fn) const override {
    if (table != table_) return;
    const key after{after_ns, after_name};
    auto it = after_name.empty() ? first_not_before({ns, {}}) : first_not_before(after);
    for (; it != objects_.end(); ++it) {
      if (!after_name.empty() && key_of(**it) == after) continue;
      if (!ns.empty() && (*it)->ns != ns) {
        if ((*it)->ns > ns) return;
        continue;
      }
      if (!fn(*it)) return;
    }
  }

  std::size_t count(std::string_view table, std::string_view ns) const override {
    std::size_t n = 0;
    store::view::scan(table, ns, [&](const store::object_ptr&) { return ++n, true; });
    return n;
  }

  std::vector<std::string> tables() const override { return {table_}; }

private:
  std::vector<store::object_ptr>::const_iterator first_not_before(key k) const {
    return std::lower_bound(objects_.begin(), objects_.end(), k,
                            [](const store::object_ptr& o, const key& b) { return key_of(*o) < b; });
  }

  std::string table_;
  store::revision rev_;
  std::vector<store::object_ptr> objects_;
};

} // namespace

result<store::view_ptr> view_at(const store::watch_hub& hub, const store::view_ptr& now, const std::string& table,
                                store::revision rev) {
  const auto since = hub.pull(table, rev, std::numeric_limits<std::size_t>::max());
  if (since.too_old) return errors::expired("The resourceVersion for the provided list is too old.");
  if (since.upto < now->rev())
    return errors::too_many_requests("the history is not complete yet, please try again later", 1);
  std::map<key, store::object_ptr> before; // null: was not there
  for (const auto& e : since.events)
    if (e->rev <= now->rev()) before.emplace(key_of(*e->current), e->previous); // the first one stays
  std::vector<store::object_ptr> then;
  now->scan(table, {}, [&](const store::object_ptr& o) {
    if (before.find(key_of(*o)) == before.end()) then.push_back(o);
    return true;
  });
  for (const auto& [k, o] : before)
    if (o) then.push_back(o);
  std::sort(then.begin(), then.end(), [](const auto& a, const auto& b) { return key_of(*a) < key_of(*b); });
  return store::view_ptr(std::make_shared<past_view>(table, rev, std::move(then)));
}

} // namespace troupe::apiserver

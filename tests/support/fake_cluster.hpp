// fake_cluster: an in-memory API server and store for tests of components: the same view, hub and verbs, no disk.
// Owner:  one test, one thread.
// Units:  time is set by the test.
// Errors: answers Status codes as the API does for missing, existing and stale objects.
// Source: ours. Not a model of validation: what it stores is what it was given.
#pragma once

#include "api/meta/time.hpp"
#include "api/request.hpp"
#include "store/view.hpp"
#include "store/watch_hub.hpp"

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace troupe::test {

class fake_cluster : public store::published, public store::watch_hub {
public:
  using key = std::pair<std::string, std::string>;
  using rows = std::map<key, store::object_ptr>;
  using tables = std::map<std::string, rows, std::less<>>;

  sys_micros now{std::chrono::seconds{1767225600}};
  /// Asked before each write; true: it is refused with 500 and not done.
  std::function<bool(const request&)> fail;
  /// Called after each write: the test checks what must always hold.
  std::function<void()> after_write;
  std::uint64_t writes = 0;

  response_ptr handle(const request& r);

  /// Direct access, as from kubectl or a kubelet.
  store::object_ptr put(std::string_view table, json::value doc);
  store::object_ptr put(std::string_view table, std::string_view text) {
    return put(table, json::parse({text.data(), text.size()}));
  }
  store::object_ptr put(std::string_view table, const char* text) { return put(table, std::string_view{text}); }
  void erase(std::string_view table, std::string_view ns, std::string_view name);
  store::object_ptr get(std::string_view table, std::string_view ns, std::string_view name) const;
  json::value doc(std::string_view table, std::string_view ns, std::string_view name) const;
  std::vector<store::object_ptr> all(std::string_view table) const;
  const std::vector<store::event_ptr>& history(std::string_view table) const;
  store::revision rev() const noexcept { return rev_; }

  store::view_ptr current() const override;
  store::pull_result pull(std::string_view table, store::revision cursor, std::size_t limit) const override;
  std::unique_ptr<store::subscription> subscribe(std::string_view table, std::function<void()> wake) override;

private:
  struct sub;
  store::object_ptr commit(std::string_view table, json::value doc, store::object_ptr before);
  void drop(std::string_view table, const store::object_ptr& o);
  void notify(std::string_view table);
  response_ptr create(const request& r, const std::string& table);
  response_ptr change(const request& r, const std::string& table);
  response_ptr remove(const request& r, const std::string& table);
  response_ptr bind(const request& r);
  response_ptr settle(const std::string& table, json::value doc, const store::object_ptr& before);

  tables tables_;
  std::map<std::string, std::vector<store::event_ptr>, std::less<>> history_;
  std::vector<sub*> subs_;
  store::revision rev_ = 1;
  std::uint64_t next_ = 0;
  mutable store::view_ptr cached_;
};

} // namespace troupe::test

// cluster_cache: typed views of the objects that controllers look at, with the indexes they need.
// Owner:  controller_manager; one thread. Items are immutable and shared.
// Units:  -
// Errors: -
// Source: Kubernetes shared informers; ours: one parse per event, pods reduced to facts.
#pragma once

#include "api/json.hpp"
#include "api/meta/time.hpp"
#include "store/object.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace troupe::ctl {

struct pod_port {
  std::string name, protocol;
  std::int64_t number = 0;
};

struct pod_toleration {
  std::string key, value, effect;
  bool exists = false;
  std::optional<std::int64_t> seconds;
};

/// What controllers ask of a pod.
struct pod_facts {
  std::string phase, node, ip, host_ip, hostname, subdomain;
  std::vector<std::string> ips;
  bool ready = false, host_network = false;
  std::optional<sys_micros> ready_since;
  std::int64_t restarts = 0, deletion_cost = 0;
  std::vector<pod_port> ports;
  std::vector<pod_toleration> tolerations;

  bool finished() const noexcept { return phase == "Succeeded" || phase == "Failed"; }
};

struct item {
  store::object_ptr raw;
  std::string uid, controller_uid;
  bool deleting = false;
  sys_micros created{};
  json::value doc; // whole object; of pods, which are many, only metadata and kind are kept
  pod_facts pod;

  const std::string& ns() const noexcept { return raw->ns; }
  const std::string& name() const noexcept { return raw->name; }
  std::string key() const { return raw->ns.empty() ? raw->name : raw->ns + "/" + raw->name; }
  bool active() const noexcept { return !deleting && !pod.finished(); }
};
using item_ptr = std::shared_ptr<const item>;

item_ptr make_item(std::string_view table, const store::object_ptr& raw);

class cluster_cache {
public:
  using by_name = std::map<std::string, item_ptr, std::less<>>;
  using uid_set = std::set<item_ptr, std::owner_less<item_ptr>>;

  /// True for the tables that are kept here.
  static bool keeps(std::string_view table) noexcept;
  /// The item that was there before.
  item_ptr put(std::string_view table, const item_ptr& i);
  item_ptr erase(std::string_view table, std::string_view ns, std::string_view name);

  item_ptr get(std::string_view table, std::string_view ns, std::string_view name) const;
  /// `ns/name` or `name`.
  item_ptr get(std::string_view table, std::string_view key) const;
  const by_name& in(std::string_view table, std::string_view ns) const;
  void each(std::string_view table, const std::function<void(const item_ptr&)>& fn) const;
  /// Objects of the table whose controller has this uid.
  std::vector<item_ptr> owned(std::string_view table, std::string_view controller_uid) const;
  /// Objects of the namespace without a controller.
  std::vector<item_ptr> unowned(std::string_view table, std::string_view ns) const;
  std::vector<item_ptr> pods_on(std::string_view node) const;
  std::size_t count(std::string_view table) const;

private:
  struct table_index {
    std::map<std::string, by_name, std::less<>> spaces;
    std::unordered_map<std::string, uid_set> by_controller;
    std::size_t count = 0;
  };
  const table_index* find(std::string_view table) const;
  void unindex(table_index& t, std::string_view table, const item_ptr& i);

  std::map<std::string, table_index, std::less<>> tables_;
  std::unordered_map<std::string, uid_set> by_node_;
};

} // namespace troupe::ctl

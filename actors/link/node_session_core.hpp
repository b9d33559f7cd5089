// node_session_core: which objects the agent of one node may see: all of some tables, its own pods, and the ConfigMaps
//                    and Secrets these pods refer to.
// Owner:  the feed actor of one node's session; pure over views and events.
// Units:  a node's pods are few; a reference is counted once per pod.
// Errors: -
// Source: Kubernetes node authorizer: what apiserver/node_authorizer allows one by one, followed as pods come and go.
//
// Worked example: pod p (bound to this node) mounts Secret s. The event that binds p at revision 9 becomes two: s ADDED
// and p ADDED, both at 9, although s itself is older. When p is gone at 20, s is DELETED at 20 for this node, although
// it lives on.
#pragma once

#include "actors/link/link_codec.hpp"
#include "api/json.hpp"
#include "store/view.hpp"

#include <array>
#include <compare>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::link {

enum class scope : std::uint8_t { everything, own_pods, referenced };

/// A table of the feed and who of the node reads it.
struct fed_table {
  std::string_view table, group, resource;
  scope what;
};
inline constexpr std::array<fed_table, 7> fed_tables{{
    {"configmaps", "", "configmaps", scope::referenced},
    {"endpointslices.discovery.k8s.io", "discovery.k8s.io", "endpointslices", scope::everything},
    {"namespaces", "", "namespaces", scope::everything},
    {"nodes", "", "nodes", scope::everything},
    {"pods", "", "pods", scope::own_pods},
    {"secrets", "", "secrets", scope::referenced},
    {"services", "", "services", scope::everything},
}};

/// A ConfigMap or Secret a pod refers to; `table` is one of fed_tables.
struct reference {
  std::string_view table;
  std::string ns, name;
  friend auto operator<=>(const reference&, const reference&) = default;
};
std::set<reference> references_of(const json::value& pod);

class node_scope {
public:
  explicit node_scope(std::string node) : node_(std::move(node)) {}

  /// Starts over with the pods of this view.
  void rebuild(const store::view& now);
  bool sees(const fed_table& t, const store::object& o) const;
  /// Appends what this event means to the node, in the order in which it must be told.
  void on(const fed_table& t, const store::event& e, const store::view& now, std::vector<feed_event>& out);

private:
  void take_refs(const std::string& pod, std::set<reference> refs, store::revision rev, const store::view& now,
                 std::vector<feed_event>* out);

  const std::string node_;
  std::map<std::string, std::set<reference>> by_pod_; // ns/name
  std::map<reference, int> counts_;
};

/// Whether a node that has seen everything up to `cursor` may go on from there. Not when that lies before the present
/// history (the state was put back since), and not when it lies behind the newest state there is.
bool same_history(store::revision cursor, const store::view& newest);

/// The fed events of several tables in the order in which they happened. `upto`: later ones are left out.
struct table_events {
  const fed_table* table = nullptr;
  std::vector<store::event_ptr> events;
};
std::vector<std::pair<const fed_table*, store::event_ptr>> in_order(const std::vector<table_events>& all,
                                                                    store::revision upto);

/// Cuts events into messages of about limits::link::batch_bytes.
std::vector<message> in_batches(std::vector<feed_event> events);

} // namespace troupe::link

// pod_request: what the planner needs to know of one pod, extracted once per event.
// Owner:  nobody; immutable after extraction, shared between queue, cache and planner.
// Units:  see amounts.hpp.
// Errors: a selector that cannot be parsed matches nothing.
// Source: core/v1 PodSpec.
#pragma once

#include "actors/scheduler/amounts.hpp"
#include "api/json.hpp"
#include "api/meta/selector.hpp"
#include "api/meta/time.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::sched {

using label_list = std::vector<std::pair<std::string, std::string>>; // sorted by key

struct taint {
  std::string key, value, effect;
  friend bool operator==(const taint&, const taint&) = default;
};

struct toleration {
  std::string key, value, effect;
  bool exists = false;
  bool tolerates(const taint& t) const noexcept;
};

struct host_port {
  std::string ip = "0.0.0.0", protocol = "TCP";
  std::int64_t port = 0;
  bool collides(const host_port& o) const noexcept;
};

/// One nodeSelectorTerm: all of labels and fields (metadata.name) must hold. A term with neither matches nothing.
struct node_term {
  std::vector<label_selector::requirement> labels, fields;
  std::int64_t weight = 0; // of preferred terms
  bool matches(const label_list& node_labels, std::string_view node_name) const noexcept;
};

/// One podAffinityTerm, required or weighted.
struct pod_term {
  label_selector selector = label_selector::nothing();
  std::vector<std::string> namespaces;
  label_selector namespace_selector = label_selector::nothing();
  std::string topology_key;
  std::int64_t weight = 0;
  /// `ns_labels`: labels of that namespace.
  bool covers(std::string_view ns, const label_list& ns_labels, const label_list& labels) const noexcept;
};

struct spread_constraint {
  label_selector selector = label_selector::nothing();
  std::string topology_key;
  std::int64_t max_skew = 1, min_domains = 1;
  bool hard = true; // DoNotSchedule
  bool honor_affinity = true, honor_taints = false;
};

struct pod_request {
  std::string ns, name, uid, resource_version, node_name, scheduler_name, preemption_policy, nominated;
  label_list labels;
  std::int64_t priority = 0;
  sys_micros created{};
  bool deleting = false, finished = false;
  std::vector<std::string> gates;
  amounts needs, score_needs;
  label_list node_selector;
  bool has_required_terms = false;
  std::vector<node_term> required_terms, preferred_terms;
  std::vector<toleration> tolerations;
  std::vector<host_port> ports;
  std::vector<pod_term> affinity, anti_affinity, preferred_affinity, preferred_anti_affinity;
  std::vector<spread_constraint> spread;
  std::vector<std::string> claims; // PersistentVolumeClaims it mounts
  /// Last PodScheduled=False condition as stored: reason and message.
  std::string stored_reason, stored_message;

  std::string key() const { return ns + "/" + name; }
};
using pod_ptr = std::shared_ptr<const pod_request>;

pod_ptr extract_pod(const json::value& doc);
/// Required and preferred terms use the same shape.
node_term extract_node_term(const json::value& term);

} // namespace troupe::sched

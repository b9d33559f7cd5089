#include "actors/controllers/cluster_cache.hpp"

#include "api/meta/object_meta.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace troupe::ctl {

namespace {
constexpr std::array kept{std::string_view{"pods"},
                          std::string_view{"nodes"},
                          std::string_view{"services"},
                          std::string_view{"endpoints"},
                          std::string_view{"namespaces"},
                          std::string_view{"serviceaccounts"},
                          std::string_view{"configmaps"},
                          std::string_view{"deployments.apps"},
                          std::string_view{"replicasets.apps"},
                          std::string_view{"endpointslices.discovery.k8s.io"},
                          std::string_view{"leases.coordination.k8s.io"},
                          std::string_view{"clusterroles.rbac.authorization.k8s.io"}};

void read_ports(const json::array& containers, bool sidecars_only, pod_facts& f) {
  for (const auto& c : containers) {
    if (sidecars_only && jq::str(c, {"restartPolicy"}) != "Always") continue;
    for (const auto& p : jq::arr(c, {"ports"}))
      f.ports.push_back({std::string{jq::str(p, {"name"})}, std::string{jq::str(p, {"protocol"}, "TCP")},
                         jq::num(p, {"containerPort"})});
  }
}

pod_facts read_pod(const json::value& d) {
  pod_facts f;
  f.phase = jq::str(d, {"status", "phase"});
  f.node = jq::str(d, {"spec", "nodeName"});
  f.ip = jq::str(d, {"status", "podIP"});
  f.host_ip = jq::str(d, {"status", "hostIP"});
  f.hostname = jq::str(d, {"spec", "hostname"});
  f.subdomain = jq::str(d, {"spec", "subdomain"});
  f.host_network = jq::flag(d, {"spec", "hostNetwork"});
  for (const auto& ip : jq::arr(d, {"status", "podIPs"}))
    f.ips.emplace_back(jq::str(ip, {"ip"}));
  if (f.ips.empty() && !f.ip.empty()) f.ips.push_back(f.ip);
  for (const auto& c : jq::arr(d, {"status", "conditions"}))
    if (jq::str(c, {"type"}) == "Ready") {
      f.ready = jq::str(c, {"status"}) == "True";
      f.ready_since = parse_time(jq::str(c, {"lastTransitionTime"}));
    }
  for (const auto& c : jq::arr(d, {"status", "containerStatuses"}))
    f.restarts += jq::num(c, {"restartCount"});
  auto cost = meta::annotation(d, "controller.kubernetes.io/pod-deletion-cost");
  std::from_chars(cost.data(), cost.data() + cost.size(), f.deletion_cost);
  read_ports(jq::arr(d, {"spec", "containers"}), false, f);
  read_ports(jq::arr(d, {"spec", "initContainers"}), true, f);
  for (const auto& t : jq::arr(d, {"spec", "tolerations"}))
    f.tolerations.push_back({std::string{jq::str(t, {"key"})}, std::string{jq::str(t, {"value"})},
                             std::string{jq::str(t, {"effect"})}, jq::str(t, {"operator"}) == "Exists",
                             jq::maybe_num(t, {"tolerationSeconds"})});
  return f;
}
} // namespace

item_ptr make_item(std::string_view table, const store::object_ptr& raw) {
  auto i = std::make_shared<item>();
  i->raw = raw;
  i->doc = raw->parse();
  auto& d = i->doc;
  i->uid = meta::uid(d);
  i->deleting = meta::deleting(d);
  i->created = meta::created(d).value_or(sys_micros{});
  if (auto c = meta::controller_of(d)) i->controller_uid = jq::str(*c, {"uid"});
  jq::erase(d, {"metadata", "managedFields"});
  if (table == "pods") {
    i->pod = read_pod(d);
    jq::erase(d, {"spec"});
    jq::erase(d, {"status"});
  } else if (table == "nodes") {
    jq::erase(d, {"status", "images"});
  } else if (table == "configmaps" && raw->name != "kube-root-ca.crt") {
    jq::erase(d, {"data"});
    jq::erase(d, {"binaryData"});
  }
  return i;
}

bool cluster_cache::keeps(std::string_view table) noexcept {
  return std::find(kept.begin(), kept.end(), table) != kept.end();
}

const cluster_cache::table_index* cluster_cache::find(std::string_view table) const {
  auto it = tables_.find(table);
  return it == tables_.end() ? nullptr : &it->second;
}

namespace {
/// Objects without a controller are indexed by namespace; no uid starts with '@'.
std::string controller_key(const item& i) { return i.controller_uid.empty() ? "@" + i.ns() : i.controller_uid; }
} // namespace

void cluster_cache::unindex(table_index& t, std::string_view table, const item_ptr& i) {
  auto drop = [&](auto& index, const std::string& key) {
    if (key.empty()) return;
    auto it = index.find(key);
    if (it == index.end()) return;
    it->second.erase(i);
    if (it->second.empty()) index.erase(it);
  };
  drop(t.by_controller, controller_key(*i));
  if (table == "pods") drop(by_node_, i->pod.node);
}

item_ptr cluster_cache::put(std::string_view table, const item_ptr& i) {
  auto& t = tables_.try_emplace(std::string{table}).first->second;
  auto& slot = t.spaces.try_emplace(i->ns()).first->second[i->name()];
  auto before = slot;
  if (before)
    unindex(t, table, before);
  else
    ++t.count;
  slot = i;
  t.by_controller[controller_key(*i)].insert(i);
  if (table == "pods" && !i->pod.node.empty()) by_node_[i->pod.node].insert(i);
  return before;
}

item_ptr cluster_cache::erase(std::string_view table, std::string_view ns, std::string_view name) {
  auto t = tables_.find(table);
  if (t == tables_.end()) return nullptr;
  auto space = t->second.spaces.find(ns);
  if (space == t->second.spaces.end()) return nullptr;
  auto it = space->second.find(name);
  if (it == space->second.end()) return nullptr;
  auto before = it->second;
  unindex(t->second, table, before);
  space->second.erase(it);
  if (space->second.empty()) t->second.spaces.erase(space);
  --t->second.count;
  return before;
}

item_ptr cluster_cache::get(std::string_view table, std::string_view ns, std::string_view name) const {
  const auto& space = in(table, ns);
  auto it = space.find(name);
  return it == space.end() ? nullptr : it->second;
}

item_ptr cluster_cache::get(std::string_view table, std::string_view key) const {
  auto slash = key.find('/');
  if (slash == std::string_view::npos) return get(table, {}, key);
  return get(table, key.substr(0, slash), key.substr(slash + 1));
}

const cluster_cache::by_name& cluster_cache::in(std::string_view table, std::string_view ns) const {
  static const by_name none;
  auto t = find(table);
  if (!t) return none;
  auto it = t->spaces.find(ns);
  return it == t->spaces.end() ? none : it->second;
}

void cluster_cache::each(std::string_view table, const std::function<void(const item_ptr&)>& fn) const {
  auto t = find(table);
  if (!t) return;
  for (const auto& [ns, names] : t->spaces)
    for (const auto& [name, i] : names)
      fn(i);
}

namespace {
/// By name: the index orders by address, and runs must repeat.
std::vector<item_ptr> sorted(const cluster_cache::uid_set& s) {
  std::vector<item_ptr> out{s.begin(), s.end()};
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) {
    return std::tie(a->raw->ns, a->raw->name) < std::tie(b->raw->ns, b->raw->name);
  });
  return out;
}
} // namespace

std::vector<item_ptr> cluster_cache::owned(std::string_view table, std::string_view controller_uid) const {
  auto t = find(table);
  if (!t) return {};
  auto it = t->by_controller.find(std::string{controller_uid});
  return it == t->by_controller.end() ? std::vector<item_ptr>{} : sorted(it->second);
}

std::vector<item_ptr> cluster_cache::unowned(std::string_view table, std::string_view ns) const {
  return owned(table, "@" + std::string{ns});
}

std::vector<item_ptr> cluster_cache::pods_on(std::string_view node) const {
  auto it = by_node_.find(std::string{node});
  return it == by_node_.end() ? std::vector<item_ptr>{} : sorted(it->second);
}

std::size_t cluster_cache::count(std::string_view table) const {
  auto t = find(table);
  return t ? t->count : 0;
}

} // namespace troupe::ctl

#include "actors/kubelet/node/node_planner.hpp"

#include "actors/kubelet/limits.hpp"
#include "api/meta/quantity.hpp"
#include "api/meta/time.hpp"
#include "api/version.hpp"

#include <algorithm>

namespace troupe::kubelet {

namespace {

std::string ki(std::int64_t bytes) { return std::to_string(bytes / 1024) + "Ki"; }
std::string time_text(wall_time t) { return format_time(std::chrono::floor<std::chrono::seconds>(t)); }
std::string hostname_of(const kubelet_options& o) { return o.hostname.empty() ? o.node_name : o.hostname; }

json::object capacity(const kubelet_options& o, const host_reading& h) {
  json::object c;
  c["cpu"] = std::to_string(h.cpus);
  c["ephemeral-storage"] = ki(h.disk_bytes);
  c["hugepages-1Gi"] = "0";
  c["hugepages-2Mi"] = "0";
  c["memory"] = ki(h.memory_bytes);
  c["pods"] = std::to_string(o.max_pods);
  return c;
}

/// Without what eviction keeps free.
json::object allocatable(const kubelet_options& o, const host_reading& h) {
  auto a = capacity(o, h);
  auto reserved = std::min(limits::memory_available_bytes_min, h.memory_bytes / 2);
  a["memory"] = ki(h.memory_bytes - reserved);
  a["ephemeral-storage"] = std::to_string(
      static_cast<std::int64_t>(static_cast<double>(h.disk_bytes) * (1 - limits::disk_available_part_min)));
  return a;
}

struct reading {
  std::string_view type;
  bool on;
  std::string_view reason_on, reason_off;
  std::string message_on, message_off;
};

bool low(std::int64_t left, std::int64_t total, double part) {
  return total > 0 && static_cast<double>(left) < part * static_cast<double>(total);
}

std::vector<reading> readings(const host_reading& h) {
  bool memory = h.memory_bytes > 0 && h.memory_available_bytes < limits::memory_available_bytes_min;
  bool disk = low(h.disk_available_bytes, h.disk_bytes, limits::disk_available_part_min) ||
              low(h.inodes_free, h.inodes, limits::inodes_available_part_min);
  bool pids = low(h.pids_max - h.pids_used, h.pids_max, limits::pids_available_part_min);
  return {{"MemoryPressure", memory, "KubeletHasInsufficientMemory", "KubeletHasSufficientMemory",
           "kubelet has insufficient memory available", "kubelet has sufficient memory available"},
          {"DiskPressure", disk, "KubeletHasDiskPressure", "KubeletHasNoDiskPressure", "kubelet has disk pressure",
           "kubelet has no disk pressure"},
          {"PIDPressure", pids, "KubeletHasInsufficientPID", "KubeletHasSufficientPID",
           "kubelet has insufficient PID available", "kubelet has sufficient PID available"},
          {"Ready", h.fault.empty(), "KubeletReady", "KubeletNotReady", "kubelet is posting ready status", h.fault}};
}

json::object condition(const reading& r, const json::value& before, wall_time now) {
  json::object c;
  std::string_view status = r.on ? "True" : "False";
  const json::value* old = nullptr;
  for (const auto& x : jq::arr(before, {"conditions"}))
    if (jq::str(x, {"type"}) == r.type) old = &x;
  bool same = old && jq::str(*old, {"status"}) == status;
  c["type"] = r.type;
  c["status"] = status;
  c["lastHeartbeatTime"] = time_text(now);
  c["lastTransitionTime"] = same ? std::string{jq::str(*old, {"lastTransitionTime"})} : time_text(now);
  c["reason"] = r.on ? r.reason_on : r.reason_off;
  c["message"] = r.on ? r.message_on : r.message_off;
  return c;
}

json::object node_info(const host_reading& h) {
  json::object i;
  i["machineID"] = h.machine_id;
  i["systemUUID"] = h.system_uuid;
  i["bootID"] = h.boot_id;
  i["kernelVersion"] = h.kernel;
  i["osImage"] = h.os_image;
  // Printed as `name://version`, as the runtime field of every node is.
  auto blank = h.runtime.find(' ');
  i["containerRuntimeVersion"] = blank == std::string::npos
                                     ? h.runtime + "://" + version::troupe
                                     : h.runtime.substr(0, blank) + "://" + h.runtime.substr(blank + 1);
  i["kubeletVersion"] = version::git_version;
  i["kubeProxyVersion"] = version::git_version;
  i["operatingSystem"] = "linux";
  i["architecture"] = h.architecture;
  return i;
}

json::array image_list(std::vector<node_image> images) {
  std::sort(images.begin(), images.end(), [](const auto& a, const auto& b) { return a.bytes > b.bytes; });
  if (images.size() > limits::node_images_max) images.resize(limits::node_images_max);
  json::array out;
  for (const auto& i : images) {
    json::array names;
    for (const auto& n : i.names)
      names.emplace_back(n);
    out.push_back(json::object{{"names", std::move(names)}, {"sizeBytes", i.bytes}});
  }
  return out;
}

} // namespace

json::object standard_labels(const kubelet_options& o, const host_reading& h) {
  json::object l;
  l["kubernetes.io/hostname"] = hostname_of(o);
  l["kubernetes.io/os"] = "linux";
  l["kubernetes.io/arch"] = h.architecture;
  l["beta.kubernetes.io/os"] = "linux";
  l["beta.kubernetes.io/arch"] = h.architecture;
  for (const auto& [k, v] : o.labels)
    l[k] = v;
  return l;
}

json::object plan_node_status(const kubelet_options& o, const host_reading& h, const std::vector<node_image>& images,
                              const json::value& before, wall_time now) {
  json::object s;
  s["capacity"] = capacity(o, h);
  s["allocatable"] = allocatable(o, h);
  json::array conditions;
  for (const auto& r : readings(h))
    conditions.push_back(condition(r, before, now));
  s["conditions"] = std::move(conditions);
  s["addresses"] = json::array{json::object{{"type", "InternalIP"}, {"address", o.host_ip}},
                               json::object{{"type", "Hostname"}, {"address", hostname_of(o)}}};
  s["nodeInfo"] = node_info(h);
  if (!images.empty()) s["images"] = image_list(images);
  return s;
}

json::object plan_node(const kubelet_options& o, const host_reading& h, const std::vector<node_image>& images,
                       wall_time now) {
  json::object spec;
  if (!o.pod_cidr.empty()) {
    spec["podCIDR"] = o.pod_cidr;
    spec["podCIDRs"] = json::array{json::value(o.pod_cidr)};
  }
  if (!o.taints.empty()) {
    json::array taints;
    for (const auto& t : o.taints)
      taints.push_back(t);
    spec["taints"] = std::move(taints);
  }
  return {{"apiVersion", "v1"},
          {"kind", "Node"},
          {"metadata",
           {{"name", o.node_name},
            {"labels", standard_labels(o, h)},
            {"annotations", {{"volumes.kubernetes.io/controller-managed-attach-detach", "true"}}}}},
          {"spec", std::move(spec)},
          {"status", plan_node_status(o, h, images, nullptr, now)}};
}

bool node_status_differs(const json::value& before, const json::object& after) {
  for (const auto& [key, value] : after) {
    std::string_view k{key.data(), key.size()};
    if (k != "conditions") {
      auto* old = jq::find(before, {k});
      if (!old || *old != value) return true;
      continue;
    }
    for (const auto& c : value.as_array()) {
      bool found = false;
      for (const auto& x : jq::arr(before, {"conditions"}))
        found = found ||
                (jq::str(x, {"type"}) == jq::str(c, {"type"}) && jq::str(x, {"status"}) == jq::str(c, {"status"}) &&
                 jq::str(x, {"message"}) == jq::str(c, {"message"}));
      if (!found) return true;
    }
  }
  return false;
}

json::object plan_lease(const kubelet_options& o, const std::string& node_uid, wall_time now) {
  json::object metadata{{"name", o.node_name}, {"namespace", "kube-node-lease"}};
  if (!node_uid.empty())
    metadata["ownerReferences"] =
        json::array{json::object{{"apiVersion", "v1"}, {"kind", "Node"}, {"name", o.node_name}, {"uid", node_uid}}};
  return {{"apiVersion", "coordination.k8s.io/v1"},
          {"kind", "Lease"},
          {"metadata", std::move(metadata)},
          {"spec",
           {{"holderIdentity", o.node_name},
            {"leaseDurationSeconds", limits::lease_duration.count()},
            {"renewTime", format_micro_time(std::chrono::time_point_cast<std::chrono::microseconds>(now))}}}};
}

} // namespace troupe::kubelet

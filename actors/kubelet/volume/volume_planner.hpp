// volume_planner: what the volumes of a pod hold and where containers see them.
// Owner:  nobody; pure: reads the cluster only through `cluster_reader`.
// Units:  modes are the numbers of the API (decimal JSON, e.g. 420 = 0644).
// Errors: 400 with the sentence of the FailedMount event.
// Source: Kubernetes kubelet volume plugins.
#pragma once

#include "actors/kubelet/spec/env_planner.hpp"
#include "actors/kubelet/volume/atomic_backend.hpp"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe::kubelet {

enum class volume_kind : std::uint8_t { empty_dir, host_path, payload, unsupported };

/// A service-account token that a projected volume asks for.
struct token_wish {
  std::string volume, path, audience;
  std::int64_t expiration_s = 3600;
  std::string key() const { return volume + "/" + path; }
};
using token_map = std::map<std::string, std::string>; // by token_wish::key

struct volume_plan {
  std::string name;
  volume_kind kind = volume_kind::unsupported;
  bool memory = false;        // emptyDir on tmpfs
  std::int64_t bytes_max = 0; // of a memory emptyDir; 0: half of the machine
  std::string host_path, host_path_type;
  file_set files;  // configMap, secret, downwardAPI, projected
  std::string why; // unsupported: the sentence
};

std::vector<token_wish> token_wishes(const json::value& pod);
/// `ns/name` keys of the ConfigMaps and Secrets that volumes read; changes of these are followed.
struct volume_references {
  std::vector<std::string> config_maps, secrets;
};
volume_references volume_sources(const json::value& pod);

result<volume_plan> plan_volume(const json::value& pod, const json::value& volume, const pod_facts& facts,
                                const cluster_reader& cluster, const token_map& tokens);

/// One entry of volumeMounts.
struct mount_plan {
  std::string volume, mount_path, sub_path, propagation;
  bool read_only = false;
};
/// subPathExpr is expanded with the container's environment.
result<std::vector<mount_plan>> plan_mounts(const json::value& container, const env_list& env);

} // namespace troupe::kubelet

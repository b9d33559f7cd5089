// volume_backend: makes the directories, memory file systems and files of a pod's volumes on this host.
// Owner:  worker threads; calls for one pod never overlap.
// Units:  paths below <data>/pods/<uid>: volumes/<name> on disk, mem/<name> in one tmpfs for secret contents.
// Errors: the sentence of the FailedMount event, naming volume and reason.
// Source: Kubernetes kubelet volume plugins; ours: one tmpfs per pod for all secret-like volumes.
#pragma once

#include "actors/kubelet/volume/volume_planner.hpp"
#include "runtime/engine.hpp"

#include <map>
#include <string>

namespace troupe::kubelet {

struct volume_place {
  std::string path; // on the host
  bool read_only = false;
};
using volume_places = std::map<std::string, volume_place>; // by volume name

/// Makes all volumes of the pod; idempotent, and also the way to bring their files up to date.
result<volume_places> make_volumes(const std::string& pod_dir, const json::value& pod, const pod_facts& facts,
                                   const cluster_reader& cluster, const token_map& tokens);
/// Turns volumeMounts into mounts of the runtime; makes subPath directories.
result<std::vector<runtime::mount_spec>> place_mounts(const std::vector<mount_plan>& mounts,
                                                      const volume_places& places);
/// Unmounts and removes everything below the pod's directory.
result<void> remove_pod_dir(const std::string& pod_dir);

} // namespace troupe::kubelet

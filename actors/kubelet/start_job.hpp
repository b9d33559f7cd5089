// start_job: everything between "this container shall run" and "it runs", in one blocking call.
// Owner:  a worker thread; works on copies.
// Units:  -
// Errors: start_failed says at which step, with the sentence for the pod's status.
// Source: Kubernetes kubelet startContainer.
#pragma once

#include "actors/kubelet/context.hpp"
#include "actors/kubelet/volume/volume_backend.hpp"

#include <optional>

namespace troupe::kubelet {

struct start_input {
  context_ptr ctx;
  pod_model_ptr model;
  int container = 0, attempt = 0;
  std::string image_id;
  pod_facts facts;
  std::shared_ptr<const volume_places> places;
};
struct start_failed {
  start_failure why = start_failure::create;
  std::string message;
};

/// nullopt: the container runs (or already ended).
std::optional<start_failed> run_start_job(const start_input& in);

} // namespace troupe::kubelet

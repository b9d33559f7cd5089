// deployment_status: counts and conditions of a Deployment, and when its progress deadline must be looked at.
// Owner:  deployment_core; pure.
// Units:  counts of pods; progressDeadlineSeconds.
// Errors: -
// Source: Kubernetes pkg/controller/deployment/progress and util (conditions and their reasons).
#pragma once

#include "actors/controllers/action.hpp"
#include "actors/controllers/deployment/deployment_facts.hpp"

#include <optional>
#include <string>
#include <vector>

namespace troupe::ctl::deploy {

/// What this look did that the Progressing condition tells of.
enum class step : std::uint8_t { none, created, found };

struct status_input {
  const item& deployment;
  const facts& f;
  const replica_set* fresh = nullptr;
  const std::vector<replica_set>& old;
  step did = step::none;
  std::string fresh_name;
  std::optional<std::int64_t> collisions;
  bool track_progress = true; // not while paused or scaling
  std::optional<std::string> create_error;
  sys_micros now;
};

/// Adds the status write when something changed and the wake-up of the deadline.
void write_status(const status_input& in, outcome& out);
/// Everything updated, nothing old left, all available, and the spec seen.
bool complete(const facts& f, const replica_set* fresh, const std::vector<replica_set>& old);

} // namespace troupe::ctl::deploy

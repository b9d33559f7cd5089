// api_load: clients of the API: ConfigMaps that come, change and go, and Deployments that are scaled, so that
//           controllers, scheduler and kubelets have work.
// Owner:  one run.
// Units:  virtual time.
// Errors: refusals are part of the game; what is acknowledged is recorded.
// Source: ours.
#pragma once

#include "tests/sim/cluster.hpp"

#include <map>
#include <string>
#include <vector>

namespace troupe::sim {

struct api_load_options {
  unsigned clients = 2, deployments = 2, replicas_max = 4;
  instant think{std::chrono::seconds(5)}, scale_every{std::chrono::seconds(40)};
  instant patience{std::chrono::seconds(30)};
};

class api_load {
public:
  api_load(cluster& c, api_load_options o);
  void start();
  void stop() { stopped_ = true; }
  bool idle() const { return open_ == 0; }
  /// Every Deployment that is known to exist has as many running pods as it was last told, and nothing else runs.
  /// What is missing, in words; empty: nothing.
  std::string missing(const store::view& v) const;

private:
  void config_map_step(std::uint64_t client);
  void scale_step(unsigned deployment);
  void send(const request_ptr& r, std::function<void(int code, const response*)> then);
  void acked(member_id at, const std::string& table, const response& r);
  component_env admin() const;

  cluster& cluster_;
  api_load_options options_;
  chance random_;
  std::map<std::uint64_t, std::uint64_t> names_; // by client: of its ConfigMaps
  std::vector<int> made_;                        // by Deployment: exists for certain
  std::uint64_t open_ = 0;
  bool stopped_ = false;
};

} // namespace troupe::sim

// env_planner: the environment and the argument vector of a container, before the image adds its own.
// Owner:  nobody; pure: reads the cluster only through `cluster_reader`.
// Units:  -
// Errors: 400 with the sentence that becomes CreateContainerConfigError.
// Source: Kubernetes kubelet makeEnvironmentVariables, third_party expansion, envvars.FromServices.
#pragma once

#include "actors/kubelet/spec/downward.hpp"

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace troupe::kubelet {

/// Reads objects of the cluster as they are now.
struct cluster_reader {
  /// Null when absent.
  std::function<std::shared_ptr<const json::value>(std::string_view table, std::string_view ns, std::string_view name)>
      get;
  std::function<void(std::string_view table, std::string_view ns, const std::function<void(const json::value&)>&)> list;
};

using env_list = std::vector<std::pair<std::string, std::string>>; // in order of first definition

/// Replaces $(NAME) by its value; $$ escapes; an unknown name stays as it is written.
std::string expand(std::string_view text, const std::function<const std::string*(std::string_view)>& value_of);
/// NAME_SERVICE_HOST and its relatives of one Service.
void add_service_env(const json::value& service, env_list& out);
/// Service variables, envFrom, env; later definitions win.
result<env_list> plan_env(const json::value& pod, const json::value& container, const pod_facts& facts,
                          const cluster_reader& cluster);

struct command_line {
  std::vector<std::string> command, args; // expanded; empty: not given
};
command_line plan_command(const json::value& container, const env_list& env);

/// argv by the rule of the API: command replaces entrypoint and cmd, args alone replace cmd.
std::vector<std::string> merge_command(const command_line& given, const std::vector<std::string>& entrypoint,
                                       const std::vector<std::string>& cmd);

} // namespace troupe::kubelet

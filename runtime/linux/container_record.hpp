// container_record: what is kept on disk of a container and a sandbox, so that a later process can adopt them.
// Owner:  linux_engine; plain values.
// Units:  times in nanoseconds since the epoch; process start times in clock ticks since boot.
// Errors: decoding answers nothing for anything malformed; such leftovers are removed.
// Source: ours.
#pragma once

#include "runtime/engine.hpp"

#include <optional>
#include <string>
#include <vector>

namespace troupe::runtime::linux_host {

enum class record_phase { creating, created, started };

struct container_record {
  std::string id, sandbox_id, name, image, log_path, cgroup, boot;
  int attempt = 0;
  bool terminal = false;
  record_phase phase = record_phase::creating;
  int pid = 0, conmon_pid = 0;
  std::uint64_t pid_started = 0, conmon_started = 0; // 0: gone
  std::int64_t created_ns = 0, started_ns = 0;
  std::map<std::string, std::string> labels;
};

struct sandbox_record {
  sandbox_info info;
  std::string hostname, boot;
  bool host_network = false, host_ipc = false, host_pid = false;
};

std::string encode(const container_record& r);
std::string encode(const sandbox_record& r);
std::optional<container_record> decode_container(std::string_view bytes);
std::optional<sandbox_record> decode_sandbox(std::string_view bytes);

} // namespace troupe::runtime::linux_host

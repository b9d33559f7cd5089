#include "actors/kubelet/node/host_backend.hpp"

#include "api/meta/quantity.hpp"

#include <fstream>
#include <sstream>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <thread>

namespace troupe::kubelet {

namespace {

std::string first_line(const char* path) {
  std::ifstream in{path};
  std::string line;
  std::getline(in, line);
  return line;
}

void read_memory(host_reading& h) {
  std::ifstream in{"/proc/meminfo"};
  for (std::string line; std::getline(in, line);) {
    std::istringstream words{line};
    std::string key;
    std::int64_t kib = 0;
    words >> key >> kib;
    if (key == "MemTotal:") h.memory_bytes = kib * 1024;
    if (key == "MemAvailable:") h.memory_available_bytes = kib * 1024;
  }
}

void read_disk(const std::string& dir, host_reading& h) {
  struct statvfs v {};
  if (::statvfs(dir.c_str(), &v) != 0 && ::statvfs("/", &v) != 0) return;
  auto unit = static_cast<std::int64_t>(v.f_frsize);
  h.disk_bytes = static_cast<std::int64_t>(v.f_blocks) * unit;
  h.disk_available_bytes = static_cast<std::int64_t>(v.f_bavail) * unit;
  h.inodes = static_cast<std::int64_t>(v.f_files);
  h.inodes_free = static_cast<std::int64_t>(v.f_ffree);
}

void read_pids(host_reading& h) {
  std::ifstream{"/proc/sys/kernel/pid_max"} >> h.pids_max;
  // The fourth word of loadavg is running/existing.
  std::string word;
  std::ifstream load{"/proc/loadavg"};
  for (int i = 0; i < 4; ++i)
    load >> word;
  if (auto slash = word.find('/'); slash != std::string::npos)
    h.pids_used = std::strtoll(word.c_str() + slash + 1, nullptr, 10);
}

std::string pretty_name() {
  std::ifstream in{"/etc/os-release"};
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("PRETTY_NAME=")) {
      auto name = line.substr(12);
      if (name.size() >= 2 && name.front() == '"') name = name.substr(1, name.size() - 2);
      return name;
    }
  return "Linux";
}

std::string go_architecture(std::string_view machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return std::string{machine};
}

} // namespace

host_reading read_host(const std::string& data_dir) {
  host_reading h;
  h.cpus = std::max(1u, std::thread::hardware_concurrency());
  read_memory(h);
  read_disk(data_dir, h);
  read_pids(h);
  utsname u{};
  ::uname(&u);
  h.kernel = u.release;
  h.architecture = go_architecture(u.machine);
  h.os_image = pretty_name();
  h.machine_id = first_line("/etc/machine-id");
  h.boot_id = first_line("/proc/sys/kernel/random/boot_id");
  h.system_uuid = first_line("/sys/class/dmi/id/product_uuid");
  if (h.system_uuid.empty()) h.system_uuid = h.machine_id;
  return h;
}

host_reading hollow_host(const kubelet_options& o) {
  host_reading h;
  json::value cpu(o.hollow_cpu), memory(o.hollow_memory);
  h.cpus = quantity::parse_or_zero(&cpu).units();
  h.memory_bytes = h.memory_available_bytes = quantity::parse_or_zero(&memory).units();
  h.disk_bytes = h.disk_available_bytes = std::int64_t{100} << 30;
  h.inodes = h.inodes_free = 1 << 20;
  h.pids_max = 1 << 20;
  h.kernel = "hollow";
  h.os_image = "hollow node";
  h.architecture = "amd64";
  h.machine_id = h.boot_id = h.system_uuid = o.node_name;
  h.runtime = "hollow 1";
  return h;
}

} // namespace troupe::kubelet

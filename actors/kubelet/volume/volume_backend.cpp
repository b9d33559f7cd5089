#include "actors/kubelet/volume/volume_backend.hpp"

#include "actors/kubelet/volume/tmpfs_backend.hpp"

#include <cerrno>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace troupe::kubelet {

namespace fs = std::filesystem;

namespace {

result<void> set_group(const std::string& dir, std::optional<std::int64_t> group) {
  if (!group) return {};
  if (::chown(dir.c_str(), static_cast<uid_t>(-1), static_cast<gid_t>(*group)) != 0)
    return system_error("change the group of", dir, errno);
  if (::chmod(dir.c_str(), 02777) != 0) return system_error("set the mode of", dir, errno);
  return {};
}

result<volume_place> make_empty_dir(const std::string& pod_dir, const volume_plan& p,
                                    std::optional<std::int64_t> group) {
  auto dir = pod_dir + "/volumes/" + p.name;
  if (auto r = make_dirs(dir, 0777); !r) return r.error();
  if (p.memory)
    if (auto r = mount_tmpfs(dir, p.bytes_max, 0777); !r) return r.error();
  if (auto r = set_group(dir, group); !r) return r.error();
  return volume_place{dir};
}

struct path_type {
  std::string_view name;
  mode_t bits;
  std::string_view word;
};
constexpr path_type path_types[] = {{"Directory", S_IFDIR, "directory"},
                                    {"File", S_IFREG, "file"},
                                    {"Socket", S_IFSOCK, "socket"},
                                    {"CharDevice", S_IFCHR, "character device"},
                                    {"BlockDevice", S_IFBLK, "block device"}};

result<volume_place> find_host_path(const volume_plan& p) {
  if (!p.host_path.starts_with("/") || p.host_path.find("/../") != std::string::npos)
    return errors::bad_request("hostPath " + p.host_path + " must be an absolute path without ..");
  struct stat st {};
  bool there = ::stat(p.host_path.c_str(), &st) == 0;
  if (p.host_path_type == "DirectoryOrCreate" || (p.host_path_type.empty() && !there)) {
    if (auto r = make_dirs(p.host_path, 0755); !r) return r.error();
    return volume_place{p.host_path};
  }
  if (p.host_path_type == "FileOrCreate") {
    int fd = ::open(p.host_path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
    if (fd < 0) return system_error("create", p.host_path, errno);
    ::close(fd);
    return volume_place{p.host_path};
  }
  for (const auto& t : path_types)
    if (t.name == p.host_path_type && (!there || (st.st_mode & S_IFMT) != t.bits))
      return errors::bad_request("hostPath type check failed: " + p.host_path + " is not a " + std::string{t.word});
  return volume_place{p.host_path};
}

/// The tmpfs of the pod; a plain directory where mounting is not allowed would put secrets on disk, so that is an
/// error.
result<std::string> memory_dir(const std::string& pod_dir) {
  auto dir = pod_dir + "/mem";
  if (auto r = make_dirs(dir, 0755); !r) return r.error();
  if (auto r = mount_tmpfs(dir, 0, 0755); !r) return r.error();
  return dir;
}

result<volume_place> make_payload(const std::string& pod_dir, const volume_plan& p, std::optional<std::int64_t> group) {
  auto memory = memory_dir(pod_dir);
  if (!memory) return memory.error();
  auto dir = *memory + "/" + p.name;
  if (auto r = make_dirs(dir, 0755); !r) return r.error();
  auto r = write_atomically(dir, p.files, group);
  if (!r) return r.error();
  return volume_place{dir, true};
}

result<volume_place> make_one(const std::string& pod_dir, const volume_plan& p, std::optional<std::int64_t> group) {
  switch (p.kind) {
  case volume_kind::empty_dir: return make_empty_dir(pod_dir, p, group);
  case volume_kind::host_path: return find_host_path(p);
  case volume_kind::payload: return make_payload(pod_dir, p, group);
  case volume_kind::unsupported: break;
  }
  return errors::bad_request(p.why);
}

status named(const std::string& volume, const status& why) {
  auto s = why;
  s.message = "MountVolume.SetUp failed for volume \"" + volume + "\" : " + why.message;
  return s;
}

} // namespace

result<volume_places> make_volumes(const std::string& pod_dir, const json::value& pod, const pod_facts& facts,
                                   const cluster_reader& cluster, const token_map& tokens) {
  volume_places out;
  if (auto r = make_dirs(pod_dir, 0750); !r) return r.error();
  auto group = jq::maybe_num(pod, {"spec", "securityContext", "fsGroup"});
  for (const auto& v : jq::arr(pod, {"spec", "volumes"})) {
    std::string name{jq::str(v, {"name"})};
    auto plan = plan_volume(pod, v, facts, cluster, tokens);
    if (!plan) return named(name, plan.error());
    auto place = make_one(pod_dir, *plan, group);
    if (!place) return named(name, place.error());
    out[name] = std::move(*place);
  }
  return out;
}

namespace {
/// `root`/`sub` without leaving `root` through a link someone planted: each step is opened without following links.
result<std::string> open_sub_path(const std::string& root, const std::string& sub) {
  std::error_code ec;
  auto full = fs::weakly_canonical(fs::path{root} / sub, ec);
  auto base = fs::weakly_canonical(root, ec);
  auto inside = fs::relative(full, base, ec).string();
  // Version directories of payload volumes begin with two dots, too.
  if (ec || inside == ".." || inside.starts_with("../")) return errors::bad_request("subPath " + sub + " leads out of its volume");
  if (!fs::exists(full, ec))
    if (auto r = make_dirs(full.string(), 0750); !r) return r.error();
  return full.string();
}
} // namespace

result<std::vector<runtime::mount_spec>> place_mounts(const std::vector<mount_plan>& mounts,
                                                      const volume_places& places) {
  std::vector<runtime::mount_spec> out;
  for (const auto& m : mounts) {
    auto it = places.find(m.volume);
    if (it == places.end()) return errors::bad_request("volume \"" + m.volume + "\" is not mounted");
    runtime::mount_spec s;
    s.source = it->second.path;
    if (!m.sub_path.empty()) {
      auto sub = open_sub_path(it->second.path, m.sub_path);
      if (!sub) return sub.error();
      s.source = std::move(*sub);
    }
    s.destination = m.mount_path;
    s.read_only = m.read_only || it->second.read_only;
    s.propagation = m.propagation;
    out.push_back(std::move(s));
  }
  return out;
}

result<void> remove_pod_dir(const std::string& pod_dir) {
  std::error_code ec;
  if (!fs::exists(pod_dir, ec)) return {};
  if (auto r = unmount_below(pod_dir); !r) return r;
  fs::remove_all(pod_dir, ec);
  if (ec) return system_error("remove", pod_dir, ec.value());
  return {};
}

} // namespace troupe::kubelet

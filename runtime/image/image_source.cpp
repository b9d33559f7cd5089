// image_source: an archive or directory from outside → the images in it, with verified configs and located layers.
#include "runtime/image/image_source.hpp"

#include "runtime/image/digest.hpp"
#include "runtime/limits.hpp"
#include "runtime/linux/files.hpp"

#include <sys/utsname.h>

#include <algorithm>

namespace troupe::runtime::image {

using linux_host::exists;
using linux_host::read_file;

namespace {

status bad(const std::string& why) { return errors::bad_request("image: " + why); }

result<json::value> parse(const std::string& bytes, const std::string& what) {
  json::error_code ec;
  json::parse_options options;
  options.max_depth = 32;
  auto v = json::parse(bytes, ec, {}, options);
  if (ec) return bad(what + " is no JSON: " + ec.message());
  return v;
}

std::string text(const json::value& v, std::string_view key) { return std::string(jq::str(v, {key})); }

std::vector<std::string> texts(const json::value& v, std::initializer_list<std::string_view> path) {
  std::vector<std::string> out;
  for (const auto& e : jq::arr(v, path))
    if (e.is_string()) out.emplace_back(jq::view(e.as_string()));
  return out;
}

/// A blob by digest, `dir` being the directory that holds blobs by their digits.
result<std::string> blob_path(const std::string& dir, const std::string& digest) {
  const auto hex = hex_of(digest);
  if (hex.empty()) return bad("\"" + digest.substr(0, 80) + "\" is no sha256 digest");
  return dir + "/" + std::string(hex);
}

result<std::string> read_blob(const std::string& dir, const std::string& digest) {
  auto path = blob_path(dir, digest);
  if (!path) return path;
  auto bytes = read_file(*path, limits::image_json_bytes_max);
  if (!bytes) return bad("blob " + digest + " is missing, unreadable or larger than 8 MiB");
  if (digest_of(*bytes) != digest) return bad("blob " + digest + " does not match its digest");
  return *bytes;
}

/// Config bytes → id, config and expected layers (without files).
result<found_image> read_config(const std::string& bytes) {
  auto v = parse(bytes, "the config");
  if (!v) return v.error();
  found_image out;
  out.id = digest_of(bytes);
  out.config.entrypoint = texts(*v, {"config", "Entrypoint"});
  out.config.cmd = texts(*v, {"config", "Cmd"});
  out.config.env = texts(*v, {"config", "Env"});
  out.config.working_dir = std::string(jq::str(*v, {"config", "WorkingDir"}));
  out.config.user = std::string(jq::str(*v, {"config", "User"}));
  out.config.stop_signal = std::string(jq::str(*v, {"config", "StopSignal"}));
  if (const auto os = text(*v, "os"); !os.empty() && os != "linux") return bad("it is for " + os + ", not for linux");
  if (const auto arch = text(*v, "architecture"); !arch.empty() && arch != host_architecture())
    return bad("it is for " + arch + ", not for " + host_architecture());
  for (const auto& id : texts(*v, {"rootfs", "diff_ids"})) {
    if (hex_of(id).empty()) return bad("\"" + id.substr(0, 80) + "\" is no sha256 digest of a layer");
    out.layers.push_back({"", "", id});
  }
  if (out.layers.empty()) return bad("its config lists no layers");
  if (out.layers.size() > limits::image_layers_max)
    return bad("it has more than " + std::to_string(limits::image_layers_max) + " layers");
  return out;
}

bool is_index(const json::value& descriptor) {
  const auto type = text(descriptor, "mediaType");
  return type == "application/vnd.oci.image.index.v1+json" ||
         type == "application/vnd.docker.distribution.manifest.list.v2+json";
}

bool platform_fits(const json::value& descriptor, const std::string& architecture) {
  const auto os = std::string(jq::str(descriptor, {"platform", "os"}));
  const auto arch = std::string(jq::str(descriptor, {"platform", "architecture"}));
  return (os.empty() || os == "linux") && (arch.empty() || arch == architecture);
}

/// Names a descriptor carries: containerd's full name, or an annotation that is more than a bare tag.
void add_names(const json::value& descriptor, std::vector<std::string>& out) {
  for (const auto* key : {"io.containerd.image.name", "org.opencontainers.image.ref.name"}) {
    const auto name = std::string(jq::str(descriptor, {"annotations", key}));
    if (name.find_first_of("/:") == std::string::npos) continue;
    if (auto full = normalise_reference(name); full && std::find(out.begin(), out.end(), *full) == out.end())
      out.push_back(*full);
  }
}

result<found_image> read_manifest(const std::string& dir, const std::string& bytes) {
  auto manifest = parse(bytes, "the manifest");
  if (!manifest) return manifest.error();
  auto config = read_blob(dir, std::string(jq::str(*manifest, {"config", "digest"})));
  if (!config) return config.error();
  auto image = read_config(*config);
  if (!image) return image;
  const auto& layers = jq::arr(*manifest, {"layers"});
  if (layers.size() != image->layers.size()) return bad("manifest and config disagree about the number of layers");
  for (std::size_t i = 0; i < layers.size(); ++i) {
    image->layers[i].digest = text(layers[i], "digest");
    auto path = blob_path(dir, image->layers[i].digest);
    if (!path) return path.error();
    image->layers[i].file = *path;
  }
  image->digests.push_back(digest_of(bytes));
  return image;
}

struct index_walk {
  std::string dir, architecture;
  std::vector<found_image> found;
  bool other_platform = false;

  result<void> walk(const json::value& index, std::vector<std::string> names, int depth) {
    if (depth > limits::index_depth_max) return bad("its indexes are nested too deeply");
    for (const auto& d : jq::arr(index, {"manifests"})) {
      auto own = names;
      add_names(d, own);
      if (!platform_fits(d, architecture)) {
        other_platform = true;
        continue;
      }
      if (auto r = descend(d, own, depth); !r) return r;
    }
    return {};
  }

  result<void> descend(const json::value& d, const std::vector<std::string>& names, int depth) {
    const auto digest = text(d, "digest");
    if (is_index(d)) {
      auto bytes = read_blob(dir, digest);
      if (!bytes) return bytes.error();
      auto inner = parse(*bytes, "an index");
      if (!inner) return inner.error();
      const auto before = found.size();
      auto r = walk(*inner, names, depth + 1);
      for (auto i = before; i < found.size(); ++i)
        found[i].digests.push_back(digest);
      return r;
    }
    auto bytes = read_blob(dir, digest);
    if (!bytes) return bytes.error();
    auto image = read_manifest(dir, *bytes);
    if (!image) return image.error();
    image->references = names;
    found.push_back(std::move(*image));
    return {};
  }
};

result<std::vector<found_image>> read_layout(const std::string& dir, const std::string& architecture) {
  const auto bytes = read_file(dir + "/index.json", limits::image_json_bytes_max);
  if (!bytes) return bad("index.json cannot be read");
  auto index = parse(*bytes, "index.json");
  if (!index) return index.error();
  index_walk walk{dir + "/blobs/sha256", architecture, {}};
  if (auto r = walk.walk(*index, {}, 0); !r) return r.error();
  if (walk.found.empty())
    return bad(walk.other_platform ? "it has nothing for linux/" + architecture : "index.json lists no image");
  return std::move(walk.found);
}

/// A path that manifest.json of `docker save` names; it must stay in the directory.
result<std::string> docker_path(const std::string& dir, const std::string& name) {
  if (name.empty() || name[0] == '/' || ("/" + name + "/").find("/../") != std::string::npos)
    return bad("path \"" + name + "\" leaves the archive");
  return dir + "/" + name;
}

result<std::vector<found_image>> read_docker(const std::string& dir) {
  const auto bytes = read_file(dir + "/manifest.json", limits::image_json_bytes_max);
  if (!bytes) return bad("manifest.json cannot be read");
  auto manifest = parse(*bytes, "manifest.json");
  if (!manifest) return manifest.error();
  std::vector<found_image> out;
  for (const auto& m : jq::arr(*manifest, {})) {
    auto path = docker_path(dir, text(m, "Config"));
    if (!path) return path.error();
    const auto config = read_file(*path, limits::image_json_bytes_max);
    if (!config) return bad("config " + text(m, "Config") + " is missing, unreadable or larger than 8 MiB");
    auto image = read_config(*config);
    if (!image) return image.error();
    // The config's name is its digest: 64 digits, with .json or below blobs/sha256.
    auto stem = text(m, "Config");
    stem = stem.substr(stem.rfind('/') + 1);
    stem = stem.substr(0, stem.find('.'));
    if (!hex_of("sha256:" + stem).empty() && "sha256:" + stem != image->id)
      return bad("config " + text(m, "Config") + " does not match its digest");
    const auto layers = texts(m, {"Layers"});
    if (layers.size() != image->layers.size()) return bad("manifest and config disagree about the number of layers");
    for (std::size_t i = 0; i < layers.size(); ++i) {
      auto file = docker_path(dir, layers[i]);
      if (!file) return file.error();
      image->layers[i].file = *file;
    }
    for (const auto& tag : texts(m, {"RepoTags"}))
      if (auto full = normalise_reference(tag)) image->references.push_back(*full);
    out.push_back(std::move(*image));
  }
  if (out.empty()) return bad("manifest.json lists no image");
  return out;
}

} // namespace

result<found_image> read_copied(const std::string& dir) {
  const auto bytes = read_file(dir + "/manifest.json", limits::image_json_bytes_max);
  if (!bytes) return bad("manifest.json cannot be read");
  return read_manifest(dir, *bytes);
}

std::string host_architecture() {
  utsname u{};
  ::uname(&u);
  const std::string m = u.machine;
  return m == "x86_64" ? "amd64" : m == "aarch64" ? "arm64" : m == "armv7l" ? "arm" : m;
}

result<std::vector<found_image>> read_images(const std::string& dir, const std::string& architecture) {
  const bool layout = exists(dir + "/index.json"), docker = exists(dir + "/manifest.json");
  if (!layout && !docker) return bad("neither index.json (OCI layout) nor manifest.json (docker save) is in it");
  if (!layout) return read_docker(dir);
  auto images = read_layout(dir, architecture);
  if (!images || !docker) return images;
  // Newer `docker save` writes both; the full names stand in manifest.json.
  if (auto named = read_docker(dir); named)
    for (auto& image : *images)
      for (const auto& n : *named)
        if (n.id == image.id)
          for (const auto& reference : n.references)
            if (std::find(image.references.begin(), image.references.end(), reference) == image.references.end())
              image.references.push_back(reference);
  return images;
}

} // namespace troupe::runtime::image

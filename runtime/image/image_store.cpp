// image_store: images of one node on disk: layers unpacked once per content, names that point at configs.
//
// Below `root`: images/HEX.json (one per config), layers/HEX/{diff,size} (one per diff id), l/SHORT (links to the
// diffs, short enough for the mount options of 127 layers), tmp (work in progress). Order of a change: unpack in tmp,
// sync, rename the layers into place, then write the image's file and sync that. A crash leaves tmp directories and
// layers without an image; both are cleared when the store is opened. A tmp directory is locked by whoever works in
// it, so that a second process clears only what is dead.
#include "runtime/engine.hpp"
#include "runtime/image/digest.hpp"
#include "runtime/image/image_record.hpp"
#include "runtime/image/image_source.hpp"
#include "runtime/image/layer_unpacker.hpp"
#include "runtime/linux/files.hpp"
#include "runtime/linux/skopeo.hpp"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <mutex>
#include <set>

namespace troupe::runtime {
namespace {

using namespace linux_host;
using image::hex_of;

status make_status(int code, const char* reason, std::string message) {
  status s;
  s.code = code;
  s.reason = reason;
  s.message = std::move(message);
  return s;
}

std::string short_link(std::string_view diff_id) { return "l/" + std::string(hex_of(diff_id).substr(0, 24)); }

/// A directory below tmp that is locked while in use and removed at the end.
class work_directory {
public:
  static result<work_directory> make(const std::string& root) {
    while (true) {
      std::string path = root + "/tmp/XXXXXX";
      if (!::mkdtemp(path.data())) return system_error("make a directory below " + root + "/tmp", errno);
      unique_fd lock(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      struct stat st {};
      // A process that opens the store may have taken it for a leftover before it was locked.
      if (lock && ::flock(lock.get(), LOCK_EX | LOCK_NB) == 0 && ::fstat(lock.get(), &st) == 0 && st.st_nlink > 0)
        return work_directory(std::move(path), std::move(lock));
    }
  }
  work_directory(work_directory&& o) noexcept : path_(std::exchange(o.path_, {})), lock_(std::move(o.lock_)) {}
  work_directory& operator=(work_directory&&) = delete;
  ~work_directory() {
    if (!path_.empty()) (void)remove_tree(path_);
  }
  const std::string& path() const { return path_; }

private:
  work_directory(std::string path, unique_fd lock) : path_(std::move(path)), lock_(std::move(lock)) {}
  std::string path_;
  unique_fd lock_;
};

class disk_image_store final : public image_store {
public:
  explicit disk_image_store(std::string root);

  result<std::vector<image_info>> import(const std::string& file, const std::string& reference) override;
  result<image_info> pull(const std::string& reference, const std::string& auth_json) override;
  std::optional<image_info> find(const std::string& reference) override;
  std::vector<image_info> list() override;
  result<void> remove(const std::string& reference) override;
  result<std::vector<std::string>> layer_paths(const std::string& image_id) override;

private:
  /// Serialises changes, between threads and between processes.
  struct change {
    std::unique_lock<std::mutex> threads;
    unique_fd file;
  };
  result<change> begin_change();
  void clean_up();
  void reload_if_changed();
  void reload();
  std::optional<image_info> match(const std::string& reference) const; // lock_ held
  std::string layer_dir(std::string_view diff_id) const { return root_ + "/layers/" + std::string(hex_of(diff_id)); }
  std::string image_file(std::string_view id) const { return root_ + "/images/" + std::string(hex_of(id)) + ".json"; }

  result<std::vector<image_info>> add(std::vector<image::found_image> found, const std::string& reference,
                                      const work_directory& work);
  result<void> add_layers(const image::found_image& found, const work_directory& work);
  result<image_info> record(const image::found_image& found, const std::vector<std::string>& names);
  result<void> drop_image(const image_info& image);
  void collect_layers();
  std::string user_of(const image_info& image) const;

  std::string root_;
  status broken_;
  std::mutex change_;
  std::mutex lock_;
  std::map<std::string, image_info> images_; // by id
  timespec seen_{};                          // modification time of images/ at the last reload
};

disk_image_store::disk_image_store(std::string root) : root_(std::move(root)) {
  broken_.code = 0;
  for (const auto* dir : {"", "/images", "/layers", "/l", "/tmp"})
    if (auto r = make_directories(root_ + dir); !r && broken_.code == 0) broken_ = r.error();
  if (broken_.code == 0) clean_up();
  std::lock_guard guard(lock_);
  reload();
}

result<disk_image_store::change> disk_image_store::begin_change() {
  if (broken_.code != 0) return broken_;
  change out{std::unique_lock(change_),
             unique_fd(::open((root_ + "/images.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600))};
  if (!out.file) return system_error("open " + root_ + "/images.lock", errno);
  while (::flock(out.file.get(), LOCK_EX) != 0)
    if (errno != EINTR) return system_error("lock " + root_ + "/images.lock", errno);
  std::lock_guard guard(lock_);
  reload();
  return out;
}

/// Removes what a crash left. While another process changes the store nothing is touched: that one is alive.
void disk_image_store::clean_up() {
  unique_fd file(::open((root_ + "/images.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
  if (!file || ::flock(file.get(), LOCK_EX | LOCK_NB) != 0) return;
  for (const auto& name : list_directory(root_ + "/tmp")) {
    const auto path = root_ + "/tmp/" + name;
    unique_fd dir(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!dir || ::flock(dir.get(), LOCK_EX | LOCK_NB) == 0) (void)remove_tree(path);
  }
  {
    std::lock_guard guard(lock_);
    reload();
  }
  collect_layers();
}

void disk_image_store::reload() {
  struct stat st {};
  if (::stat((root_ + "/images").c_str(), &st) == 0) seen_ = st.st_mtim;
  images_.clear();
  for (const auto& name : list_directory(root_ + "/images")) {
    if (!name.ends_with(".json")) continue;
    if (auto image = image::decode_image(read_file(root_ + "/images/" + name, 16 << 20).value_or("")))
      images_[image->id] = std::move(*image);
  }
}

void disk_image_store::reload_if_changed() {
  struct stat st {};
  if (::stat((root_ + "/images").c_str(), &st) == 0 &&
      (st.st_mtim.tv_sec != seen_.tv_sec || st.st_mtim.tv_nsec != seen_.tv_nsec))
    reload();
}

std::optional<image_info> disk_image_store::match(const std::string& reference) const {
  if (const auto it = images_.find(reference); it != images_.end()) return it->second;
  // Shortened ids, as `docker images` prints them.
  if (reference.size() >= 12 && reference.find_first_not_of("0123456789abcdef") == std::string::npos) {
    std::optional<image_info> found;
    int hits = 0;
    for (const auto& [id, image] : images_)
      if (id.compare(7, reference.size(), reference) == 0) found = image, ++hits;
    if (hits == 1) return found;
  }
  const auto name = normalise_reference(reference);
  if (!name) return std::nullopt;
  const auto at = name->find('@');
  for (const auto& [id, image] : images_) {
    const auto& wanted = at == std::string::npos ? image.references : image.digests;
    const auto text = at == std::string::npos ? *name : name->substr(at + 1);
    if (std::find(wanted.begin(), wanted.end(), text) != wanted.end()) return image;
  }
  return std::nullopt;
}

std::optional<image_info> disk_image_store::find(const std::string& reference) {
  std::lock_guard guard(lock_);
  reload_if_changed();
  return match(reference);
}

std::vector<image_info> disk_image_store::list() {
  std::lock_guard guard(lock_);
  reload_if_changed();
  std::vector<image_info> out;
  for (const auto& [id, image] : images_)
    out.push_back(image);
  return out;
}

result<std::vector<std::string>> disk_image_store::layer_paths(const std::string& image_id) {
  const auto image = find(image_id);
  if (!image) return make_status(404, "NotFound", "image \"" + image_id + "\" is not on this node");
  std::vector<std::string> out;
  for (auto it = image->layers.rbegin(); it != image->layers.rend(); ++it)
    out.push_back(short_link(*it));
  return out;
}

result<std::vector<image_info>> disk_image_store::import(const std::string& file, const std::string& reference) {
  if (broken_.code != 0) return broken_;
  auto work = work_directory::make(root_);
  if (!work) return work.error();
  struct stat st {};
  if (::stat(file.c_str(), &st) != 0) return system_error("read " + file, errno);
  auto dir = file;
  if (!S_ISDIR(st.st_mode)) {
    dir = work->path() + "/source";
    if (auto r = make_directories(dir); !r) return r.error();
    if (auto r = image::stage_archive(file, dir); !r) return r.error();
  }
  auto found = image::read_images(dir, image::host_architecture());
  if (!found) return found.error();
  return add(std::move(*found), reference, *work);
}

result<image_info> disk_image_store::pull(const std::string& reference, const std::string& auth_json) {
  if (broken_.code != 0) return broken_;
  std::string source, name;
  const auto colon = reference.find(':');
  const auto transport = reference.substr(0, colon);
  if (transport == "oci" || transport == "docker-archive" || transport == "oci-archive") {
    source = reference;
    // TRANSPORT:PATH:NAME gives the image its name; a path holds no colon in these transports.
    const auto second = reference.find(':', colon + 1);
    if (second != std::string::npos)
      if (auto full = normalise_reference(reference.substr(second + 1))) name = *full;
  } else {
    auto full = normalise_reference(reference.starts_with("docker://") ? reference.substr(9) : reference);
    if (!full) return full.error();
    name = *full;
    source = "docker://" + name;
  }
  auto work = work_directory::make(root_);
  if (!work) return work.error();
  const auto target = work->path() + "/copy";
  if (auto r = skopeo_copy(source, target, auth_json, work->path()); !r) return r.error();
  auto found = image::read_copied(target);
  if (!found) return found.error();
  std::vector<image::found_image> one;
  one.push_back(std::move(*found));
  auto added = add(std::move(one), name.find('@') == std::string::npos ? name : "", *work);
  if (!added) return added.error();
  return added->front();
}

result<std::vector<image_info>> disk_image_store::add(std::vector<image::found_image> found,
                                                      const std::string& reference, const work_directory& work) {
  if (!reference.empty()) {
    auto name = normalise_reference(reference);
    if (!name) return name.error();
    if (name->find('@') != std::string::npos) return errors::bad_request("a name for an image must not hold a digest");
    if (found.size() != 1)
      return errors::bad_request("the archive holds " + std::to_string(found.size()) +
                                 " images, so one name cannot stand for it");
    found[0].references = {*name};
  }
  auto held = begin_change();
  if (!held) return held.error();
  std::vector<image_info> out;
  for (const auto& f : found) {
    if (auto r = add_layers(f, work); !r) return r.error();
    auto recorded = record(f, f.references);
    if (!recorded) return recorded.error();
    out.push_back(std::move(*recorded));
  }
  return out;
}

result<void> disk_image_store::add_layers(const image::found_image& found, const work_directory& work) {
  std::vector<std::pair<std::string, std::string>> ready; // unpacked directory, diff id
  for (const auto& layer : found.layers) {
    const auto known = [&](const auto& r) { return r.second == layer.diff_id; };
    if (exists(layer_dir(layer.diff_id)) || std::any_of(ready.begin(), ready.end(), known)) continue;
    const auto dir = work.path() + "/" + std::string(hex_of(layer.diff_id));
    if (auto r = make_directories(dir); !r) return r;
    if (::mkdir((dir + "/diff").c_str(), 0755) != 0 || ::chmod((dir + "/diff").c_str(), 0755) != 0)
      return system_error("make directory " + dir + "/diff", errno);
    auto unpacked = image::unpack_layer(layer.file, dir + "/diff");
    if (!unpacked) return unpacked.error();
    if (unpacked->diff_id != layer.diff_id || (!layer.digest.empty() && unpacked->digest != layer.digest))
      return errors::bad_request("image layer " + layer.diff_id + " does not match its digest");
    if (auto r = write_atomic(dir + "/size", std::to_string(unpacked->bytes)); !r) return r;
    ready.emplace_back(dir, layer.diff_id);
  }
  if (!ready.empty()) {
    unique_fd fs(::open(root_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!fs || ::syncfs(fs.get()) != 0) return system_error("write the image layers to disk", errno);
  }
  for (const auto& [dir, diff_id] : ready)
    if (::rename(dir.c_str(), layer_dir(diff_id).c_str()) != 0)
      return system_error("put an image layer into place", errno);
  // Also for layers that were there: a crash may have come between the rename and the link.
  for (const auto& layer : found.layers) {
    const auto target = "../layers/" + std::string(hex_of(layer.diff_id)) + "/diff";
    const auto link = root_ + "/" + short_link(layer.diff_id);
    if (::symlink(target.c_str(), link.c_str()) != 0 && errno != EEXIST)
      return system_error("make the link " + link, errno);
  }
  return {};
}

result<image_info> disk_image_store::record(const image::found_image& found, const std::vector<std::string>& names) {
  std::lock_guard guard(lock_);
  image_info info;
  if (const auto it = images_.find(found.id); it != images_.end()) info = it->second;
  info.id = found.id;
  info.config = found.config;
  info.layers.clear();
  info.bytes = 0;
  for (const auto& layer : found.layers) {
    info.layers.push_back(layer.diff_id);
    info.bytes += std::strtoull(read_file(layer_dir(layer.diff_id) + "/size").value_or("0").c_str(), nullptr, 10);
  }
  const auto add_to = [](std::vector<std::string>& list, const std::string& s) {
    if (std::find(list.begin(), list.end(), s) == list.end()) list.push_back(s);
  };
  for (const auto& d : found.digests)
    add_to(info.digests, d);
  for (const auto& n : names)
    add_to(info.references, n);
  if (auto r = write_atomic(image_file(info.id), image::encode(info), true); !r) return r.error();
  images_[info.id] = info;
  // A name moves: only now, so that a crash leaves it at two images rather than at none. The newer file wins nothing
  // by itself, hence the older ones are rewritten.
  for (auto& [id, other] : images_) {
    const auto before = other.references.size();
    if (id != info.id)
      std::erase_if(other.references,
                    [&](const std::string& r) { return std::find(names.begin(), names.end(), r) != names.end(); });
    if (other.references.size() != before)
      if (auto r = write_atomic(image_file(id), image::encode(other), true); !r) return r.error();
  }
  return info;
}

/// The container that uses an image, by the records that the engine keeps below the same root.
std::string disk_image_store::user_of(const image_info& image) const {
  for (const auto& id : list_directory(root_ + "/containers")) {
    json::error_code ec;
    const auto v = json::parse(read_file(root_ + "/containers/" + id + "/state.json").value_or(""), ec);
    if (ec) continue;
    const auto used = match(std::string(jq::str(v, {"image"})));
    if (used && used->id == image.id) return id;
  }
  return {};
}

result<void> disk_image_store::drop_image(const image_info& image) {
  {
    std::lock_guard guard(lock_);
    if (const auto user = user_of(image); !user.empty())
      return make_status(409, "Conflict", "image " + image.id + " is used by container " + user);
    if (::unlink(image_file(image.id).c_str()) != 0 && errno != ENOENT)
      return system_error("remove " + image_file(image.id), errno);
    unique_fd dir(::open((root_ + "/images").c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    ::fsync(dir.get());
    images_.erase(image.id);
  }
  collect_layers();
  return {};
}

/// Removes layers that no image has. Called with the change lock held.
void disk_image_store::collect_layers() {
  std::set<std::string> used;
  {
    std::lock_guard guard(lock_);
    for (const auto& [id, image] : images_)
      for (const auto& l : image.layers)
        used.insert(std::string(hex_of(l)));
  }
  for (const auto& hex : list_directory(root_ + "/layers")) {
    if (used.contains(hex)) continue;
    ::unlink((root_ + "/" + short_link("sha256:" + hex)).c_str());
    // Out of the way at once; a crash while it is being emptied leaves it in tmp.
    const auto grave = root_ + "/tmp/" + hex;
    if (::rename((root_ + "/layers/" + hex).c_str(), grave.c_str()) == 0) (void)remove_tree(grave);
  }
}

result<void> disk_image_store::remove(const std::string& reference) {
  auto held = begin_change();
  if (!held) return held.error();
  std::optional<image_info> image;
  {
    std::lock_guard guard(lock_);
    image = match(reference);
  }
  if (!image) return make_status(404, "NotFound", "image \"" + reference + "\" is not on this node");
  const auto name = normalise_reference(reference);
  const auto it = name ? std::find(image->references.begin(), image->references.end(), *name) : image->references.end();
  if (it == image->references.end() || image->references.size() == 1) return drop_image(*image);
  image->references.erase(it);
  std::lock_guard guard(lock_);
  if (auto r = write_atomic(image_file(image->id), image::encode(*image), true); !r) return r;
  images_[image->id] = *image;
  return {};
}

} // namespace

std::shared_ptr<image_store> make_image_store(const std::string& root) {
  return std::make_shared<disk_image_store>(root);
}

} // namespace troupe::runtime

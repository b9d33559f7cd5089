// `troupe backup`: the state of a live cluster as one checked file.
#include "cli/client/https_client.hpp"
#include "cli/data_dir.hpp"
#include "cli/verb_options.hpp"
#include "store/rescue.hpp"
#include "store/snapshot_codec.hpp"

#include <boost/program_options.hpp>

#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <unistd.h>

namespace troupe::cli {

namespace po = boost::program_options;

namespace {

struct backup_options {
  std::string file, data_dir, node, kubeconfig;
};

std::optional<int> parse(const args& words, backup_options& o) {
  po::options_description desc("usage: troupe backup FILE [--data-dir DIR [--node NAME] | --kubeconfig F]\noptions");
  desc.add_options()("data-dir", po::value(&o.data_dir)->default_value(default_data_dir()), "where state is kept")(
      "node", po::value(&o.node), "ask this master of the data dir")("kubeconfig", po::value(&o.kubeconfig),
                                                                     "how to reach the cluster");
  std::vector<std::string> files;
  if (auto code = parse_words("backup", words, desc, &files)) return code;
  if (files.size() > 1) return complain("one file is expected; see troupe backup --help", 2);
  if (!files.empty()) o.file = files.front();
  if (o.file.empty()) return complain("name the file to write; see troupe backup --help", 2);
  o.data_dir = absolute_dir(o.data_dir);
  if (o.kubeconfig.empty()) o.kubeconfig = o.data_dir + (o.node.empty() ? "" : "/" + o.node) + "/admin.kubeconfig";
  return std::nullopt;
}

status cannot(const std::string& what, const std::string& path) {
  return errors::internal("cannot " + what + " " + path + ": " + std::strerror(errno));
}

/// FILE.partial until everything is there and checked; removed when it does not come to that.
class partial_file {
public:
  explicit partial_file(const std::string& target) : target_(target), path_(target + ".partial") {}
  ~partial_file() {
    if (fd_ < 0) return;
    ::close(fd_);
    ::unlink(path_.c_str());
  }
  const std::string& path() const { return path_; }
  result<void> make() {
    if (std::filesystem::exists(target_))
      return errors::bad_request(target_ + " exists already; a backup never overwrites one, choose another name");
    fd_ = ::open(path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    return fd_ < 0 ? result<void>{cannot("make", path_)} : result<void>{};
  }
  result<void> add(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::write(fd_, bytes.data(), bytes.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return cannot("write", path_);
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
  }
  result<void> sync() { return ::fsync(fd_) == 0 ? result<void>{} : result<void>{cannot("sync", path_)}; }
  result<void> name() {
    // A link, because a rename would replace what somebody made meanwhile.
    if (::link(path_.c_str(), target_.c_str()) != 0) return cannot("name", target_);
    const auto dir = std::filesystem::absolute(target_).parent_path().string();
    const int d = ::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool synced = d >= 0 && ::fsync(d) == 0;
    if (d >= 0) ::close(d);
    return synced ? result<void>{} : result<void>{cannot("sync", dir)};
  }

private:
  std::string target_, path_;
  int fd_ = -1;
};

/// The stream is checked while it comes, so that a damaged one ends early.
result<void> fetch(https_client& client, partial_file& out) {
  store::snapshot_reader reader([](std::string_view, const store::object_ptr&) { return result<void>{}; });
  result<void> went;
  std::string refusal;
  http_call call;
  call.target = "/troupe/v1/backup";
  auto code = client.stream(call, [&](std::string_view piece) {
    if (refusal.empty() && (reader.offset() > 0 || !piece.starts_with('{'))) {
      went = reader.take(piece);
      if (went) went = out.add(piece);
    } else {
      refusal += piece; // a Status instead of a snapshot
    }
    return bool(went);
  });
  if (!went) return went;
  if (!code) return code.error();
  if (*code != 200) return status(*code, "Refused", "the cluster gave no backup: " + explain({*code, {}, refusal}));
  return reader.end();
}

} // namespace

int verb_backup(const args& words) {
  backup_options o;
  if (auto settled = parse(words, o)) return *settled;
  auto config = load_kubeconfig(o.kubeconfig);
  if (!config) return complain(config.error().message);
  https_client client(std::move(*config));
  partial_file out(o.file);
  if (auto r = out.make(); !r) return complain(r.error().message);
  if (auto r = fetch(client, out); !r) return complain(r.error().message);
  if (auto r = out.sync(); !r) return complain(r.error().message);
  auto read_back = store::check_snapshot_file(out.path());
  if (!read_back) return complain("what was written does not read back: " + read_back.error().message);
  if (auto r = out.name(); !r) return complain(r.error().message);
  std::cout << o.file << ": " << read_back->objects << " objects of cluster " << read_back->cluster_id
            << " at revision " << read_back->mark.rev << ", " << read_back->bytes << " bytes, checked\n";
  return 0;
}

} // namespace troupe::cli

#include "store/rescue.hpp"

#include "store/rocks_meta.hpp"
#include "store/snapshot_codec.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

namespace troupe::store {

namespace {

constexpr std::size_t piece_bytes = 1 << 20;

status unreadable(const std::string& path, int error) {
  return errors::bad_request("cannot read " + path + ": " + std::strerror(error));
}

result<snapshot_file> read_file(const std::string& path, snapshot_reader& in) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return unreadable(path, errno);
  std::string piece(piece_bytes, '\0');
  result<void> r;
  for (;;) {
    const auto n = ::read(fd, piece.data(), piece.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) r = unreadable(path, errno);
    if (n <= 0) break;
    r = in.take(std::string_view(piece).substr(0, static_cast<std::size_t>(n)));
    if (!r) break;
  }
  ::close(fd);
  if (r) r = in.end();
  if (!r) return errors::bad_request(path + ": " + r.error().message);
  return snapshot_file{in.head()->cluster_id, in.head()->mark, in.objects(), in.offset()};
}

std::shared_ptr<const snapshot_image> image_of(const snapshot_head& head, state_machine& state) {
  auto out = std::make_shared<snapshot_image>();
  snapshot_writer w(head, state.snapshot());
  std::uint64_t at = 0;
  for (bool last = false; !last;) {
    auto p = w.at(at, piece_bytes);
    at += p.bytes->size();
    last = p.last;
    out->push_back(std::move(p.bytes));
  }
  return out;
}

/// Replaces everything by `state`, led by this member alone in a term that nobody has seen.
result<void> become_alone(rocks_backend& disk, member_id self, state_machine& state, rescue_report& report) {
  snapshot_head head;
  head.cluster_id = disk.cluster_id();
  head.mark.at = report.at;
  head.mark.rev = report.rev_after;
  head.mark.config.voters = {self};
  state.set_revision(report.rev_after);
  state.load(rescue_table, rescue_mark(report.rev_after));
  write_group g;
  g.hard = hard_state{report.term, {}, report.at.index};
  g.install = image_of(head, state);
  g.applied = head.mark;
  return disk.write(g);
}

} // namespace

result<snapshot_file> check_snapshot_file(const std::string& path) {
  snapshot_reader in([](std::string_view, const object_ptr&) { return result<void>{}; });
  return read_file(path, in);
}

result<snapshot_file> load_snapshot_file(const std::string& path, std::unique_ptr<state_machine>& state) {
  snapshot_reader in;
  auto out = read_file(path, in);
  if (out) state = in.finish();
  return out;
}

result<rescue_report> restore_store(const std::string& path, const backend_options& options,
                                    std::chrono::system_clock::time_point now) {
  if (holds_store(options.dir)) {
    status e(409, "Conflict", options.dir + " holds a store already; move it away first, nothing is ever overwritten");
    return e;
  }
  std::unique_ptr<state_machine> state;
  auto file = load_snapshot_file(path, state);
  if (!file) return file.error();
  rescue_report out;
  out.objects = file->objects;
  out.was = file->mark.config;
  out.at = file->mark.at;
  if (out.at.index.v < 1) out.at.index.v = 1; // the founding configuration
  out.term = out.at.term.next();
  out.rev_before = file->mark.rev;
  out.rev_after = revision_after_rescue(file->mark.rev, now);
  auto first = options;
  first.first = {};
  first.first.voters = {options.member};
  auto disk = rocks_backend::open(first);
  if (!disk) return disk.error();
  if (auto r = become_alone(**disk, options.member, *state, out); !r) return r.error();
  if (auto r = (*disk)->close(); !r) return r.error();
  return out;
}

result<rescue_report> recover_alone(const backend_options& options, std::chrono::system_clock::time_point now) {
  if (!holds_store(options.dir))
    return errors::bad_request(options.dir + " holds no store, so there is nothing to recover");
  const auto unfit = [](status why) {
    if (is_damage(why)) why.message += ". Recover from another survivor, or make a new cluster with troupe restore";
    return why;
  };
  auto untouched = options;
  untouched.never_set_aside = true;
  auto disk = rocks_backend::open(untouched);
  if (!disk) return unfit(disk.error());
  state_machine state;
  auto found = (*disk)->recover(state);
  if (!found) return unfit(found.error());
  if (!found->damage.empty()) return unfit(damaged(options.dir, found->damage));
  rescue_report out;
  out.was = found->applied.config;
  out.rev_before = found->applied.rev;
  out.at = found->applied.at;
  std::vector<change_record> changes;
  for (const auto& e : found->log) {
    if (e.index <= found->applied.at.index) continue;
    state.apply(e, changes);
    changes.clear();
    out.replayed += e.index > found->hard.commit;
    out.at = {e.index, e.term};
  }
  out.term = std::max(found->hard.term, out.at.term).next();
  out.rev_after = revision_after_rescue(state.rev(), now);
  const auto view = state.snapshot();
  for (const auto& t : view->roots())
    out.objects += t.objects.size();
  if (auto r = become_alone(**disk, options.member, state, out); !r) return r.error();
  if (auto r = (*disk)->close(); !r) return r.error();
  return out;
}

} // namespace troupe::store

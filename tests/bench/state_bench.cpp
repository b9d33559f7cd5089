// state_bench: one member's store with many objects, without actors: restart, memory, snapshot and hash.
// usage: state_bench DIR [KEYS [BYTES]]   DIR is made when missing, filled once, and then only read back.
#include "store/rocks_backend.hpp"
#include "store/snapshot_codec.hpp"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <malloc.h>
#include <random>
#include <time.h>

using namespace troupe;
using namespace troupe::store;

namespace {

double seconds_since(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - t).count();
}

/// Of all threads: what the same work costs on a machine that does other things too.
double cpu_seconds() {
  timespec t{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

double resident_mib() {
  std::ifstream in("/proc/self/statm");
  std::size_t total = 0, resident = 0;
  in >> total >> resident;
  return static_cast<double>(resident) * 4096 / (1 << 20);
}

[[noreturn]] void stop(const status& s) {
  std::fprintf(stderr, "state_bench: %s\n", s.message.c_str());
  std::exit(1);
}

std::unique_ptr<rocks_backend> open(const std::string& dir) {
  auto r = rocks_backend::open({dir, "bench", member_id{1}, {{member_id{1}}, {}, {}, {}, false}, 0});
  if (!r) stop(r.error());
  return std::move(*r);
}

/// As the Raft actor does it: a batch of entries, their changes, and the mark in one synced group.
void fill(const std::string& dir, std::size_t keys, std::size_t bytes) {
  auto disk = open(dir);
  state_machine m;
  auto found = disk->recover(m);
  if (!found) stop(found.error());
  auto at = found->base.index;
  std::mt19937_64 rng(1);
  std::string noise(4 << 20, ' ');
  for (auto& c : noise)
    c = static_cast<char>('!' + rng() % 90);
  for (std::size_t i = 0; i < keys;) {
    write_group g;
    for (int k = 0; k < 500 && i < keys; ++k, ++i) {
      txn t;
      char name[32];
      std::snprintf(name, sizeof name, "key-%012zu", i);
      t.puts.push_back({{"configmaps", "default", name}, noise.substr(rng() % (noise.size() - bytes), bytes)});
      at = at.next();
      g.append.push_back({at, log_term{1}, entry_kind::change, std::make_shared<const std::string>(encode_txn(t))});
      m.apply(g.append.back(), g.changes);
    }
    g.applied = applied_mark{{at, log_term{1}}, m.rev(), found->applied.config};
    if (at.v > 8192) g.drop_log_to = log_position{log_index{at.v - 4096}, log_term{1}};
    if (auto r = disk->write(g); !r) stop(r.error());
  }
  ::malloc_trim(0); // as the Raft actor does after each compaction
  std::printf("filled             %8.0f MiB resident\n", resident_mib());
  if (auto r = disk->close(); !r) stop(r.error());
}

void snapshots(const std::shared_ptr<const state_view>& view) {
  auto cpu = cpu_seconds();
  snapshot_head head{"bench", {{log_index{9}, log_term{1}}, view->rev(), {}}};
  snapshot_writer w(head, view);
  std::vector<std::shared_ptr<const std::string>> pieces;
  std::size_t bytes = 0;
  for (bool last = false; !last;) {
    auto p = w.at(bytes, 256 << 10);
    bytes += p.bytes->size();
    last = p.last;
    pieces.push_back(std::move(p.bytes));
  }
  const auto wrote = cpu_seconds() - cpu;
  cpu = cpu_seconds();
  snapshot_reader r;
  for (const auto& p : pieces)
    if (auto taken = r.take(*p); !taken) stop(taken.error());
  const auto read = cpu_seconds() - cpu;
  std::printf("snapshot           %8.0f MiB, written at %.0f MB/s, read at %.0f MB/s of CPU time\n",
              static_cast<double>(bytes) / (1 << 20), static_cast<double>(bytes) / 1e6 / wrote,
              static_cast<double>(bytes) / 1e6 / read);
}

} // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: state_bench DIR [KEYS [BYTES]]\n");
    return 2;
  }
  const std::string dir = argv[1];
  const std::size_t keys = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1'000'000;
  const std::size_t bytes = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 1024;
  if (!std::filesystem::exists(dir)) {
    const auto t = std::chrono::steady_clock::now();
    fill(dir, keys, bytes);
    std::printf("fill               %8.2f s\n", seconds_since(t));
    std::fflush(stdout);
    ::malloc_trim(0);
  }
  auto t = std::chrono::steady_clock::now();
  auto disk = open(dir);
  std::printf("open               %8.3f s\n", seconds_since(t));
  t = std::chrono::steady_clock::now();
  auto cpu = cpu_seconds();
  state_machine m;
  auto found = disk->recover(m);
  if (!found) stop(found.error());
  std::printf("recover            %8.3f s (%.3f s of CPU), revision %llu, %zu log entries\n", seconds_since(t),
              cpu_seconds() - cpu, static_cast<unsigned long long>(m.rev()), found->log.size());
  t = std::chrono::steady_clock::now();
  auto past = disk->read_history(m, limits::refill_events_max, limits::refill_bytes_max);
  if (!past) stop(past.error());
  std::printf("history            %8.3f s, %zu changes\n", seconds_since(t), past->changes.size());
  found->log = {};
  past->changes = {};
  std::printf("resident           %8.0f MiB\n", resident_mib());
  const auto view = m.snapshot();
  std::size_t held = 0;
  for (const auto& root : view->roots())
    root.objects.visit({}, {}, false, [&](const object_ptr& o) {
      held += o->bytes.size();
      return true;
    });
  cpu = cpu_seconds();
  const auto hash = view->hash();
  cpu = cpu_seconds() - cpu;
  std::printf("hash               %8.3f s of CPU, %.2f GB/s (%016llx)\n", cpu, static_cast<double>(held) / 1e9 / cpu,
              static_cast<unsigned long long>(hash));
  snapshots(view);
  return 0;
}

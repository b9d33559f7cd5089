// store_bench: durable transactions per second and their latency through the Raft actor, without the API in front.
// Owner:  -; `store_bench [seconds per row] [object bytes] [directory] [keys]`; a directory given is kept.
// Units:  each row keeps N proposals outstanding from one actor; every answer is of a synced write.
// Errors: exit status 1 when the store refuses anything.
// Source: issue figures: >= 15,000 durable txns/s with 32 proposers, p99 <= 10 ms.
#include "tests/unit/raft/store_client.hpp"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

using namespace troupe;
using bench_clock = std::chrono::steady_clock;

namespace {

struct loop_state {
  std::vector<bench_clock::time_point> started;
  std::vector<double> micros;
  std::vector<std::uint64_t> free_tickets;
  std::size_t outstanding = 0;
  bool failed = false;
};

struct loop_shape {
  raft_actor raft;
  std::size_t outstanding = 1, keys = 10000;
  std::string doc;
  std::size_t rv_offset = 0;
  bench_clock::time_point until;
  std::shared_ptr<answer_box> finished;
  std::shared_ptr<loop_state> out;
};

txn_sink_actor::behavior_type closed_loop(txn_sink_actor::pointer self, loop_shape s) {
  auto& st = *s.out;
  st.started.resize(s.outstanding);
  auto next_key = std::make_shared<std::size_t>(0);
  auto fire = [self, s, next_key](std::uint64_t ticket) {
    auto p = std::make_shared<propose>();
    p->ticket = ticket;
    store::put put;
    put.key = {"configmaps", "default", "key-" + std::to_string((*next_key)++ % s.keys)};
    put.bytes = s.doc;
    put.rv_offset = s.rv_offset;
    p->change.puts.push_back(std::move(put));
    s.out->started[ticket] = bench_clock::now();
    ++s.out->outstanding;
    caf::anon_send(s.raft, std::move(p), txn_sink_actor(self));
  };
  for (std::size_t i = 0; i < s.outstanding; ++i)
    fire(i);
  return {[s, fire](const txns_done_ptr& done) {
    auto& state = *s.out;
    const auto now = bench_clock::now();
    for (const auto& [ticket, r] : done->items) {
      --state.outstanding;
      state.failed = state.failed || !r.ok;
      state.micros.push_back(std::chrono::duration<double, std::micro>(now - state.started[ticket]).count());
      if (now < s.until) fire(ticket);
    }
    if (state.outstanding > 0) return;
    std::lock_guard g(s.finished->lock);
    s.finished->items.emplace_back(0, store::txn_result{});
    s.finished->changed.notify_all();
  }};
}

std::size_t resident_mib() {
  std::size_t total = 0, resident = 0;
  if (std::FILE* f = std::fopen("/proc/self/statm", "r")) {
    if (std::fscanf(f, "%zu %zu", &total, &resident) != 2) resident = 0;
    std::fclose(f);
  }
  return resident * 4096 >> 20;
}

} // namespace

int main(int argc, char** argv) {
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  const std::size_t bytes = argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 1024;
  const std::size_t keys = argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 10000;
  temp_dir dir;
  const auto opening = bench_clock::now();
  store_node node(argc > 3 ? argv[3] : dir.path);
  std::printf("opened %zu objects in %.0f ms, %zu MiB resident\n", node.state()->current()->count("configmaps", ""),
              std::chrono::duration<double, std::milli>(bench_clock::now() - opening).count(), resident_mib());
  if (seconds <= 0) return 0;
  json::value doc{{"apiVersion", "v1"},
                  {"kind", "ConfigMap"},
                  {"metadata", json::object{{"name", "x"}}},
                  {"data", json::object{{"payload", std::string(bytes, 'x')}}}};
  const auto [encoded, at] = store::encode_for_put(doc);
  std::printf("%-12s %12s %10s %10s %10s\n", "outstanding", "txns/s", "p50 us", "p99 us", "max us");
  bool failed = false;
  for (std::size_t n : {1, 32, 256}) {
    auto state = std::make_shared<loop_state>();
    auto finished = std::make_shared<answer_box>();
    loop_shape s{node.raft(), n,
                 keys,        encoded,
                 at,          bench_clock::now() + std::chrono::microseconds(static_cast<std::int64_t>(seconds * 1e6)),
                 finished,    state};
    const auto begun = bench_clock::now();
    auto a = node.sys().spawn(closed_loop, s);
    {
      std::unique_lock g(finished->lock);
      finished->changed.wait(g, [&] { return !finished->items.empty(); });
    }
    const double took = std::chrono::duration<double>(bench_clock::now() - begun).count();
    caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    auto& m = state->micros;
    std::sort(m.begin(), m.end());
    failed = failed || state->failed;
    std::printf("%-12zu %12.0f %10.0f %10.0f %10.0f\n", n, static_cast<double>(m.size()) / took, m[m.size() / 2],
                m[m.size() * 99 / 100], m.back());
  }
  std::printf("%s\n%zu MiB resident\n", node.status().c_str(), resident_mib());
  return failed ? 1 : 0;
}

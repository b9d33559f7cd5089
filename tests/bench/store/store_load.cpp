// store_load: one measurement of one store, printed as one JSON line; tests/bench/store.py puts the lines together.
// Owner:  -; see --help.
// Units:  seconds, microseconds, bytes as the names say.
// Errors: exit status 1 and a sentence.
// Source: issue figures of the store.
#include "tests/bench/store/load.hpp"

#include <boost/program_options.hpp>

#include <atomic>
#include <cstdio>
#include <iostream>
#include <thread>

using namespace troupe::bench;
namespace po = boost::program_options;

namespace {

struct settings {
  std::string store, what;
  target_options where;
  load_shape shape;
  std::size_t per_txn = 100;
};

std::unique_ptr<target> connect(const settings& s) {
#ifdef TROUPE_BENCH_ETCD
  if (s.store == "etcd") return make_etcd_target(s.where);
#endif
#ifdef TROUPE_BENCH_LINK
  if (s.store == "troupe") return make_troupe_target(s.where);
#endif
  throw std::runtime_error("--store " + s.store + ": built without it, or unknown (etcd, troupe)");
}

void print_result(const settings& s, const load_result& r, const std::string& more = {}) {
  std::string error = r.first_error;
  for (auto& c : error)
    if (c == '"' || c == '\\' || static_cast<unsigned char>(c) < ' ') c = ' ';
  std::printf("{\"case\":\"%s\",\"clients\":%zu,\"ops\":%zu,\"seconds\":%.3f,\"perSecond\":%.1f,\"p50\":%.0f,"
              "\"p99\":%.0f,\"max\":%.0f,\"failed\":%lu%s,\"error\":\"%s\"}\n",
              s.what.c_str(), s.shape.clients, r.micros.size(), r.seconds, r.per_second(), r.quantile(0.5),
              r.quantile(0.99), r.quantile(1), static_cast<unsigned long>(r.failed), more.c_str(), error.c_str());
}

/// Writes at a steady rate: first undisturbed, then while the store compacts and streams a snapshot.
void disturbed(settings s) {
  auto writer = connect(s);
  run_load(*writer, s.shape); // versions to forget, and warm paths
  const auto quiet = run_load(*writer, s.shape);
  auto worker = connect(s); // now: a target is alive only while somebody uses it
  std::atomic<bool> over = false;
  std::uint64_t bytes = 0;
  double compact_s = 0, snapshot_s = 0;
  std::exception_ptr failure;
  std::thread work([&] {
    const auto a = bench_clock::now();
    try {
      worker->compact();
      const auto b = bench_clock::now();
      bytes = worker->snapshot();
      compact_s = std::chrono::duration<double>(b - a).count();
      snapshot_s = std::chrono::duration<double>(bench_clock::now() - b).count();
    } catch (...) {
      failure = std::current_exception();
    }
    over = true;
  });
  const auto busy = run_load(*writer, s.shape, [&] { return over.load(); });
  work.join();
  if (failure) std::rethrow_exception(failure);
  char more[256];
  std::snprintf(
      more, sizeof more,
      ",\"quietP50\":%.0f,\"quietP99\":%.0f,\"compactSeconds\":%.2f,\"snapshotSeconds\":%.2f,\"snapshotBytes\":%lu",
      quiet.quantile(0.5), quiet.quantile(0.99), compact_s, snapshot_s, static_cast<unsigned long>(bytes));
  print_result(s, busy, more);
}

int measure(const settings& s) {
  if (s.what == "disturbed") {
    disturbed(s);
    return 0;
  }
  auto t = connect(s);
  if (s.what == "leads") {
    const bool yes = t->leads();
    std::printf("{\"case\":\"leads\",\"leads\":%s}\n", yes ? "true" : "false");
  } else if (s.what == "fill") {
    const auto r = fill(*t, s.shape, s.per_txn);
    print_result(s, r);
    return r.failed > 0;
  } else if (s.what == "failover") {
    // One line per success: CLOCK_MONOTONIC nanoseconds, which the caller compares with the time of its kill.
    keep_putting(*t, s.shape, [] {
      std::printf("%lld\n", static_cast<long long>(bench_clock::now().time_since_epoch().count()));
      std::fflush(stdout);
    });
  } else {
    auto warm = s.shape;
    warm.seconds = std::min(0.3, s.shape.seconds / 4);
    run_load(*t, warm);
    const auto r = run_load(*t, s.shape);
    print_result(s, r);
    return r.failed > 0;
  }
  return 0;
}

} // namespace

int main(int argc, char** argv) {
  settings s;
  std::string endpoints;
  std::size_t timeout_ms = 10000;
  po::options_description o("store_load: measures one store");
  auto add = o.add_options();
  add("help", "this text");
  add("store", po::value(&s.store)->required(), "etcd or troupe");
  add("case", po::value(&s.what)->required(), "put, get, fill, disturbed, failover, leads");
  add("endpoints", po::value(&endpoints)->required(), "host:port,...");
  add("ca", po::value(&s.where.ca_file), "PEM of the authority; without it no TLS");
  add("cert", po::value(&s.where.cert_file), "PEM of the client's certificate");
  add("key", po::value(&s.where.key_file), "PEM of its key");
  add("connections", po::value(&s.where.connections)->default_value(1), "connections that the clients share");
  add("clients", po::value(&s.shape.clients)->default_value(1), "operations outstanding");
  add("keys", po::value(&s.shape.keys)->default_value(100000), "how many keys are used");
  add("value-bytes", po::value(&s.shape.value_bytes)->default_value(256), "");
  add("seconds", po::value(&s.shape.seconds)->default_value(3), "");
  add("rate", po::value(&s.shape.rate)->default_value(0), "operations per second; 0: as fast as answers come");
  add("per-txn", po::value(&s.per_txn)->default_value(100), "puts in one transaction, of fill");
  add("timeout-ms", po::value(&timeout_ms)->default_value(10000), "of one operation");
  try {
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, o), given);
    if (given.count("help")) {
      std::cout << o;
      return 0;
    }
    po::notify(given);
    for (std::size_t at = 0; at <= endpoints.size();) {
      const auto end = std::min(endpoints.find(',', at), endpoints.size());
      s.where.endpoints.push_back(endpoints.substr(at, end - at));
      at = end + 1;
    }
    s.where.connections = std::min(s.where.connections, s.shape.clients);
    s.where.op_timeout = std::chrono::milliseconds(timeout_ms);
    s.shape.what = s.what == "get" ? load_shape::op::get : load_shape::op::put;
    return measure(s);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "store_load: %s\n", e.what());
    return 1;
  }
}

// Figures of the mesh, printed; not part of the tests: run with --no-skip -tc='figures*'.
#include "tests/unit/link/mesh_lab.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <cstdio>

using namespace troupe;
using namespace troupe::test;
using clock_type = std::chrono::steady_clock;

namespace {

double micros(clock_type::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

/// Sends one at a time, each when the answer to the last is there.
std::vector<double> round_trips(lab_master& one, lab_master& two, int count, std::size_t bytes) {
  two.box->also = [&two](const raft::parcel&) { two.send(1, "answer"); };
  std::vector<double> took;
  const std::string payload(bytes, 'x');
  for (int i = 0; i < count; ++i) {
    const auto began = clock_type::now();
    const auto had = one.box->size();
    one.send(2, payload);
    if (!one.box->wait_for(had + 1)) break;
    took.push_back(micros(clock_type::now() - began));
  }
  std::sort(took.begin(), took.end());
  two.box->also = nullptr;
  return took;
}

/// Keeps `window_bytes` on the way.
double rate(lab_master& one, lab_master& two, int count, std::size_t bytes, std::size_t window_bytes) {
  const std::string payload(bytes, 'x');
  const auto from = two.box->size();
  const auto window = std::max<std::size_t>(window_bytes / bytes, 1);
  const auto began = clock_type::now();
  for (int i = 0; i < count; ++i) {
    const auto n = static_cast<std::size_t>(i);
    if (n >= window) two.box->wait_for(from + n - window + 1);
    one.send(2, payload);
  }
  two.box->wait_for(from + static_cast<std::size_t>(count));
  return count / std::chrono::duration<double>(clock_type::now() - began).count();
}

void figures_of(const char* what, bool plain) {
  const auto tweak = [plain](mesh_options& o) { o.plain_tcp_for_benchmarks = plain; };
  lab_master one{1, tweak}, two{2, tweak};
  REQUIRE(link_all({&one, &two}));
  for (const std::size_t bytes : {64, 1024, 65536}) {
    const auto t = round_trips(one, two, bytes > 10000 ? 1000 : 3000, bytes);
    std::printf("%s round trip %6zu B: p50 %.0f us, p99 %.0f us\n", what, bytes, t[t.size() / 2],
                t[t.size() * 99 / 100]);
  }
  std::printf("%s rate      256 B, 256 KiB on the way: %.0f parcels/s\n", what, rate(one, two, 50000, 256, 256 << 10));
  const auto mid = rate(one, two, 5000, 65000, 1 << 20);
  std::printf("%s rate    64 KiB, 1 MiB on the way: %.0f parcels/s, %.0f MB/s\n", what, mid, mid * 0.065);
  const auto large = rate(one, two, 300, 1 << 20, 8 << 20);
  std::printf("%s rate     1 MiB, 8 MiB on the way: %.0f parcels/s, %.0f MB/s\n", what, large, large * 1.048);
}

} // namespace

TEST_CASE("figures: parcels between two masters over loopback" * doctest::skip()) {
  figures_of("TLS  ", false);
  figures_of("plain", true);
}

TEST_CASE("figures: how soon a restarted peer is linked again" * doctest::skip()) {
  lab_master one{1};
  auto two = std::make_unique<lab_master>(2);
  const auto port = two->mesh->port();
  REQUIRE(link_all({&one, two.get()}));
  std::vector<double> took;
  for (int i = 0; i < 20; ++i) {
    two.reset();
    REQUIRE(one.wait_linked(2, false));
    two = std::make_unique<lab_master>(2, [&](mesh_options& o) { o.port = port; });
    const auto began = clock_type::now();
    two->start({one.address()});
    two->send(1, "x");
    REQUIRE(one.wait_linked(2));
    took.push_back(micros(clock_type::now() - began) / 1000);
  }
  std::sort(took.begin(), took.end());
  std::printf("linked again after: median %.0f ms, longest %.0f ms\n", took[took.size() / 2], took.back());
}

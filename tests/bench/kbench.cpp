// kbench: drives an API server with the load that the design page's figures come from, one phase per run.
// The phases, payloads and quantiles are those of the Go program the peer's figures were measured with; the two are
// cross-checked in docs/BENCHMARKS.md. One thread and one TLS connection per client, so that the client costs little.
#include "api/json.hpp"
#include "tests/bench/bench_connection.hpp"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/program_options.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <functional>
#include <iostream>
#include <set>
#include <string>
#include <vector>

namespace asio = boost::asio;
namespace po = boost::program_options;
using troupe::cli::kubeconfig;
using clock_type = std::chrono::steady_clock;
using troupe::bench::answer;
using troupe::bench::await;
using troupe::bench::connection;
using troupe::bench::task;

namespace {

struct settings {
  kubeconfig kc;
  int n = 5000, clients = 32, size = 1024, watchers = 100, nodes = 500;
  std::string ns = "kbench", image = "docker.io/troupe/demo:1", deployment = "demo";
};

double ms_since(clock_type::time_point t) {
  return std::chrono::duration<double, std::milli>(clock_type::now() - t).count();
}

class bench {
public:
  explicit bench(settings s) : s_(std::move(s)) {
    tls_.add_certificate_authority(asio::buffer(s_.kc.ca_pem));
    tls_.set_verify_mode(s_.kc.skip_verify ? asio::ssl::verify_none : asio::ssl::verify_peer);
    if (!s_.kc.cert_pem.empty()) {
      tls_.use_certificate_chain(asio::buffer(s_.kc.cert_pem));
      tls_.use_private_key(asio::buffer(s_.kc.key_pem), asio::ssl::context::pem);
    }
    // A record costs one read instead of two, and several records may come with it.
    SSL_CTX_set_read_ahead(tls_.native_handle(), 1);
    SSL_CTX_set_default_read_buffer_len(tls_.native_handle(), 64 * 1024);
    SSL_CTX_set_mode(tls_.native_handle(), SSL_MODE_ENABLE_PARTIAL_WRITE);
    base_ = "/api/v1/namespaces/" + s_.ns;
    payload_.assign(static_cast<std::size_t>(s_.size), 'x');
  }

  bool run(const std::string& phase);

private:
  using job = std::function<task<answer>(connection&, int)>;

  std::string config_map(const std::string& name, int i) const {
    return R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name + R"(","namespace":")" + s_.ns +
           R"(","labels":{"app":"kbench","i":")" + std::to_string(i % 10) + R"("}},"data":{"v":")" + payload_ +
           R"("}})";
  }
  std::string bench_pod(int i) const {
    return R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"pod-)" + std::to_string(i) + R"(","namespace":")" +
           s_.ns + R"(","labels":{"app":"kbench","i":")" + std::to_string(i % 10) +
           R"("}},"spec":{"containers":[{"name":"c","image":"pause","resources":{"requests":{"cpu":"10m","memory":"16Mi"}}}]}})";
  }

  void go(task<void> t) {
    asio::co_spawn(ioc_, std::move(t), [this](std::exception_ptr e) {
      if (!e) return;
      failed_ = true;
      try {
        std::rethrow_exception(e);
      } catch (const std::exception& x) {
        std::fprintf(stderr, "kbench: %s\n", x.what());
      }
      ioc_.stop();
    });
  }

  task<void> make_namespace() {
    connection c{ioc_, tls_.native_handle(), s_.kc};
    co_await c.open();
    co_await c.call("POST", "/api/v1/namespaces", "application/json",
                    R"({"apiVersion":"v1","kind":"Namespace","metadata":{"name":")" + s_.ns + "\"}}");
    for (int i = 0; i < 100; ++i) {
      if ((co_await c.call("GET", base_ + "/serviceaccounts/default")).code == 200) co_return;
      asio::steady_timer t{ioc_, std::chrono::milliseconds(20)};
      co_await t.async_wait(await);
    }
  }

  task<void> worker(const job& f) {
    connection c{ioc_, tls_.native_handle(), s_.kc};
    co_await c.open();
    for (int i; (i = next_++) < count_;) {
      const auto t = clock_type::now();
      auto a = co_await f(c, i);
      latency_[static_cast<std::size_t>(i)] = ms_since(t);
      if (a.code >= 300 && ++fails_ == 1)
        first_failure_ = std::to_string(a.code) + " " + std::string(a.body.substr(0, 200));
    }
    if (--working_ == 0 && pool_done_) pool_done_();
  }

  void start_pool(int n, const job& f, std::function<void()> done = {}) {
    next_ = fails_ = 0;
    count_ = n;
    first_failure_.clear();
    latency_.assign(static_cast<std::size_t>(n), 0);
    pool_done_ = std::move(done);
    working_ = s_.clients;
    pool_start_ = clock_type::now();
    for (int w = 0; w < s_.clients; ++w)
      go(worker(f));
  }

  static double quantile(const std::vector<double>& sorted, double q) {
    return sorted.empty() ? 0 : sorted[static_cast<std::size_t>(q * static_cast<double>(sorted.size() - 1))];
  }

  void report_pool(const char* label) {
    const double s = ms_since(pool_start_) / 1000;
    std::sort(latency_.begin(), latency_.end());
    std::printf("%-22s n=%d c=%d %.0f/s p50=%.2fms p99=%.2fms max=%.1fms fails=%d %s\n", label, count_, s_.clients,
                count_ / s, quantile(latency_, .5), quantile(latency_, .99), quantile(latency_, 1), fails_,
                first_failure_.c_str());
    if (fails_) failed_ = true;
  }

  void pool(const char* label, int n, const job& f) {
    start_pool(n, f);
    ioc_.run();
    ioc_.restart();
    report_pool(label);
  }

  void phase_watch();
  void phase_sched();
  void phase_podstart();
  void phase_scale();
  task<std::string> list_version(connection& c, std::string path);
  task<void> watcher(int* open, std::function<void()> all_open);
  task<void> bound_watch(double* elapsed);
  task<void> podstart_loop(std::vector<double>* latencies);
  task<void> scale_up(double* elapsed);

  settings s_;
  asio::io_context ioc_{1};
  asio::ssl::context tls_{asio::ssl::context::tls_client};
  std::string base_, payload_;
  bool failed_ = false;
  int next_ = 0, count_ = 0, fails_ = 0, working_ = 0;
  std::string first_failure_;
  std::vector<double> latency_, watch_latency_;
  std::vector<clock_type::time_point> sent_;
  clock_type::time_point pool_start_;
  std::function<void()> pool_done_;
};

task<std::string> bench::list_version(connection& c, std::string path) {
  auto a = co_await c.call("GET", path);
  boost::system::error_code ec;
  auto doc = troupe::json::parse({a.body.data(), a.body.size()}, ec);
  if (ec) throw std::runtime_error("list: " + std::string(a.body.substr(0, 200)));
  co_return std::string{troupe::jq::str(doc, {"metadata", "resourceVersion"})};
}

task<void> bench::watcher(int* open, std::function<void()> all_open) {
  connection c{ioc_, tls_.native_handle(), s_.kc};
  co_await c.open();
  const auto rv = co_await list_version(c, base_ + "/configmaps?limit=1");
  int seen = 0;
  auto stream = c.lines(
      base_ + "/configmaps?watch=1&timeoutSeconds=600&resourceVersion=" + rv,
      [this, &seen](std::string_view line) {
        constexpr std::string_view mark = "\"name\":\"w-";
        const auto at = line.substr(0, 256).find(mark); // the name stands near the front
        if (at == std::string_view::npos) return true;
        std::size_t i = 0;
        for (auto p = at + mark.size(); p < line.size() && line[p] >= '0' && line[p] <= '9'; ++p)
          i = i * 10 + static_cast<std::size_t>(line[p] - '0');
        if (i < sent_.size()) watch_latency_.push_back(ms_since(sent_[i]));
        return ++seen < s_.n;
      },
      [open, all_open] {
        if (--*open == 0) all_open();
      });
  co_await std::move(stream);
}

void bench::phase_watch() {
  go(make_namespace());
  ioc_.run();
  ioc_.restart();
  sent_.assign(static_cast<std::size_t>(s_.n), {});
  watch_latency_.reserve(static_cast<std::size_t>(s_.n) * static_cast<std::size_t>(s_.watchers));
  int open = s_.watchers;
  const job create = [this](connection& c, int i) {
    sent_[static_cast<std::size_t>(i)] = clock_type::now();
    return c.call("POST", base_ + "/configmaps", "application/json", config_map("w-" + std::to_string(i), i));
  };
  auto begun = clock_type::now();
  auto start = [&] {
    begun = clock_type::now();
    start_pool(s_.n, create, [this] { report_pool("create under watch"); });
  };
  for (int w = 0; w < s_.watchers; ++w)
    go(watcher(&open, start));
  ioc_.run();
  ioc_.restart();
  const double s = ms_since(begun) / 1000;
  std::sort(watch_latency_.begin(), watch_latency_.end());
  const auto events = watch_latency_.size();
  std::printf("%-22s w=%d events=%zu %.0f events/s p50=%.2fms p99=%.2fms\n", "watch fan-out", s_.watchers, events,
              static_cast<double>(events) / s, quantile(watch_latency_, .5), quantile(watch_latency_, .99));
  if (events != static_cast<std::size_t>(s_.n) * static_cast<std::size_t>(s_.watchers)) failed_ = true;
}

task<void> bench::bound_watch(double* elapsed) {
  connection c{ioc_, tls_.native_handle(), s_.kc};
  co_await c.open();
  const auto rv = co_await list_version(c, base_ + "/pods?limit=1");
  std::set<std::string, std::less<>> bound;
  const job create = [this](connection& x, int i) {
    return x.call("POST", base_ + "/pods", "application/json", bench_pod(i));
  };
  auto begun = clock_type::now();
  auto stream = c.lines(
      base_ + "/pods?watch=1&timeoutSeconds=900&resourceVersion=" + rv,
      [&](std::string_view line) {
        if (line.find("\"nodeName\":\"") == std::string_view::npos) return true;
        constexpr std::string_view mark = "\"name\":\"pod-";
        const auto at = line.find(mark);
        if (at != std::string_view::npos) {
          const auto from = at + mark.size();
          bound.emplace(line.substr(from, line.find('"', from) - from));
        }
        return static_cast<int>(bound.size()) < s_.n;
      },
      [&] {
        begun = clock_type::now();
        start_pool(s_.n, create, [this] { report_pool("create pod"); });
      });
  co_await std::move(stream);
  *elapsed = ms_since(begun) / 1000;
  if (static_cast<int>(bound.size()) < s_.n) failed_ = true;
}

void bench::phase_sched() {
  go(make_namespace());
  ioc_.run();
  ioc_.restart();
  pool("create node", s_.nodes, [this](connection& c, int i) -> task<answer> {
    const auto name = "n-" + std::to_string(i);
    auto a = co_await c.call("POST", "/api/v1/nodes", "application/json",
                             R"({"apiVersion":"v1","kind":"Node","metadata":{"name":")" + name +
                                 R"(","labels":{"kubernetes.io/hostname":")" + name +
                                 R"(","topology.kubernetes.io/zone":"z)" + std::to_string(i % 3) + R"("}}})");
    if (a.code >= 300) co_return a;
    a = co_await c.call(
        "PATCH", "/api/v1/nodes/" + name + "/status", "application/strategic-merge-patch+json",
        R"({"status":{"capacity":{"cpu":"32","memory":"256Gi","pods":"110"},"allocatable":{"cpu":"32","memory":"256Gi","pods":"110"},"conditions":[{"type":"Ready","status":"True","reason":"KubeletReady"}]}})");
    if (a.code >= 300) co_return a;
    co_return co_await c.call("PATCH", "/api/v1/nodes/" + name, "application/merge-patch+json",
                              R"({"spec":{"taints":null}})");
  });
  double elapsed = 0;
  go(bound_watch(&elapsed));
  ioc_.run();
  ioc_.restart();
  std::printf("%-22s nodes=%d pods=%d %.0f pods/s all bound after %.2fs\n", "create-to-bound", s_.nodes, s_.n,
              s_.n / elapsed, elapsed);
}

/// One pod after the other: from the POST to the watch event that says Running.
task<void> bench::podstart_loop(std::vector<double>* latencies) {
  connection api{ioc_, tls_.native_handle(), s_.kc};
  co_await api.open();
  for (int i = 0; i < s_.n; ++i) {
    const auto name = "start-" + std::to_string(i);
    connection watch{ioc_, tls_.native_handle(), s_.kc};
    co_await watch.open();
    const auto rv = co_await list_version(watch, base_ + "/pods?limit=1");
    clock_type::time_point begun;
    const auto body = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":")" + name +
                      R"("},"spec":{"terminationGracePeriodSeconds":0,"containers":[{"name":"c","image":")" + s_.image +
                      R"("}]}})";
    auto stream = watch.lines(
        base_ + "/pods?watch=1&timeoutSeconds=60&fieldSelector=metadata.name%3D" + name + "&resourceVersion=" + rv,
        [&](std::string_view line) {
          if (line.find("\"phase\":\"Running\"") == std::string_view::npos) return true;
          latencies->push_back(ms_since(begun));
          return false;
        },
        [&] {
          begun = clock_type::now();
          go([](bench& b, connection& c, std::string text) -> task<void> {
            auto a = co_await c.call("POST", b.base_ + "/pods", "application/json", text);
            if (a.code >= 300) throw std::runtime_error(std::string(a.body));
          }(*this, api, body));
        });
    co_await std::move(stream);
    co_await api.call("DELETE", base_ + "/pods/" + name + "?gracePeriodSeconds=0");
  }
}

void bench::phase_podstart() {
  go(make_namespace());
  ioc_.run();
  ioc_.restart();
  std::vector<double> latencies;
  go(podstart_loop(&latencies));
  ioc_.run();
  ioc_.restart();
  std::sort(latencies.begin(), latencies.end());
  std::printf("%-22s n=%zu p50=%.1fms p99=%.1fms max=%.1fms\n", "pod start", latencies.size(), quantile(latencies, .5),
              quantile(latencies, .99), quantile(latencies, 1));
  if (static_cast<int>(latencies.size()) < s_.n) failed_ = true;
}

/// From the scale command until n pods of the deployment are Running.
task<void> bench::scale_up(double* elapsed) {
  connection api{ioc_, tls_.native_handle(), s_.kc}, watch{ioc_, tls_.native_handle(), s_.kc};
  co_await api.open();
  co_await watch.open();
  const auto selector = "labelSelector=app%3D" + s_.deployment;
  std::set<std::string, std::less<>> running;
  clock_type::time_point begun;
  auto stream = watch.lines(
      base_ + "/pods?watch=1&timeoutSeconds=120&" + selector,
      [&](std::string_view line) {
        constexpr std::string_view mark = "\"name\":\"";
        const auto at = line.find(mark, line.find("\"metadata\":"));
        const auto from = at + mark.size();
        if (at != std::string_view::npos && line.find("\"phase\":\"Running\"") != std::string_view::npos)
          running.emplace(line.substr(from, line.find('"', from) - from));
        return static_cast<int>(running.size()) < s_.n;
      },
      [&] {
        begun = clock_type::now();
        go([](bench& b, connection& c) -> task<void> {
          auto a = co_await c.call(
              "PATCH", "/apis/apps/v1/namespaces/" + b.s_.ns + "/deployments/" + b.s_.deployment + "/scale",
              "application/merge-patch+json", R"({"spec":{"replicas":)" + std::to_string(b.s_.n) + "}}");
          if (a.code >= 300) throw std::runtime_error(std::string(a.body));
        }(*this, api));
      });
  co_await std::move(stream);
  *elapsed = ms_since(begun) / 1000;
  if (static_cast<int>(running.size()) < s_.n) failed_ = true;
}

void bench::phase_scale() {
  double elapsed = 0;
  go(scale_up(&elapsed));
  ioc_.run();
  ioc_.restart();
  std::printf("%-22s replicas=%d all Running after %.2fs\n", "scale", s_.n, elapsed);
}

bool bench::run(const std::string& phase) {
  const auto one = [this](int i) { return base_ + "/configmaps/cm-" + std::to_string(i); };
  if (phase == "create") {
    go(make_namespace());
    ioc_.run();
    ioc_.restart();
    pool("create configmap", s_.n, [this](connection& c, int i) {
      return c.call("POST", base_ + "/configmaps", "application/json", config_map("cm-" + std::to_string(i), i));
    });
  } else if (phase == "get") {
    pool("get configmap", s_.n, [&](connection& c, int i) { return c.call("GET", one(i)); });
  } else if (phase == "update") {
    pool("update configmap", s_.n, [&](connection& c, int i) {
      return c.call("PUT", one(i), "application/json", config_map("cm-" + std::to_string(i), i));
    });
  } else if (phase == "patch") {
    pool("patch configmap", s_.n, [&](connection& c, int i) {
      return c.call("PATCH", one(i), "application/merge-patch+json", R"({"data":{"p":"1"}})");
    });
  } else if (phase == "delete") {
    pool("delete configmap", s_.n, [&](connection& c, int i) { return c.call("DELETE", one(i)); });
  } else if (phase == "list") {
    std::size_t bytes = 0;
    pool("list configmaps", s_.n, [&](connection& c, int) -> task<answer> {
      auto a = co_await c.call("GET", base_ + "/configmaps?resourceVersion=0");
      bytes = a.body.size();
      co_return a;
    });
    std::printf("bytes per list %zu\n", bytes);
  } else if (phase == "watch") {
    phase_watch();
  } else if (phase == "sched") {
    phase_sched();
  } else if (phase == "podstart") {
    phase_podstart();
  } else if (phase == "scale") {
    phase_scale();
  } else {
    std::fprintf(stderr, "kbench: phases are create get update patch list delete watch sched podstart scale\n");
    return false;
  }
  std::fflush(stdout);
  return !failed_;
}

} // namespace

int main(int argc, char** argv) {
  settings s;
  std::string file, phase;
  po::options_description desc("usage: kbench --kubeconfig FILE [options] PHASE\noptions");
  desc.add_options()("kubeconfig", po::value(&file)->required(), "kubeconfig of an administrator")(
      "n,n", po::value(&s.n), "objects")("c,c", po::value(&s.clients), "concurrent clients")(
      "size", po::value(&s.size), "payload bytes of a ConfigMap")("w,w", po::value(&s.watchers), "watchers")(
      "nodes", po::value(&s.nodes), "nodes")("ns", po::value(&s.ns), "namespace")("image", po::value(&s.image),
                                                                                  "image of podstart")(
      "deployment", po::value(&s.deployment), "of scale")("phase", po::value(&phase)->required(), "what to measure");
  po::positional_options_description positional;
  positional.add("phase", 1);
  try {
    po::variables_map vm;
    po::store(po::command_line_parser(argc, argv).options(desc).positional(positional).run(), vm);
    po::notify(vm);
    auto kc = troupe::cli::load_kubeconfig(file);
    if (!kc) throw std::runtime_error(kc.error().message);
    s.kc = *kc;
    return bench{std::move(s)}.run(phase) ? 0 : 1;
  } catch (const std::exception& e) {
    std::cerr << "kbench: " << e.what() << "\n" << desc;
    return 2;
  }
}

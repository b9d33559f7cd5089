#include "actors/proxy/proxy_actor.hpp"

#include "actors/proxy/limits.hpp"
#include "actors/proxy/proxy_core.hpp"
#include "actors/proxy/proxy_worker.hpp"
#include "actors/support/clock.hpp"
#include "actors/support/event_recorder.hpp"
#include "actors/support/feed.hpp"
#include "net/service/health_server.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <caf/typed_response_promise.hpp>
#include <spdlog/spdlog.h>

#include <atomic>
#include <optional>

namespace troupe {

namespace {

enum feed_tag { services_tag = 0, slices_tag = 1 };
using rest_over = caf::atom_constant<caf::atom("restover")>;

/// What the health thread may read.
struct shared_state {
  std::atomic<bool> healthy{true};
  std::atomic<std::int64_t> loaded_at_s{0};
  std::atomic<std::uint64_t> loads{0}, failures{0}, services{0}, endpoints{0};
};

std::string metrics_text(const shared_state& s) {
  auto line = [](const char* name, const char* type, std::uint64_t value) {
    return std::string{"# TYPE "} + name + ' ' + type + '\n' + name + ' ' + std::to_string(value) + '\n';
  };
  return line("troupe_proxy_loads_total", "counter", s.loads) +
         line("troupe_proxy_load_failures_total", "counter", s.failures) +
         line("troupe_proxy_service_ports", "gauge", s.services) +
         line("troupe_proxy_endpoints", "gauge", s.endpoints) +
         line("troupe_proxy_last_load_timestamp_seconds", "gauge", static_cast<std::uint64_t>(s.loaded_at_s.load()));
}

net::health_answer health_of(const shared_state& s, const std::string& path) {
  if (path == "/metrics") return {200, "text/plain; version=0.0.4; charset=utf-8", metrics_text(s)};
  if (path != "/healthz" && path != "/livez") return {404, "text/plain; charset=utf-8", "404 page not found\n"};
  auto loaded = format_time(sys_micros{std::chrono::seconds{s.loaded_at_s.load()}});
  bool healthy = s.healthy;
  return {healthy ? 200 : 503, "application/json",
          "{\"lastUpdated\":\"" + loaded + "\",\"nodeEligible\":" + (healthy ? "true" : "false") + "}\n"};
}

class proxy_state {
public:
  static inline const char* name = "troupe.proxy";
  explicit proxy_state(caf::event_based_actor* self) : self_(self) {}

  void open(component_env env, proxy_options options) {
    env_ = std::move(env);
    log_ = component_log("proxy");
    counters_ = env_.board->enter("node/proxy");
    recorder_.emplace(self_, env_, "kube-proxy", env_.node_name);
    map_.emplace(env_.node_name);
    worker_ = spawn_proxy_worker(self_, options);
    serve_health(options);
    services_.emplace(env_.state, env_.hub, "services", feed::waker(self_, services_tag));
    slices_.emplace(env_.state, env_.hub, "endpointslices.discovery.k8s.io", feed::waker(self_, slices_tag));
    services_->start();
    slices_->start();
  }

  caf::behavior handlers() {
    return {[this](feed_wake, int tag) { on_wake(tag); },
            [this](rest_over, std::uint64_t epoch) { perform(gate_.timer(epoch)); },
            [this](proxy_status_atom) { return status_text(); }, [this](proxy_flush_atom) { return flush(); }};
  }

private:
  void serve_health(const proxy_options& o) {
    if (o.health_address.empty()) return;
    auto answer = [s = shared_](const std::string& path) { return health_of(*s, path); };
    auto started = net::start_health_server(o.health_address, o.health_port, answer);
    if (started)
      health_ = std::move(*started);
    else
      log_->warn("{}: the proxy works, but answers no health checks", started.error().message);
  }

  void on_wake(int tag) {
    counters_->touch(self_);
    bool more = tag == services_tag ? drain_services() : drain_slices();
    if (more) (tag == services_tag ? services_ : slices_)->again();
    // Half of the picture would remove the other half's rules.
    if (services_->synced() && slices_->synced() && (map_->index.changed() || !loading_begun_)) {
      loading_begun_ = true;
      perform(gate_.changed());
    }
  }

  bool drain_services() {
    auto put = [this](const store::object& o) { map_->index.put_service({o.ns, o.name}, read_service(o.parse())); };
    return services_->drain(
        [&](const store::view& now) {
          map_->index.clear_services();
          now.scan("services", "", [&](const store::object_ptr& o) { return put(*o), true; });
        },
        [&](const store::event& e) {
          if (e.type == store::event_type::deleted)
            map_->index.remove_service({e.current->ns, e.current->name});
          else
            put(*e.current);
        });
  }

  bool drain_slices() {
    auto put = [this](const store::object& o) { map_->index.put_slice(o.ns, o.name, read_slice(o.parse())); };
    return slices_->drain(
        [&](const store::view& now) {
          map_->index.clear_slices();
          now.scan(slices_->table(), "", [&](const store::object_ptr& o) { return put(*o), true; });
        },
        [&](const store::event& e) {
          if (e.type == store::event_type::deleted)
            map_->index.remove_slice(e.current->ns, e.current->name);
          else
            put(*e.current);
        });
  }

  void perform(const apply_gate_core::effect& e) {
    if (e.arm) self_->delayed_send(self_, *e.arm, rest_over::value, e.epoch);
    if (e.apply) load();
  }

  void load() {
    auto wanted = std::make_shared<load_rules>();
    wanted->wanted = map_->compile();
    shared_->services = wanted->wanted.size();
    shared_->endpoints = map_->endpoints();
    self_->request(worker_, limits::proxy_apply_timeout, load_rules_ptr{wanted})
        .then([this](const rules_loaded_ptr& done) { on_loaded(*done); },
              [this](caf::error&) {
                on_loaded({errors::timeout("the rule loader did not answer"), std::chrono::milliseconds{0}, mode_});
              });
  }

  void on_loaded(const rules_loaded& done) {
    mode_ = done.mode;
    shared_->healthy = !done.error;
    if (done.error) {
      ++shared_->failures;
      last_error_ = done.error->message;
      log_->error("loading Service rules ({}): {}", mode_, last_error_);
      recorder_->record(node_reference(), "Warning", "ServiceRulesFailed", last_error_);
    } else {
      ++shared_->loads;
      last_error_.clear();
      shared_->loaded_at_s =
          std::chrono::floor<std::chrono::seconds>(wall_now(self_->clock())).time_since_epoch().count();
      log_->debug("loaded {} Service ports with {} endpoints ({}) in {} ms", shared_->services.load(),
                  shared_->endpoints.load(), mode_, done.cost.count());
    }
    perform(gate_.applied(!done.error, done.cost));
    if (done.error)
      answer_flushes(false);
    else if (gate_.settled())
      answer_flushes(true);
  }

  json::value node_reference() const {
    return {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", env_.node_name}, {"uid", env_.node_name}}}};
  }

  caf::typed_response_promise<bool> flush() {
    auto promise = self_->make_response_promise<caf::typed_response_promise<bool>>();
    if (loading_begun_ && gate_.settled())
      promise.deliver(true);
    else
      flushes_.push_back(promise);
    return promise;
  }

  void answer_flushes(bool ok) {
    for (auto& p : std::exchange(flushes_, {}))
      p.deliver(ok);
  }

  std::string status_text() const {
    return json::serialize(json::value{{"mode", mode_},
                                       {"service_ports", shared_->services.load()},
                                       {"endpoints", shared_->endpoints.load()},
                                       {"loads", shared_->loads.load()},
                                       {"failures", shared_->failures.load()},
                                       {"last_error", last_error_},
                                       {"health_port", health_ ? health_->port() : 0}});
  }

  caf::event_based_actor* self_;
  component_env env_;
  std::shared_ptr<spdlog::logger> log_;
  counters_ptr counters_;
  std::optional<event_recorder> recorder_;
  std::optional<service_map_core> map_;
  apply_gate_core gate_;
  caf::actor worker_;
  std::optional<feed> services_, slices_;
  std::shared_ptr<shared_state> shared_ = std::make_shared<shared_state>();
  std::unique_ptr<net::health_server> health_;
  bool loading_begun_ = false;
  std::string mode_, last_error_;
  std::vector<caf::typed_response_promise<bool>> flushes_;
};

} // namespace

caf::actor spawn_proxy(caf::actor_system& sys, component_env env, proxy_options options) {
  auto body = [env = std::move(env),
               options = std::move(options)](caf::stateful_actor<proxy_state>* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    self->state.open(env, options);
    return self->state.handlers();
  };
  return sys.spawn(body);
}

} // namespace troupe

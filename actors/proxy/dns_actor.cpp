#include "actors/proxy/dns_actor.hpp"

#include "actors/proxy/dns_core.hpp"
#include "actors/proxy/limits.hpp"
#include "actors/support/calls.hpp"
#include "actors/support/feed.hpp"
#include "actors/support/limits.hpp"
#include "net/dns/dns_server.hpp"
#include "net/packet/address.hpp"
#include "store/object.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <optional>

namespace troupe {

namespace {

enum feed_tag { services_tag = 0, slices_tag = 1, namespaces_tag = 2 };
using try_again = caf::atom_constant<caf::atom("tryagain")>;

class dns_state {
public:
  static inline const char* name = "troupe.dns";
  explicit dns_state(caf::event_based_actor* self) : self_(self) {}

  void open(component_env env, dns_options options) {
    env_ = std::move(env);
    options_ = std::move(options);
    log_ = component_log("dns");
    counters_ = env_.board->enter("node/dns");
    services_.emplace(env_.state, env_.hub, "services", feed::waker(self_, services_tag));
    slices_.emplace(env_.state, env_.hub, "endpointslices.discovery.k8s.io", feed::waker(self_, slices_tag));
    namespaces_.emplace(env_.state, env_.hub, "namespaces", feed::waker(self_, namespaces_tag));
    listen();
    for (auto* f : {&*services_, &*slices_, &*namespaces_})
      f->start();
  }

  caf::behavior handlers() {
    return {[this](feed_wake, int tag) { on_wake(tag); }, [this](try_again, std::uint64_t epoch) { on_timer(epoch); },
            [this](dns_status_atom) { return status_text(); }};
  }

private:
  void listen() {
    net::dns_config c;
    c.domain = options_.domain;
    c.address = options_.listen_address;
    c.port = options_.port;
    c.pod_cidr = options_.cluster_cidr;
    c.service_address = options_.service_address;
    c.upstreams = options_.upstreams;
    auto started = net::start_dns_server(c);
    if (!started && started.error().code == 503 && c.port != 0) {
      // Another server holds the port (systemd-resolved, dnsmasq): pods come through the Service anyway.
      log_->warn("{}: a free port is used instead", started.error().message);
      c.port = 0;
      started = net::start_dns_server(c);
    }
    if (!started) {
      log_->error("{}", started.error().message);
      return retry();
    }
    server_ = std::move(*started);
    server_->replace(map_.all(), map_.namespaces());
    log_->info("serving {} on {}:{}", c.domain, c.address, server_->port());
  }

  void on_wake(int tag) {
    counters_->touch(self_);
    if (drain(tag)) feed_of(tag).again();
    auto changes = map_.take_changes();
    if (server_ && !changes.empty()) server_->update(changes);
    reconcile();
  }

  feed& feed_of(int tag) { return tag == services_tag ? *services_ : tag == slices_tag ? *slices_ : *namespaces_; }

  bool drain(int tag) {
    auto& f = feed_of(tag);
    return f.drain(
        [&](const store::view& now) {
          if (tag == services_tag)
            map_.index.clear_services();
          else if (tag == slices_tag)
            map_.index.clear_slices();
          else
            map_.clear_namespaces();
          now.scan(f.table(), "", [&](const store::object_ptr& o) { return put(tag, *o), true; });
        },
        [&](const store::event& e) {
          if (e.type == store::event_type::deleted)
            remove(tag, *e.current);
          else
            put(tag, *e.current);
        });
  }

  void put(int tag, const store::object& o) {
    if (tag == services_tag)
      map_.index.put_service({o.ns, o.name}, read_service(o.parse()));
    else if (tag == slices_tag)
      map_.index.put_slice(o.ns, o.name, read_slice(o.parse()));
    else
      map_.put_namespace(o.name);
  }

  void remove(int tag, const store::object& o) {
    if (tag == services_tag)
      map_.index.remove_service({o.ns, o.name});
    else if (tag == slices_tag)
      map_.index.remove_slice(o.ns, o.name);
    else
      map_.remove_namespace(o.name);
  }

  /// Makes Service kube-system/kube-dns and this node's slice of it what they should be; one write at a time.
  void reconcile() {
    bool synced = services_->synced() && slices_->synced() && namespaces_->synced();
    // What we wrote ourselves must have come back first, or it would be written twice.
    synced = synced && services_->cursor() >= own_service_ && slices_->cursor() >= own_slice_;
    if (writing_ || resting_ || !server_ || !synced || !map_.has_namespace(kube_dns::key.first)) return;
    if (!map_.index.find(kube_dns::key))
      return write(calls::create(env_, refs::services, kube_dns::key.first,
                                 kube_dns::service_document(options_.service_address)));
    auto document = kube_dns::slice_document(env_.node_name, options_.listen_address, server_->port());
    const auto& held = map_.index.slices_of(kube_dns::key);
    auto mine = held.find(kube_dns::slice_name(env_.node_name));
    if (mine == held.end())
      return write(calls::create(env_, refs::endpoint_slices, kube_dns::key.first, std::move(document)));
    if (!(mine->second == read_slice(document))) write(calls::update(env_, refs::endpoint_slices, std::move(document)));
  }

  void write(request_ptr r) {
    writing_ = true;
    self_->request(env_.api, limits::api_timeout, std::move(r))
        .then([this](const response_ptr& done) { on_written(*done); },
              [this](caf::error&) {
                response late;
                late.error = std::make_shared<status>(errors::timeout("the API server did not answer"));
                on_written(late);
              });
  }

  void on_written(const response& done) {
    writing_ = false;
    // 409 says that another node was faster: the watch will show its object.
    if (done.error && done.error->code != 409)
      log_->warn("writing Service kube-system/kube-dns: {}", done.error->message);
    if (done.error) return retry();
    failures_ = 0;
    if (done.object) (done.object->name == kube_dns::key.second ? own_service_ : own_slice_) = done.object->mod;
    reconcile();
  }

  void retry() {
    resting_ = true;
    auto wait = std::min(limits::proxy_backoff_first * (1 << std::min(failures_, 5)), limits::proxy_backoff_max);
    ++failures_;
    self_->delayed_send(self_, wait, try_again::value, ++epoch_);
  }

  void on_timer(std::uint64_t epoch) {
    if (epoch != epoch_) return;
    resting_ = false;
    if (!server_) listen();
    reconcile();
  }

  std::string status_text() const {
    auto c = server_ ? server_->counters() : net::dns_counters{};
    return json::serialize(json::value{{"address", options_.listen_address},
                                       {"port", server_ ? server_->port() : 0},
                                       {"services", map_.index.services().size()},
                                       {"queries", c.queries},
                                       {"forwarded", c.forwarded},
                                       {"forward_failures", c.forward_failures},
                                       {"malformed", c.malformed}});
  }

  caf::event_based_actor* self_;
  component_env env_;
  dns_options options_;
  std::shared_ptr<spdlog::logger> log_;
  counters_ptr counters_;
  dns_map_core map_;
  std::unique_ptr<net::dns_server> server_;
  std::optional<feed> services_, slices_, namespaces_;
  bool writing_ = false, resting_ = false;
  store::revision own_service_ = 0, own_slice_ = 0; // revisions of our last writes
  int failures_ = 0;
  std::uint64_t epoch_ = 0;
};

} // namespace

std::string dns_service_address(std::string_view service_cidr) {
  auto range = net::parse_prefix(service_cidr);
  return range ? net::to_text(range->base + 10) : std::string{};
}

caf::actor spawn_dns(caf::actor_system& sys, component_env env, dns_options options) {
  auto body = [env = std::move(env),
               options = std::move(options)](caf::stateful_actor<dns_state>* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    self->state.open(env, options);
    return self->state.handlers();
  };
  return sys.spawn(body);
}

} // namespace troupe

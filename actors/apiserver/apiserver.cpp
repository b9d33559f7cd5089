#include "actors/apiserver/apiserver.hpp"

#include "actors/apiserver/api_actor.hpp"
#include "actors/apiserver/authenticate.hpp"
#include "actors/apiserver/bootstrap.hpp"
#include "actors/apiserver/front.hpp"

#include <caf/actor_system.hpp>
#include <caf/exit_reason.hpp>
#include <caf/send.hpp>

namespace troupe {

namespace {

using namespace apiserver;

class running_server final : public api_server {
public:
  running_server(caf::actor_system& sys, services_ptr s) : sys_(sys), s_(std::move(s)) {}
  ~running_server() override { stop(); }

  result<void> open() {
    auto tls = tls::server_context::make(s_->options.pki->ca_pem, s_->options.pki->serving);
    if (!tls) return tls.error();
    tls_ = *tls;
    for (unsigned i = 0; i < std::max(1u, s_->options.api_actors); ++i)
      actors_.push_back(spawn_api_actor(sys_, s_, i));
    auto door = std::make_shared<front>(sys_, s_, actors_);
    http::server_options o;
    o.address = s_->options.listen_address;
    o.port = s_->options.port;
    o.threads = s_->options.io_threads;
    o.tls = tls_;
    auto http =
        http::server::start(o, [door](const http::request_view& v, http::exchange& x) { door->on_request(v, x); });
    if (!http) {
      stop();
      return http.error();
    }
    http_ = *http;
    return {};
  }

  /// After the port is known: the bootstrap objects name it.
  void bootstrap() { bootstrap_ = spawn_bootstrap(sys_, s_); }

  void stop() override {
    if (stopped_.exchange(true)) return;
    if (http_) http_->stop();
    caf::anon_send_exit(bootstrap_, caf::exit_reason::user_shutdown);
    bootstrap_ = nullptr;
    for (auto& a : actors_)
      caf::anon_send_exit(a, caf::exit_reason::user_shutdown);
    actors_.clear();
  }

  std::uint16_t port() const noexcept override { return http_ ? http_->port() : 0; }
  bool ready() const noexcept override { return s_->ready; }
  result<void> reload(const tls::pki& renewed) override { return tls_->reload(renewed.ca_pem, renewed.serving); }
  const api_actor& first() const { return actors_.front(); }

private:
  caf::actor_system& sys_;
  services_ptr s_;
  std::shared_ptr<tls::server_context> tls_;
  std::shared_ptr<http::server> http_;
  std::vector<api_actor> actors_;
  caf::actor bootstrap_;
  std::atomic<bool> stopped_{false};
};

} // namespace

result<api_handles> spawn_apiserver(caf::actor_system& sys, api_options options) {
  auto range = ip_range::parse(options.service_cidr);
  if (!range) return range.error();
  if (!options.pki) return errors::internal("the api server needs keys and certificates");
  auto tokens = tls::token_signer::make(options.pki->service_account_key_pem, std::string(api_audience));
  if (!tokens) return tokens.error();
  auto s = std::make_shared<services>();
  s->options = std::move(options);
  s->service_ips = *range;
  s->tokens = *tokens;
  s->rbac = std::make_shared<rbac_index>(s->options.state, s->options.hub);
  s->pins = std::make_shared<view_pins>();
  s->server_address = s->options.advertise_address + ":" + std::to_string(s->options.port);
  auto server = std::make_shared<running_server>(sys, s);
  if (auto r = server->open(); !r) return r.error();
  if (s->options.port == 0) s->server_address = s->options.advertise_address + ":" + std::to_string(server->port());
  server->bootstrap();
  return api_handles{server->first(), server->port(), server};
}

} // namespace troupe

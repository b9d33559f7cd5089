#include "actors/proxy/proxy_worker.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/stateful_actor.hpp>

namespace troupe {

namespace {

net::proxy_config config_of(const proxy_options& o) { return {o.cluster_id, o.cluster_cidr, o.service_cidr}; }

class proxy_worker_state {
public:
  static inline const char* name = "troupe.proxy-worker";
  explicit proxy_worker_state(caf::event_based_actor* self) : self_(self) {}

  void open(proxy_options o) {
    options_ = std::move(o);
    rules_ = options_.make_rules ? options_.make_rules() : net::make_service_proxy(config_of(options_), options_.mode);
    self_->set_default_handler(caf::drop);
  }

  rules_loaded_ptr load(const load_rules& wanted) {
    auto out = std::make_shared<rules_loaded>();
    out->mode = rules_->mode();
    auto begin = self_->clock().now();
    if (auto done = rules_->apply(wanted.wanted); !done)
      out->error = done.error();
    else if (auto cleared = clear_other_mode(); !cleared)
      out->error = cleared.error();
    out->cost = std::chrono::duration_cast<std::chrono::milliseconds>(self_->clock().now() - begin);
    return out;
  }

private:
  /// What a former process in the other mode left; once, behind the first load, so that no moment is without rules.
  result<void> clear_other_mode() {
    if (options_.make_rules || cleared_) return {};
    bool nft = std::string_view{rules_->mode()} == "nftables";
    auto other = nft ? net::make_iptables_proxy(config_of(options_)) : net::make_nftables_proxy(config_of(options_));
    if (auto done = other->remove_all(); !done && nft) return done;
    cleared_ = true;
    return {};
  }

  caf::event_based_actor* self_;
  proxy_options options_;
  std::unique_ptr<net::service_proxy> rules_;
  bool cleared_ = false;
};

} // namespace

caf::actor spawn_proxy_worker(caf::event_based_actor* parent, const proxy_options& options) {
  auto body = [options](caf::stateful_actor<proxy_worker_state>* self) -> caf::behavior {
    self->state.open(options);
    return {[self](const load_rules_ptr& wanted) { return self->state.load(*wanted); }};
  };
  // A given loader does not block; under virtual time it must run on the test's own thread.
  if (options.make_rules) return parent->spawn<caf::linked>(body);
  return parent->spawn<caf::linked + caf::detached>(body);
}

result<void> remove_proxy_rules(const std::string& cluster_id) {
  net::proxy_config c{cluster_id, {}, {}};
  if (auto done = net::make_iptables_proxy(c)->remove_all(); !done) return done;
  // Without nf_tables in the kernel there is no table of ours either.
  auto nft = net::make_nftables_proxy(c)->remove_all();
  if (!nft && std::string_view{net::make_service_proxy(c, "auto")->mode()} == "nftables") return nft;
  return {};
}

} // namespace troupe

#include "net/packet/conntrack.hpp"
#include "net/packet/iptables.hpp"
#include "net/service/iptables_planner.hpp"
#include "net/service/stale_flows.hpp"

#include <optional>

namespace troupe::net {

namespace {

class iptables_proxy final : public service_proxy {
public:
  explicit iptables_proxy(const proxy_config& c) : config_(c) {}

  result<void> apply(const std::vector<service_port>& wanted) override {
    auto plan = plan_iptables(wanted, config_);
    if (auto done = load(plan); !done) {
      held_.reset(); // unknown now: the next call asks the kernel
      return done;
    }
    auto stale = stale_flows_between(services_, wanted, !held_);
    held_ = std::move(plan);
    services_ = wanted;
    if (auto cleaned = forget_udp_flows(stale); !cleaned) return cleaned.error();
    return {};
  }

  result<void> remove_all() override {
    held_.reset();
    services_.clear();
    for (auto b : iptables::in_use())
      for (std::string_view table : {"nat", "filter"}) {
        auto saved = iptables::save(b, table);
        if (!saved) return saved.error();
        if (auto done = iptables::restore(b, removal_iptables(table, *saved, config_)); !done) return done;
      }
    return {};
  }

  const char* mode() const noexcept override { return "iptables"; }

private:
  result<void> load(const iptables_rules& plan) {
    if (held_) return iptables::restore(backend_, diff_iptables(*held_, plan));
    auto picked = iptables::pick();
    if (!picked) return picked.error();
    backend_ = *picked;
    iptables_kernel kernel;
    for (std::string_view table : {"nat", "filter"}) {
      auto saved = iptables::save(backend_, table);
      if (!saved) return saved.error();
      auto read = read_iptables(table, *saved, iptables_prefix(config_));
      kernel.tables.merge(read.tables);
      kernel.jumps.merge(read.jumps);
    }
    return iptables::restore(backend_, reconcile_iptables(kernel, plan));
  }

  const proxy_config config_;
  iptables::backend backend_ = iptables::backend::nft;
  std::optional<iptables_rules> held_;
  std::vector<service_port> services_;
};

} // namespace

std::unique_ptr<service_proxy> make_iptables_proxy(const proxy_config& c) {
  return std::make_unique<iptables_proxy>(c);
}

} // namespace troupe::net

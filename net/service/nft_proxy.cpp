#include "net/packet/conntrack.hpp"
#include "net/packet/nft.hpp"
#include "net/service/nft_planner.hpp"
#include "net/service/stale_flows.hpp"

#include <optional>

namespace troupe::net {

namespace {

class nft_proxy final : public service_proxy {
public:
  explicit nft_proxy(const proxy_config& c) : config_(c) {}

  result<void> apply(const std::vector<service_port>& wanted) override {
    auto plan = plan_nft(wanted, config_);
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
    auto table = "table ip " + nft_table(config_);
    return nft::run("add " + table + "\ndelete " + table + "\n");
  }

  const char* mode() const noexcept override { return "nftables"; }

private:
  result<void> load(const nft_rules& plan) {
    if (held_) return nft::run(diff_nft(*held_, plan));
    nft_rules found;
    // A table that does not exist yet is an error of the listing and an empty state here.
    if (auto listed = nft::list("list table ip " + plan.table)) found = read_nft(*listed, plan);
    return nft::run(diff_nft(found, plan));
  }

  const proxy_config config_;
  std::optional<nft_rules> held_;
  std::vector<service_port> services_;
};

} // namespace

std::unique_ptr<service_proxy> make_nftables_proxy(const proxy_config& c) { return std::make_unique<nft_proxy>(c); }

std::unique_ptr<service_proxy> make_service_proxy(const proxy_config& c, std::string_view mode) {
  if (mode == "iptables") return make_iptables_proxy(c);
  if (mode == "nftables" || nft::available()) return make_nftables_proxy(c);
  return make_iptables_proxy(c);
}

} // namespace troupe::net

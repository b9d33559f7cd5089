#include "actors/node/node.hpp"

#include "actors/link/basp_session.hpp"
#include "actors/node/master_part.hpp"
#include "actors/node/node_base.hpp"
#include "actors/node/pod_range.hpp"
#include "actors/node/worker_part.hpp"
#include "actors/support/scheduling.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <optional>
#include <thread>

namespace troupe::node {

namespace fs = std::filesystem;

namespace {

/// CAF settings that every node states explicitly (field guide, section 0). Only masters that have others to talk to
/// load the middleman: it costs threads, and listens to nobody by itself.
struct system_config : caf::actor_system_config {
  explicit system_config(bool links) {
    if (links) configure_middleman(*this);
    configure_scheduler(*this, std::max<std::size_t>(2, std::thread::hardware_concurrency()));
  }
};

class live_node final : public running_node {
public:
  explicit live_node(const node_options& o) {
    base_.options = o;
    base_.log = component_log("node");
  }
  ~live_node() override { stop(); }

  result<void> start();
  void stop() override;
  std::uint16_t api_port() const override { return master_ ? master_->api_port() : 0; }
  std::string kubeconfig_path() const override { return base_.options.data_dir + "/admin.kubeconfig"; }

private:
  result<void> open_directories();
  result<void> open_keys();
  result<void> open_pod_network();
  worker_part::env_source env_source();
  void supervise();

  node_base base_;
  std::unique_ptr<system_config> config_;
  std::unique_ptr<caf::actor_system> system_;
  std::optional<master_part> master_;
  std::optional<worker_part> worker_;
  caf::actor supervisor_;
  std::atomic<bool> stopped_{false};
};

result<void> live_node::open_directories() {
  const auto& options = base_.options;
  auto known = open_identity(options.data_dir, options.cluster);
  if (!known) return known.error();
  base_.cluster = std::move(*known);
  base_.layout = layout_of(options.data_dir, options.self.name, base_.cluster);
  std::error_code ec;
  fs::create_directories(base_.layout.node_dir, ec);
  if (ec) return errors::bad_request("cannot make " + base_.layout.node_dir + ": " + ec.message());
  return {};
}

result<void> live_node::open_keys() {
  // A machine may have another address each time, unless the config says which.
  const bool any = base_.founded_alone() && base_.self().address.empty();
  if (!any) base_.address = address_of(base_.cluster, base_.self());
  if (base_.address.empty()) base_.address = net::host_address();
  const auto network = worker_ ? worker_->network() : nullptr;
  // A host without any network of its own: pods still reach it over the bridge.
  if (base_.address.starts_with("127.") && network) base_.address = network->gateway();
  if (base_.founded_alone()) {
    base_.cluster.alone.address = base_.address;
    if (auto noted = note_address(base_.options.data_dir, base_.address); !noted) return noted;
  }
  std::vector<std::string> addresses{base_.address};
  if (network) addresses.push_back(network->gateway());
  auto made = open_node_keys(base_.options, base_.cluster, addresses);
  if (!made) return made.error();
  base_.keys = std::move(*made);
  return {};
}

worker_part::env_source live_node::env_source() {
  if (master_) return [this](identity who) { return master_->env(std::move(who)); };
  return [this](identity who) { return worker_->env(std::move(who)); };
}

/// The cluster says which part of the pod range is this node's.
result<void> live_node::open_pod_network() {
  auto range = claim_pod_range(base_, worker_->kubelet_env(env_source()));
  if (!range) return range.error();
  return worker_->open_network(*range);
}

void live_node::supervise() {
  std::vector<child_spec> children;
  if (master_) children = master_->watched();
  worker_part::announce_kubelet announce;
  if (master_) announce = [this](const kubelet_actor& door) { master_->serve(door); };
  if (worker_)
    for (auto& c : worker_->components(env_source(), std::move(announce)))
      children.push_back(std::move(c));
  supervisor_ = spawn_supervisor(*system_, base_.board, std::move(children), [l = base_.log](std::string why) {
    l->critical("node goes down: {}", why);
    l->flush();
    std::_Exit(1);
  });
  if (worker_) worker_->on_start_over([s = supervisor_] { caf::anon_send(s, renew_children::value); });
}

result<void> live_node::start() {
  if (auto r = open_directories(); !r) return r;
  const auto fixed_range = fixed_pod_range(base_.cluster, base_.self().name);
  if (base_.self().worker) {
    worker_.emplace(base_);
    if (auto r = worker_->open_host(); !r) return r;
    if (!fixed_range.empty())
      if (auto r = worker_->open_network(fixed_range); !r) return r;
  }
  if (auto r = open_keys(); !r) return r;
  config_ = std::make_unique<system_config>(base_.can_grow() && base_.self().master);
  system_ = std::make_unique<caf::actor_system>(*config_);
  base_.system = system_.get();
  if (base_.self().master) {
    master_.emplace(base_);
    if (auto r = master_->open(worker_ ? worker_->images() : nullptr); !r) return r;
    if (auto r = master_->await_ready(); !r) return r;
  } else if (auto r = worker_->open_link(); !r) {
    return r;
  }
  if (worker_ && fixed_range.empty())
    if (auto r = open_pod_network(); !r) return r;
  supervise();
  return {};
}

void live_node::stop() {
  if (stopped_.exchange(true) || !system_) return;
  if (supervisor_) {
    // Components first: they still write through the API, and the API through the store.
    caf::scoped_actor self{*system_};
    self->request(supervisor_, caf::infinite, stop_children::value).receive([](bool) {}, [](caf::error&) {});
  }
  supervisor_ = nullptr;
  if (worker_) worker_->stop();
  if (master_) master_->stop();
  worker_.reset();
  master_.reset();
  base_.system = nullptr;
  system_.reset();
  base_.log->info("stopped");
}

} // namespace

result<std::unique_ptr<running_node>> start_node(const node_options& options) {
  auto node = std::make_unique<live_node>(options);
  if (auto r = node->start(); !r) {
    node->stop();
    return r.error();
  }
  return std::unique_ptr<running_node>{std::move(node)};
}

} // namespace troupe::node

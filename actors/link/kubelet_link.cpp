#include "actors/link/kubelet_link.hpp"

#include "actors/support/component.hpp"

#include <spdlog/spdlog.h>

namespace troupe::link {

bool kubelet_link::complaints::news(const std::string& master, const std::string& why) {
  std::lock_guard lock(mutex);
  return std::exchange(last[master], why) != why;
}

kubelet_link::kubelet_link(caf::actor_system& sys, kubelet_link_options o)
    : own_(o.node_name), sessions_(std::make_shared<master_sessions>(
                             sys, master_sessions_options{"kubelet-link", std::move(o.tls), std::move(o.node_name),
                                                          std::move(o.cluster_id), std::move(o.is_master)})) {
  const auto log = component_log("link");
  master_sessions_events e;
  e.opened = [log, told = told_](std::uint64_t, const welcome& w, const frame_link_ptr&) {
    (void)told->news(w.master, {});
    log->info("master {} reaches the kubelet of this node", w.master);
  };
  // A master tells every session how it is and where the others are; the store of this node says the same.
  e.said = [](std::uint64_t, const message&, const frame_link_ptr& link, std::size_t bytes) { link->release(bytes); };
  e.over = [log](std::uint64_t, const std::string& why) {
    log->info("a master no longer reaches the kubelet of this node: {}", why);
  };
  e.failed = [log, told = told_](const master_address& to, const std::string& why) {
    if (told->news(to.name, why)) log->warn("master {} does not reach the kubelet of this node: {}", to.name, why);
  };
  sessions_->tell(std::move(e));
}

void kubelet_link::set_masters(const std::vector<master_address>& masters) {
  std::vector<master_address> others;
  for (const auto& m : masters)
    if (m.name != own_) others.push_back(m);
  sessions_->dial(others);
}

} // namespace troupe::link

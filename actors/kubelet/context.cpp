#include "actors/kubelet/context.hpp"

#include "actors/support/clock.hpp"

#include <boost/asio/ip/network_v4.hpp>
#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

namespace troupe::kubelet {

wall_time kubelet_context::now(caf::event_based_actor* self) const {
  if (options.wall_clock) return options.wall_clock();
  return std::chrono::time_point_cast<wall_time::duration>(wall_now(self->clock()));
}

void exit_board::listen(const std::string& container_id, std::weak_ptr<void> owner, std::function<void()> fn) {
  std::lock_guard lock{mutex_};
  std::erase_if(listeners_, [](const auto& l) { return l.second.owner.expired(); });
  listeners_.emplace(container_id, listener{std::move(owner), std::move(fn)});
}

void exit_board::fire(const std::string& container_id) {
  std::vector<listener> due;
  {
    std::lock_guard lock{mutex_};
    auto [from, to] = listeners_.equal_range(container_id);
    for (auto it = from; it != to; ++it)
      due.push_back(std::move(it->second));
    listeners_.erase(from, to);
  }
  for (const auto& l : due)
    if (auto alive = l.owner.lock()) l.fn();
}

std::string nth_address(std::string_view cidr, std::uint32_t n) {
  boost::system::error_code ec;
  auto network = boost::asio::ip::make_network_v4(std::string{cidr}, ec);
  if (ec) return {};
  auto size = std::uint32_t{1} << (32 - std::min<int>(network.prefix_length(), 31));
  return boost::asio::ip::address_v4{network.network().to_uint() + n % size}.to_string();
}

cluster_reader read_through(std::shared_ptr<store::published> state) {
  cluster_reader r;
  r.get = [state](std::string_view table, std::string_view ns,
                  std::string_view name) -> std::shared_ptr<const json::value> {
    auto object = state->current()->get(table, ns, name);
    if (!object) return nullptr;
    return std::make_shared<const json::value>(object->parse());
  };
  r.list = [state](std::string_view table, std::string_view ns, const std::function<void(const json::value&)>& fn) {
    state->current()->scan(table, ns, [&](const store::object_ptr& o) {
      fn(o->parse());
      return true;
    });
  };
  return r;
}

json::value document_of(const response& r) {
  if (r.object) return r.object->parse();
  boost::system::error_code ec;
  auto v = json::parse(r.body, ec);
  return ec ? json::value{} : v;
}

} // namespace troupe::kubelet

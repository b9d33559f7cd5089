#include "net/pod/address_pool.hpp"

namespace troupe::net {

address_pool::address_pool(ipv4_prefix range) noexcept : range_(range), next_(range.base + 2) {}

std::uint32_t address_pool::capacity() const noexcept {
  return range_.length > 30 ? 0 : range_.size() - 3; // network, gateway and broadcast address
}

bool address_pool::usable(std::uint32_t a) const noexcept {
  return capacity() > 0 && a >= range_.base + 2 && a <= range_.base + 1 + capacity();
}

std::uint32_t address_pool::after(std::uint32_t a) const noexcept { return usable(a + 1) ? a + 1 : range_.base + 2; }

std::optional<std::uint32_t> address_pool::find(const std::string& owner) const {
  auto at = by_owner_.find(owner);
  if (at == by_owner_.end()) return std::nullopt;
  return at->second;
}

std::optional<std::uint32_t> address_pool::take(const std::string& owner) {
  if (auto known = find(owner)) return known;
  if (by_owner_.size() >= capacity()) return std::nullopt;
  auto candidate = next_;
  while (by_address_.contains(candidate))
    candidate = after(candidate);
  restore(owner, candidate);
  return candidate;
}

bool address_pool::restore(const std::string& owner, std::uint32_t address) {
  if (!usable(address)) return false;
  if (auto at = by_address_.find(address); at != by_address_.end()) return at->second == owner;
  release(owner);
  by_owner_[owner] = address;
  by_address_[address] = owner;
  next_ = after(address);
  return true;
}

bool address_pool::release(const std::string& owner) {
  auto at = by_owner_.find(owner);
  if (at == by_owner_.end()) return false;
  by_address_.erase(at->second);
  by_owner_.erase(at);
  return true;
}

std::vector<std::string> address_pool::owners() const {
  std::vector<std::string> out;
  out.reserve(by_owner_.size());
  for (const auto& [owner, address] : by_owner_)
    out.push_back(owner);
  return out;
}

} // namespace troupe::net

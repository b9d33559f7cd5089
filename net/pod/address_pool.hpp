// address_pool: which pod holds which address of the node's pod CIDR; a freed address is used last.
// Owner:  bridge_network, under its mutex; pure.
// Units:  host byte order; the first address is the gateway, the last the broadcast address: neither is given out.
// Errors: take returns nullopt when every address is held.
// Source: CNI host-local.
//
// Example: 10.0.0.0/29 gives .2 .3 .4; after freeing .2 the next is .5, so that peers which still talk to .2 do not
// reach another pod at once.
#pragma once

#include "net/packet/address.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace troupe::net {

class address_pool {
public:
  explicit address_pool(ipv4_prefix range) noexcept;

  std::uint32_t gateway() const noexcept { return range_.base + 1; }
  std::uint32_t capacity() const noexcept;
  std::size_t held() const noexcept { return by_owner_.size(); }
  std::optional<std::uint32_t> find(const std::string& owner) const;
  /// The owner's address, or a fresh one.
  std::optional<std::uint32_t> take(const std::string& owner);
  /// Repeats what was taken before (journal, kernel); false when the address is out of range or held by another.
  bool restore(const std::string& owner, std::uint32_t address);
  bool release(const std::string& owner);
  std::vector<std::string> owners() const;

private:
  bool usable(std::uint32_t a) const noexcept;
  std::uint32_t after(std::uint32_t a) const noexcept;

  ipv4_prefix range_;
  std::uint32_t next_;
  std::unordered_map<std::string, std::uint32_t> by_owner_;
  std::unordered_map<std::uint32_t, std::string> by_address_;
};

} // namespace troupe::net

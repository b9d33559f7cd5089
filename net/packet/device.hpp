// device: names, hardware addresses and kernel settings of the devices this room makes.
// Owner:  -; write_sysctl blocks for microseconds and acts on the calling thread's network namespace.
// Units:  addresses in host byte order.
// Errors: status naming the setting and the system's reason.
// Source: CNI (hardware address from the IPv4 address).
#pragma once

#include "net/packet/netlink.hpp"

#include <string>

namespace troupe::net {

/// Derived from the address, so that a neighbour's ARP entry stays right when an address gets a new owner.
mac_address mac_of(std::uint32_t address);
/// `troupe` and nine characters of a hash: a device name has at most fifteen; the alias tells bridge and owner in full.
std::string device_name(const std::string& bridge, const std::string& owner);
/// Writes /proc/sys/KEY when it holds something else.
result<void> write_sysctl(const std::string& key, const char* value);

} // namespace troupe::net

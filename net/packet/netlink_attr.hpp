// netlink_attr: walks the attributes of a netlink message; libmnl's macros for that do not compile as C++.
// Owner:  -
// Units:  -
// Errors: malformed tails end the walk.
// Source: libmnl.
#pragma once

#include <cstddef>
#include <libmnl/libmnl.h>

namespace troupe::net {

template <class Fn>
void each_nested(const nlattr* nest, Fn fn) {
  const auto* end = static_cast<const char*>(mnl_attr_get_payload(nest)) + mnl_attr_get_payload_len(nest);
  for (auto* a = static_cast<const nlattr*>(mnl_attr_get_payload(nest));
       mnl_attr_ok(a, static_cast<int>(end - reinterpret_cast<const char*>(a))); a = mnl_attr_next(a))
    fn(a);
}

/// `offset_bytes` is the size of the fixed header in front of the attributes.
template <class Fn>
void each_attribute(const nlmsghdr* h, std::size_t offset_bytes, Fn fn) {
  const auto* end = static_cast<const char*>(mnl_nlmsg_get_payload_tail(h));
  for (auto* a = static_cast<const nlattr*>(mnl_nlmsg_get_payload_offset(h, offset_bytes));
       mnl_attr_ok(a, static_cast<int>(end - reinterpret_cast<const char*>(a))); a = mnl_attr_next(a))
    fn(a);
}

} // namespace troupe::net

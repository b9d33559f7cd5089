// mesh_messages: what gateways of two masters say to each other over BASP.
// Owner:  -; registered by configure_middleman under short names, which travel in every message.
// Units:  instants are the sender's own clock, given back to it.
// Errors: -
// Source: ours. Every message names its link, so that one of an earlier link is known as such.
#pragma once

#include <caf/meta/type_name.hpp>

#include <cstdint>
#include <string>

namespace troupe::mesh {

/// Dialer -> acceptor, first message: this BASP connection is the session whose hello was answered with `link`.
struct attach {
  std::uint64_t link = 0;
};
/// Acceptor -> dialer: it is.
struct attached {
  std::uint64_t link = 0;
};
/// A piece of an encoded parcel, in order; `last` completes it.
struct part {
  std::uint64_t link = 0;
  std::uint8_t last = 0;
  std::string bytes;
};
/// Everything up to here has arrived: bytes of this link, from its beginning.
struct taken {
  std::uint64_t link = 0;
  std::uint64_t bytes = 0;
};
struct ping {
  std::uint64_t link = 0;
  std::int64_t at_ns = 0;
};
struct pong {
  std::uint64_t link = 0;
  std::int64_t at_ns = 0;
};

template <class I>
typename I::result_type inspect(I& f, attach& x) {
  return f(caf::meta::type_name("ma"), x.link);
}
template <class I>
typename I::result_type inspect(I& f, attached& x) {
  return f(caf::meta::type_name("md"), x.link);
}
template <class I>
typename I::result_type inspect(I& f, part& x) {
  return f(caf::meta::type_name("mp"), x.link, x.last, x.bytes);
}
template <class I>
typename I::result_type inspect(I& f, taken& x) {
  return f(caf::meta::type_name("mt"), x.link, x.bytes);
}
template <class I>
typename I::result_type inspect(I& f, ping& x) {
  return f(caf::meta::type_name("mi"), x.link, x.at_ns);
}
template <class I>
typename I::result_type inspect(I& f, pong& x) {
  return f(caf::meta::type_name("mo"), x.link, x.at_ns);
}

} // namespace troupe::mesh

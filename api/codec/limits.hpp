// limits: bounds of every decoder of request bodies.
// Owner:  nobody; constants.
// Units:  as each name says.
// Errors: overflow answers 400 BadRequest; the size of a body is bounded by the HTTP front before it comes here.
// Source: ours; kube-apiserver bounds bodies at 3 MiB and nesting at 10,000, far more than any real object needs.
#pragma once

#include <cstddef>

namespace troupe::codec::limits {

/// Nesting of objects and arrays; real objects stay below 40, CRD schemas below 100.
inline constexpr std::size_t depth_max = 256;
/// Values a YAML document may become once its aliases are expanded.
inline constexpr std::size_t yaml_values_max = 1'000'000;
/// Bytes of scalars a YAML document may become once its aliases are expanded.
inline constexpr std::size_t yaml_bytes_max = 16u << 20;
/// Duplicate keys reported; further ones are only counted.
inline constexpr std::size_t duplicates_max = 100;
/// Values one protobuf body may become; each costs at least two bytes on the wire.
inline constexpr std::size_t protobuf_values_max = 2'000'000;

} // namespace troupe::codec::limits

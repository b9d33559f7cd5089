// protobuf_encode: JSON documents to Kubernetes protobuf, the other way round than the server needs it.
// Owner:  unit tests.
// Units:  -
// Errors: none; what a type does not know is left out.
// Source: k8s API level 1.32, section 3.
#pragma once

#include "api/json.hpp"
#include "api/schema/registry.hpp"

#include <string>

namespace troupe::test {

/// With the envelope `k8s\0`.
std::string to_protobuf(const json::value& doc, const schema::type& t);
/// Fields of the message only.
std::string message_bytes(const json::object& o, const schema::type& t);

} // namespace troupe::test

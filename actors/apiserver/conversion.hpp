// conversion: between the versions of one stored kind: events of core and events.k8s.io, autoscaling v1 and v2.
// Owner:  -; pure.
// Units:  -
// Errors: none; what the target version lacks goes to the annotations Kubernetes uses, or is dropped.
// Source: k8s API section 10; Kubernetes conversion functions.
#pragma once

#include "api/schema/registry.hpp"

namespace troupe::apiserver {

/// From the request's version to the stored one, in place. Nothing happens for kinds of one version.
void to_stored(const schema::resource& from, json::value& doc);
/// From the stored version to `to`, in place.
void from_stored(const schema::resource& to, json::value& doc);

} // namespace troupe::apiserver

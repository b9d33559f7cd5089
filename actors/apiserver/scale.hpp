// scale: the Scale view of a workload.
// Owner:  -; pure.
// Units:  -
// Errors: -
// Source: k8s API section 19.
#pragma once

#include "actors/apiserver/write.hpp"

namespace troupe::apiserver {

json::value scale_of(const schema::resource& res, const json::value& parent);

} // namespace troupe::apiserver

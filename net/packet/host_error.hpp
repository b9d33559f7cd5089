// host_error: a failure of the host or kernel, told in our own sentence.
// Owner:  -
// Units:  code 500.
// Errors: -
// Source: ours; errors::internal would put "Internal error occurred" in front, which helps nobody at a console.
#pragma once

#include "api/status.hpp"

#include <string>

namespace troupe::net {

inline status host_error(std::string message) {
  status out;
  out.message = std::move(message);
  return out;
}

} // namespace troupe::net

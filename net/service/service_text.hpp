// service_text: names and words that both planners derive from a Service port.
// Owner:  -; pure.
// Units:  hashes in base 32, lower case.
// Errors: -
// Source: ours.
#pragma once

#include "net/service/service_rules.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::net {

/// `ns/name:port`, safe inside a quoted comment.
std::string identity_of(const service_port&);
/// `characters` letters and digits that stand for the text; the same in every build and on every machine.
std::string short_hash(std::string_view text, std::size_t characters);
/// Fingerprint of rules in order, with their number.
std::string fingerprint_of(const std::vector<std::string>& rules);
std::vector<service_endpoint> local_only(const std::vector<service_endpoint>&);
/// The endpoints that traffic to the cluster address / from outside may use.
std::vector<service_endpoint> internal_endpoints(const service_port&);
std::vector<service_endpoint> external_endpoints(const service_port&);
/// Ports that no rule can express (bad address, port 0) are left out; duplicates of one address and port keep the
/// first in (namespace, name, port) order, so that two clusters of rules never fight.
std::vector<service_port> usable(const std::vector<service_port>&);

} // namespace troupe::net

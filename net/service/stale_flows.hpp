// stale_flows: which UDP flows must be forgotten when Services change, since UDP clients never reconnect.
// Owner:  the service proxies; pure.
// Units:  -
// Errors: -
// Source: kube-proxy conntrack cleanup.
#pragma once

#include "net/packet/conntrack.hpp"
#include "net/service/service_rules.hpp"

#include <vector>

namespace troupe::net {

/// Flows to endpoints that left, and untranslated flows to Services that got their first endpoint. With `first` the
/// former state is unknown (a restart): every flow that leads to none of the present endpoints is named.
std::vector<stale_flow> stale_flows_between(const std::vector<service_port>& before,
                                            const std::vector<service_port>& after, bool first);

} // namespace troupe::net

// own_endpoints: the Service default/kubernetes and where it leads: every master that answers.
// Owner:  free functions; pure.
// Units:  ports; IPv4 addresses as text.
// Errors: -
// Source: Kubernetes' endpoint reconciler; ours: no leases, because the leader knows whom it has heard of.
#pragma once

#include "actors/apiserver/services.hpp"
#include "api/meta/names.hpp"
#include "api/meta/time.hpp"

#include <set>
#include <vector>

namespace troupe::apiserver {

struct api_address {
  std::string ip;
  std::uint16_t port = 0;
  friend auto operator<=>(const api_address&, const api_address&) = default;
};

/// Of the masters in the directory but those in `down`, sorted; of this server alone when the directory is empty.
std::vector<api_address> master_addresses(const services& s, const store::view& state,
                                          const std::set<store::member_id>& down);

/// Service, Endpoints and, for each port in use, an EndpointSlice.
std::vector<json::value> own_service_objects(const services& s, const std::vector<api_address>& up);

/// Slices of ports that nobody uses any more.
void erase_old_slices(store::txn& change, const store::view& state, const std::vector<api_address>& up);

} // namespace troupe::apiserver

// calls: builds the requests that components send to the api actor.
// Owner:  -; pure.
// Units:  -
// Errors: a response with code >= 400 carries the Status.
// Source: Kubernetes REST verbs.
//
// Use: self->request(env.api, limits::api_timeout, calls::create(env, refs::pods, ns, doc))
//        .then([=](const response_ptr& r) {…}, [=](caf::error& e) {…});
#pragma once

#include "actors/support/component.hpp"

#include <string>

namespace troupe {

struct resource_ref {
  std::string_view group, version, plural;
};

namespace refs {
inline constexpr resource_ref pods{"", "v1", "pods"};
inline constexpr resource_ref nodes{"", "v1", "nodes"};
inline constexpr resource_ref events{"", "v1", "events"};
inline constexpr resource_ref services{"", "v1", "services"};
inline constexpr resource_ref endpoints{"", "v1", "endpoints"};
inline constexpr resource_ref config_maps{"", "v1", "configmaps"};
inline constexpr resource_ref secrets{"", "v1", "secrets"};
inline constexpr resource_ref namespaces{"", "v1", "namespaces"};
inline constexpr resource_ref service_accounts{"", "v1", "serviceaccounts"};
inline constexpr resource_ref deployments{"apps", "v1", "deployments"};
inline constexpr resource_ref replica_sets{"apps", "v1", "replicasets"};
inline constexpr resource_ref endpoint_slices{"discovery.k8s.io", "v1", "endpointslices"};
inline constexpr resource_ref leases{"coordination.k8s.io", "v1", "leases"};
} // namespace refs

namespace calls {

request_ptr get(const component_env&, resource_ref, std::string ns, std::string name, std::string subresource = {});
request_ptr create(const component_env&, resource_ref, std::string ns, json::value doc, std::string name = {},
                   std::string subresource = {});
/// Namespace and name are taken from the document; its resourceVersion makes the update conditional.
request_ptr update(const component_env&, resource_ref, json::value doc, std::string subresource = {});
request_ptr merge_patch(const component_env&, resource_ref, std::string ns, std::string name, json::value patch,
                        std::string subresource = {});
request_ptr strategic_patch(const component_env&, resource_ref, std::string ns, std::string name, json::value patch,
                            std::string subresource = {});
request_ptr json_patch(const component_env&, resource_ref, std::string ns, std::string name, json::value patch,
                       std::string subresource = {});
/// `options` is a DeleteOptions document or null.
request_ptr remove(const component_env&, resource_ref, std::string ns, std::string name, json::value options = nullptr);

} // namespace calls
} // namespace troupe

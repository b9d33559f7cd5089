// pod_range: the pod network of a node of several: registers the Node, waits until the cluster gave it a range, and
//            remembers that range for starts without any master in reach.
// Owner:  the worker's part of a node, before its network is made; blocks.
// Units:  a network of node_pod_bits bits.
// Errors: a Node whose range changed under pods that still have the old one is refused with both ranges.
// Source: Kubernetes: kubelets of clusters with node IPAM wait for spec.podCIDR too.
#pragma once

#include "actors/node/node_base.hpp"

namespace troupe::node {

/// What was remembered in DIR/NAME/pods.json; empty when nothing.
std::string remembered_pod_range(const std::string& node_dir);
/// Makes the Node when there is none and waits for its range. `env` is the kubelet's.
result<std::string> claim_pod_range(const node_base& base, const component_env& env);

} // namespace troupe::node

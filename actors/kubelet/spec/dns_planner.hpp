// dns_planner: resolv.conf, hostname and hosts file of a pod.
// Owner:  nobody; pure.
// Units:  at most 3 nameservers and 32 search domains, as glibc and the kubelet allow.
// Errors: -
// Source: Kubernetes DNS for Services and Pods; kubelet dns.Configurer.
#pragma once

#include "api/json.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::kubelet {

struct dns_setup {
  std::string cluster_dns, cluster_domain;
  std::string host_resolv_conf; // text of the host's file
};

std::string plan_resolv_conf(const json::value& pod, const dns_setup& setup);
/// Name of the UTS namespace: spec.hostname or the pod's name, at most 63 characters; with setHostnameAsFQDN the whole.
std::string plan_hostname(const json::value& pod, std::string_view cluster_domain, std::string_view node_hostname);
/// `host_hosts` is the host's file, used with hostNetwork.
std::string plan_hosts(const json::value& pod, std::string_view pod_ip, std::string_view cluster_domain,
                       std::string_view host_hosts);

} // namespace troupe::kubelet

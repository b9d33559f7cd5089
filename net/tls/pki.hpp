// pki: the cluster's keys and certificates: made at first start, loaded and renewed afterwards.
// Owner:  the node that starts; values are immutable strings, safe on any thread.
// Units:  PEM text; validity in days (limits::ca_days, limits::leaf_days).
// Errors: a file that cannot be read, parsed or written, with its path and what to do.
// Source: Kubernetes PKI requirements (CN is the user, O the groups); ours: EC P-256 throughout.
#pragma once

#include "api/identity.hpp"
#include "api/status.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <vector>

struct evp_pkey_st;
struct x509_st;

namespace troupe::tls {

using pkey_ptr = std::shared_ptr<evp_pkey_st>;

/// A master's certificate says system:troupe-master:NAME, of this group.
inline constexpr const char* master_user_prefix = "system:troupe-master:";
inline constexpr const char* master_group = "system:troupe-masters";

/// A certificate and its private key, both PEM.
struct key_pair {
  std::string cert_pem;
  std::string key_pem;
};

struct pki_options {
  std::string dir;                // DIR/pki
  std::string node_dir;           // for the node's own certificates; empty: `dir`. DIR/pki/NAME where nodes share DIR
  bool control_plane = true;      // false: a worker's keys only, which need no CA key once they are made
  std::string node_name;          // for the node's client certificate and a SAN
  std::vector<std::string> names; // more DNS names of the serving certificate
  std::vector<std::string> addresses; // IP addresses of it: first service address, host addresses
  std::chrono::system_clock::time_point now = std::chrono::system_clock::now();
};

struct pki {
  std::string dir;
  std::string ca_pem;
  std::string ca_key_pem; // empty on nodes that only hold the CA's certificate
  key_pair serving;
  key_pair admin;
  key_pair scheduler;
  key_pair controller_manager;
  key_pair proxy;
  key_pair master;                     // of this node as a master, for both sides of sessions between nodes
  key_pair node;                       // client certificate of this node
  std::string service_account_key_pem; // signs service account tokens
};

/// Loads DIR, makes what is missing, renews what is near its end or lacks a name of the serving certificate.
/// Private keys are written 0600, DIR is made 0700. Idempotent.
result<std::shared_ptr<const pki>> open_pki(const pki_options& options);

/// A client certificate signed by the CA, for tests and for nodes that join.
result<key_pair> issue_client(const pki& authority, const std::string& common_name,
                              const std::vector<std::string>& organizations,
                              std::chrono::system_clock::time_point now = std::chrono::system_clock::now());
/// What `pki::master` of that node is.
result<key_pair> issue_master(const pki& authority, const std::string& name,
                              std::chrono::system_clock::time_point now = std::chrono::system_clock::now());
/// A serving certificate signed by the CA.
result<key_pair> issue_serving(const pki& authority, const std::string& common_name,
                               const std::vector<std::string>& dns, const std::vector<std::string>& ips,
                               std::chrono::system_clock::time_point now = std::chrono::system_clock::now());

/// End of validity of the first certificate in the PEM text.
result<std::chrono::system_clock::time_point> not_after(const std::string& cert_pem);

/// CN as user, every O as a group; system:authenticated added. Empty user when there is no CN.
identity identity_of(x509_st* cert);

/// Kubeconfig text with embedded certificates.
std::string kubeconfig(const std::string& server_url, const std::string& ca_pem, const key_pair& client,
                       const std::string& cluster = "troupe", const std::string& user = "admin");
/// A cluster and a context per server, named after it; the first is the current one.
struct kube_server {
  std::string name, url;
};
std::string kubeconfig(const std::vector<kube_server>& servers, const std::string& ca_pem, const key_pair& client,
                       const std::string& cluster, const std::string& user = "admin");
/// Writes the file atomically with mode 0600.
result<void> write_private_file(const std::string& path, const std::string& bytes);

} // namespace troupe::tls

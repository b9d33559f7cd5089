// kubeconfig: the current context of a kubeconfig file, with its certificates loaded.
// Owner:  plain value.
// Units:  PEM text.
// Errors: file, and what is missing in it.
// Source: Kubernetes clientcmd v1 Config; the parts that an actor-shell needs.
#pragma once

#include "api/status.hpp"

#include <string>
#include <vector>

namespace troupe::cli {

struct endpoint {
  std::string host, port; // of the server URL
};

struct kubeconfig {
  std::string host;
  std::string port;
  std::vector<endpoint> others; // further servers of the same cluster: the file names them with the same authority
  std::string ca_pem, cert_pem, key_pem, token;
  std::string ns = "default";
  bool skip_verify = false;
};

result<kubeconfig> load_kubeconfig(const std::string& file);

} // namespace troupe::cli

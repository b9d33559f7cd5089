// kubeconfig: the current context of a kubeconfig file, with its certificates loaded.
// Owner:  plain value.
// Units:  PEM text.
// Errors: file, and what is missing in it.
// Source: Kubernetes clientcmd v1 Config; the parts that an actor-shell needs.
#pragma once

#include "api/status.hpp"

#include <string>

namespace troupe::cli {

struct kubeconfig {
  std::string host; // of the server URL
  std::string port;
  std::string ca_pem, cert_pem, key_pem, token;
  std::string ns = "default";
  bool skip_verify = false;
};

result<kubeconfig> load_kubeconfig(const std::string& file);

} // namespace troupe::cli

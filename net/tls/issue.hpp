// issue: makes keys and signs certificates.
// Owner:  -; pure but for OpenSSL's random source.
// Units:  validity as time points.
// Errors: what OpenSSL says, as errors::internal.
// Source: RFC 5280.
#pragma once

#include "net/tls/pki.hpp"

#include <string>
#include <vector>

namespace troupe::tls::detail {

struct leaf_request {
  std::string common_name;
  std::vector<std::string> organizations;
  std::vector<std::string> dns, ips;
  bool server = false, client = false;
  std::chrono::system_clock::time_point now;
};

/// A fresh EC P-256 key as PKCS#8 PEM.
result<std::string> new_key();
result<key_pair> self_signed_ca(const std::string& common_name, std::chrono::system_clock::time_point now);
result<key_pair> sign_leaf(const std::string& ca_pem, const std::string& ca_key_pem, const leaf_request& wanted);
/// The subject alternative names of a certificate, DNS names and addresses as text.
std::vector<std::string> alternative_names(const std::string& cert_pem);
/// True when `cert` was signed by the key of `ca`.
bool signed_by(const std::string& cert_pem, const std::string& ca_pem);

} // namespace troupe::tls::detail

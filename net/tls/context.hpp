// context: a server side TLS context that can be reloaded while connections live.
// Owner:  shared; `current` is thread-safe, connections keep the context they began with.
// Units:  TLS 1.2 and newer.
// Errors: reload refuses a key that does not fit its certificate and keeps the old context.
// Source: ours; OpenSSL 3.
#pragma once

#include "net/tls/pki.hpp"

#include <memory>
#include <string>

struct ssl_ctx_st;

namespace troupe::tls {

class server_context {
public:
  /// Asks clients for a certificate of `ca_pem` but does not demand one; a certificate of another CA fails the
  /// handshake.
  static result<std::shared_ptr<server_context>> make(const std::string& ca_pem, const key_pair& serving);
  virtual ~server_context() = default;
  virtual std::shared_ptr<ssl_ctx_st> current() const = 0;
  virtual result<void> reload(const std::string& ca_pem, const key_pair& serving) = 0;
};

/// A client side context: verifies the server against `ca_pem`, presents `client` when it is not empty.
result<std::shared_ptr<ssl_ctx_st>> make_client_context(const std::string& ca_pem, const key_pair& client);

} // namespace troupe::tls

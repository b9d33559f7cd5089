// jwt: signs and verifies service account tokens (ES256) and publishes their key as JWKS.
// Owner:  one signer per process, thread-safe; verified tokens are cached by their text.
// Units:  at most limits::verified_tokens_max cached tokens; times are system_clock.
// Errors: a token that is malformed, badly signed, expired or of another issuer is refused with a short reason
//         that never contains the token.
// Source: RFC 7515, 7517, 7519; Kubernetes bound service account tokens.
#pragma once

#include "api/json.hpp"
#include "api/status.hpp"

#include <chrono>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::tls {

class token_signer {
public:
  using time_point = std::chrono::system_clock::time_point;

  static result<std::shared_ptr<token_signer>> make(const std::string& private_key_pem, std::string issuer);
  virtual ~token_signer() = default;

  /// Compact JWS of the claims (iss is added).
  virtual result<std::string> sign(json::object claims) const = 0;
  /// The claims of a token whose signature, issuer, nbf and exp hold at `now`. Cached.
  virtual result<std::shared_ptr<const json::value>> verify(std::string_view token, time_point now) const = 0;
  virtual const std::string& issuer() const noexcept = 0;
  virtual std::string jwks() const = 0;
};

std::string base64url_encode(std::string_view bytes);
bool base64url_decode(std::string_view text, std::string& out);

} // namespace troupe::tls

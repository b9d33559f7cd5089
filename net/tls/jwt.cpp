#include "net/tls/jwt.hpp"

#include "net/tls/limits.hpp"
#include "net/tls/openssl.hpp"

#include <openssl/core_names.h>
#include <openssl/ecdsa.h>

#include <mutex>
#include <unordered_map>

namespace troupe::tls {

namespace {

constexpr char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t coordinate_bytes = 32; // P-256

std::string sha256(std::string_view bytes) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned n = 0;
  EVP_Digest(bytes.data(), bytes.size(), out, &n, EVP_sha256(), nullptr);
  return std::string(reinterpret_cast<char*>(out), n);
}

/// JWS carries r and s side by side, OpenSSL wants DER.
std::string raw_from_der(const std::string& der) {
  const auto* p = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* sig = d2i_ECDSA_SIG(nullptr, &p, static_cast<long>(der.size()));
  std::string out(2 * coordinate_bytes, '\0');
  if (sig) {
    BN_bn2binpad(ECDSA_SIG_get0_r(sig), reinterpret_cast<unsigned char*>(out.data()), coordinate_bytes);
    BN_bn2binpad(ECDSA_SIG_get0_s(sig), reinterpret_cast<unsigned char*>(out.data()) + coordinate_bytes,
                 coordinate_bytes);
  }
  ECDSA_SIG_free(sig);
  return out;
}

std::string der_from_raw(std::string_view raw) {
  ECDSA_SIG* sig = ECDSA_SIG_new();
  const auto* p = reinterpret_cast<const unsigned char*>(raw.data());
  BIGNUM* r = BN_bin2bn(p, coordinate_bytes, nullptr);
  BIGNUM* s = BN_bin2bn(p + coordinate_bytes, coordinate_bytes, nullptr);
  ECDSA_SIG_set0(sig, r, s);
  unsigned char* der = nullptr;
  const int n = i2d_ECDSA_SIG(sig, &der);
  std::string out(reinterpret_cast<char*>(der), n > 0 ? static_cast<std::size_t>(n) : 0);
  OPENSSL_free(der);
  ECDSA_SIG_free(sig);
  return out;
}

std::string coordinate(EVP_PKEY* key, const char* which) {
  BIGNUM* n = nullptr;
  std::string out(coordinate_bytes, '\0');
  if (EVP_PKEY_get_bn_param(key, which, &n) == 1)
    BN_bn2binpad(n, reinterpret_cast<unsigned char*>(out.data()), coordinate_bytes);
  BN_free(n);
  return base64url_encode(out);
}

std::int64_t seconds(token_signer::time_point t) {
  return std::chrono::duration_cast<std::chrono::seconds>(t.time_since_epoch()).count();
}

class es256 final : public token_signer {
public:
  es256(detail::pkey key, std::string issuer) : key_(std::move(key)), issuer_(std::move(issuer)) {
    x_ = coordinate(key_.get(), OSSL_PKEY_PARAM_EC_PUB_X);
    y_ = coordinate(key_.get(), OSSL_PKEY_PARAM_EC_PUB_Y);
    // RFC 7638: the thumbprint names the key.
    kid_ = base64url_encode(sha256(R"({"crv":"P-256","kty":"EC","x":")" + x_ + R"(","y":")" + y_ + "\"}"));
  }

  result<std::string> sign(json::object claims) const override {
    claims["iss"] = issuer_;
    const json::value head{{"alg", "ES256"}, {"kid", kid_}, {"typ", "JWT"}};
    auto text = base64url_encode(json::serialize(head)) + "." + base64url_encode(json::serialize(claims));
    std::unique_ptr<EVP_MD_CTX, detail::freer<EVP_MD_CTX_free>> ctx{EVP_MD_CTX_new()};
    std::size_t n = 0;
    const auto* data = reinterpret_cast<const unsigned char*>(text.data());
    if (EVP_DigestSignInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key_.get()) != 1 ||
        EVP_DigestSign(ctx.get(), nullptr, &n, data, text.size()) != 1)
      return errors::internal("cannot sign the token: " + detail::last_error());
    std::string der(n, '\0');
    if (EVP_DigestSign(ctx.get(), reinterpret_cast<unsigned char*>(der.data()), &n, data, text.size()) != 1)
      return errors::internal("cannot sign the token: " + detail::last_error());
    der.resize(n);
    return text + "." + base64url_encode(raw_from_der(der));
  }

  result<std::shared_ptr<const json::value>> verify(std::string_view token, time_point now) const override {
    if (token.size() > limits::token_bytes_max) return errors::unauthorized();
    auto claims = cached(token);
    if (!claims) {
      auto fresh = check_signature(token);
      if (!fresh) return fresh.error();
      claims = std::move(*fresh);
      remember(token, claims);
    }
    const auto at = seconds(now);
    if (jq::str(*claims, {"iss"}) != issuer_) return refused("another issuer");
    if (jq::num(*claims, {"exp"}) <= at) return refused("expired");
    if (jq::num(*claims, {"nbf"}) > at + 60) return refused("not valid yet");
    return claims;
  }

  const std::string& issuer() const noexcept override { return issuer_; }

  std::string jwks() const override {
    json::object key{{"use", "sig"},   {"kty", "EC"}, {"kid", kid_}, {"crv", "P-256"},
                     {"alg", "ES256"}, {"x", x_},     {"y", y_}};
    json::array keys;
    keys.push_back(std::move(key));
    json::object out;
    out["keys"] = std::move(keys);
    return json::serialize(out);
  }

private:
  using claims_ptr = std::shared_ptr<const json::value>;

  static status refused(const char* why) {
    auto s = errors::unauthorized();
    s.causes.push_back({"", std::string{"token: "} + why, ""});
    return s;
  }

  result<claims_ptr> check_signature(std::string_view token) const {
    const auto first = token.find('.');
    const auto second = first == token.npos ? token.npos : token.find('.', first + 1);
    if (second == token.npos) return refused("malformed");
    std::string head, body, raw;
    if (!base64url_decode(token.substr(0, first), head) ||
        !base64url_decode(token.substr(first + 1, second - first - 1), body) ||
        !base64url_decode(token.substr(second + 1), raw) || raw.size() != 2 * coordinate_bytes)
      return refused("malformed");
    boost::system::error_code ec;
    auto h = json::parse(head, ec);
    if (ec || jq::str(h, {"alg"}) != "ES256") return refused("unknown algorithm");
    const auto der = der_from_raw(raw);
    std::unique_ptr<EVP_MD_CTX, detail::freer<EVP_MD_CTX_free>> ctx{EVP_MD_CTX_new()};
    const bool good = EVP_DigestVerifyInit(ctx.get(), nullptr, EVP_sha256(), nullptr, key_.get()) == 1 &&
                      EVP_DigestVerify(ctx.get(), reinterpret_cast<const unsigned char*>(der.data()), der.size(),
                                       reinterpret_cast<const unsigned char*>(token.data()), second) == 1;
    ERR_clear_error();
    if (!good) return refused("bad signature");
    auto claims = json::parse(body, ec);
    if (ec || !claims.is_object()) return refused("malformed");
    return std::make_shared<const json::value>(std::move(claims));
  }

  claims_ptr cached(std::string_view token) const {
    std::lock_guard lock(mutex_);
    auto it = seen_.find(std::string{token});
    return it == seen_.end() ? nullptr : it->second;
  }

  void remember(std::string_view token, claims_ptr claims) const {
    std::lock_guard lock(mutex_);
    if (seen_.size() >= limits::verified_tokens_max) seen_.clear();
    seen_.emplace(std::string{token}, std::move(claims));
  }

  detail::pkey key_;
  std::string issuer_, x_, y_, kid_;
  mutable std::mutex mutex_;
  mutable std::unordered_map<std::string, claims_ptr> seen_;
};

} // namespace

std::string base64url_encode(std::string_view bytes) {
  std::string out;
  out.reserve((bytes.size() * 4 + 2) / 3);
  std::uint32_t acc = 0;
  int bits = 0;
  for (unsigned char c : bytes) {
    acc = (acc << 8) | c;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out.push_back(alphabet[(acc >> bits) & 63]);
    }
  }
  if (bits > 0) out.push_back(alphabet[(acc << (6 - bits)) & 63]);
  return out;
}

bool base64url_decode(std::string_view text, std::string& out) {
  out.clear();
  std::uint32_t acc = 0;
  int bits = 0;
  while (!text.empty() && text.back() == '=')
    text.remove_suffix(1);
  for (char c : text) {
    int v = -1;
    if (c >= 'A' && c <= 'Z')
      v = c - 'A';
    else if (c >= 'a' && c <= 'z')
      v = c - 'a' + 26;
    else if (c >= '0' && c <= '9')
      v = c - '0' + 52;
    else if (c == '-')
      v = 62;
    else if (c == '_')
      v = 63;
    if (v < 0) return false;
    acc = (acc << 6) | static_cast<std::uint32_t>(v);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(static_cast<char>((acc >> bits) & 0xff));
    }
  }
  return true;
}

result<std::shared_ptr<token_signer>> token_signer::make(const std::string& private_key_pem, std::string issuer) {
  auto key = detail::parse_key(private_key_pem);
  if (!key || EVP_PKEY_base_id(key.get()) != EVP_PKEY_EC)
    return errors::internal("the service account key is no EC key: " + detail::last_error());
  return std::shared_ptr<token_signer>{std::make_shared<es256>(std::move(key), std::move(issuer))};
}

} // namespace troupe::tls

#include "net/tls/context.hpp"

#include "net/tls/openssl.hpp"

#include <openssl/ssl.h>

#include <mutex>

namespace troupe::tls {

namespace {

using ctx_ptr = std::shared_ptr<SSL_CTX>;

ctx_ptr blank_context(const SSL_METHOD* method) {
  ctx_ptr ctx{SSL_CTX_new(method), SSL_CTX_free};
  if (!ctx) return ctx;
  SSL_CTX_set_min_proto_version(ctx.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(ctx.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_options(ctx.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_IGNORE_UNEXPECTED_EOF |
                                     SSL_OP_CIPHER_SERVER_PREFERENCE);
  return ctx;
}

result<void> use_pair(SSL_CTX* ctx, const key_pair& pair) {
  auto cert = detail::parse_cert(pair.cert_pem);
  auto key = detail::parse_key(pair.key_pem);
  if (!cert || !key) return errors::internal("cannot read a certificate or its key: " + detail::last_error());
  if (SSL_CTX_use_certificate(ctx, cert.get()) != 1 || SSL_CTX_use_PrivateKey(ctx, key.get()) != 1 ||
      SSL_CTX_check_private_key(ctx) != 1)
    return errors::internal("the key does not fit its certificate: " + detail::last_error());
  return {};
}

result<void> trust(SSL_CTX* ctx, const std::string& ca_pem) {
  auto ca = detail::parse_cert(ca_pem);
  if (!ca || X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), ca.get()) != 1)
    return errors::internal("cannot read the CA certificate: " + detail::last_error());
  SSL_CTX_add_client_CA(ctx, ca.get());
  return {};
}

result<ctx_ptr> server_side(const std::string& ca_pem, const key_pair& serving) {
  auto ctx = blank_context(TLS_server_method());
  if (!ctx) return errors::internal("cannot make a TLS context: " + detail::last_error());
  if (auto r = use_pair(ctx.get(), serving); !r) return r.error();
  if (auto r = trust(ctx.get(), ca_pem); !r) return r.error();
  // The order of Go's servers: 128 bits first where there is AES hardware; a third cheaper per byte than 256.
  SSL_CTX_set_ciphersuites(ctx.get(), "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  // Header and body of a record in one read; whoever waits for a socket has read until it said so.
  SSL_CTX_set_read_ahead(ctx.get(), 1);
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER | SSL_VERIFY_CLIENT_ONCE, nullptr);
  static const unsigned char session_scope[] = "troupe-api";
  SSL_CTX_set_session_id_context(ctx.get(), session_scope, sizeof session_scope - 1);
  SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF); // tickets keep the state at the client
  SSL_CTX_set_num_tickets(ctx.get(), 1);
  SSL_CTX_set_alpn_select_cb(
      ctx.get(),
      [](SSL*, const unsigned char** out, unsigned char* n, const unsigned char* in, unsigned in_n, void*) {
        static const unsigned char ours[] = "\x08http/1.1";
        const int r = SSL_select_next_proto(const_cast<unsigned char**>(out), n, ours, sizeof ours - 1, in, in_n);
        return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
      },
      nullptr);
  return ctx;
}

class reloadable final : public server_context {
public:
  explicit reloadable(ctx_ptr first) : now_(std::move(first)) {}
  ctx_ptr current() const override {
    std::lock_guard lock(mutex_);
    return now_;
  }
  result<void> reload(const std::string& ca_pem, const key_pair& serving) override {
    auto next = server_side(ca_pem, serving);
    if (!next) return next.error();
    std::lock_guard lock(mutex_);
    now_ = std::move(*next);
    return {};
  }

private:
  mutable std::mutex mutex_;
  ctx_ptr now_;
};

} // namespace

result<std::shared_ptr<server_context>> server_context::make(const std::string& ca_pem, const key_pair& serving) {
  auto first = server_side(ca_pem, serving);
  if (!first) return first.error();
  return std::shared_ptr<server_context>{std::make_shared<reloadable>(std::move(*first))};
}

result<std::shared_ptr<ssl_ctx_st>> make_client_context(const std::string& ca_pem, const key_pair& client) {
  auto ctx = blank_context(TLS_client_method());
  if (!ctx) return errors::internal("cannot make a TLS context: " + detail::last_error());
  if (auto r = trust(ctx.get(), ca_pem); !r) return r.error();
  if (!client.cert_pem.empty())
    if (auto r = use_pair(ctx.get(), client); !r) return r.error();
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER, nullptr);
  return ctx;
}

} // namespace troupe::tls

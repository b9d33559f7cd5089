#include "net/link/secure_session.hpp"
#include "net/tls/openssl.hpp"

#include <openssl/ssl.h>

namespace troupe::link {

namespace {

using ctx_ptr = std::shared_ptr<SSL_CTX>;

// Both ends are ours: TLS 1.3 only, no tickets and no cache (a session that breaks proves itself anew).
result<ctx_ptr> make_context(const SSL_METHOD* method, const std::string& ca_pem, const tls::key_pair& own) {
  ERR_clear_error();
  ctx_ptr ctx{SSL_CTX_new(method), SSL_CTX_free};
  auto ca = tls::detail::parse_cert(ca_pem);
  auto cert = tls::detail::parse_cert(own.cert_pem);
  auto key = tls::detail::parse_key(own.key_pem);
  if (!ctx || !ca || !cert || !key)
    return errors::internal("cannot read the CA, the certificate or the key of the sessions between nodes: " +
                            tls::detail::last_error());
  SSL_CTX_set_min_proto_version(ctx.get(), TLS1_3_VERSION);
  // 128 bits first: a third cheaper per byte where there is AES hardware.
  SSL_CTX_set_ciphersuites(ctx.get(), "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256");
  SSL_CTX_set_mode(ctx.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(ctx.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(ctx.get(), 0);
  if (X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx.get()), ca.get()) != 1 ||
      SSL_CTX_use_certificate(ctx.get(), cert.get()) != 1 || SSL_CTX_use_PrivateKey(ctx.get(), key.get()) != 1 ||
      SSL_CTX_check_private_key(ctx.get()) != 1)
    return errors::internal("the key of the sessions between nodes does not fit its certificate: " +
                            tls::detail::last_error());
  SSL_CTX_set_verify(ctx.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return ctx;
}

int choose_protocol(SSL* ssl, const unsigned char** out, unsigned char* bytes, const unsigned char* offered,
                    unsigned offered_bytes, void*) {
  const auto* ours = static_cast<const std::string*>(SSL_get_app_data(ssl));
  if (!ours) return SSL_TLSEXT_ERR_ALERT_FATAL;
  const int r = SSL_select_next_proto(const_cast<unsigned char**>(out), bytes,
                                      reinterpret_cast<const unsigned char*>(ours->data()),
                                      static_cast<unsigned>(ours->size()), offered, offered_bytes);
  return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

} // namespace

result<std::shared_ptr<const session_tls>> make_session_tls(const std::string& ca_pem, const tls::key_pair& own) {
  auto client = make_context(TLS_client_method(), ca_pem, own);
  if (!client) return client.error();
  auto server = make_context(TLS_server_method(), ca_pem, own);
  if (!server) return server.error();
  SSL_CTX_set_alpn_select_cb(server->get(), choose_protocol, nullptr);
  auto made = std::make_shared<session_tls>();
  made->client = std::move(*client);
  made->server = std::move(*server);
  return std::shared_ptr<const session_tls>{std::move(made)};
}

} // namespace troupe::link

#include "net/tls/issue.hpp"

#include "net/tls/limits.hpp"
#include "net/tls/openssl.hpp"

#include <arpa/inet.h>
#include <openssl/ec.h>
#include <openssl/rand.h>

namespace troupe::tls::detail {

namespace {

pkey generate() { return pkey{EVP_EC_gen("P-256")}; }

std::string key_text(EVP_PKEY* key) {
  bio_ptr b{BIO_new(BIO_s_mem())};
  if (PEM_write_bio_PKCS8PrivateKey(b.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1) return {};
  return bio_text(b.get());
}

std::string cert_text(X509* cert) {
  bio_ptr b{BIO_new(BIO_s_mem())};
  if (PEM_write_bio_X509(b.get(), cert) != 1) return {};
  return bio_text(b.get());
}

bool add_extension(X509* cert, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX ctx;
  X509V3_set_ctx_nodb(&ctx);
  X509V3_set_ctx(&ctx, issuer, cert, nullptr, nullptr, 0);
  X509_EXTENSION* e = X509V3_EXT_conf_nid(nullptr, &ctx, nid, value.c_str());
  if (!e) return false;
  const bool ok = X509_add_ext(cert, e, -1) == 1;
  X509_EXTENSION_free(e);
  return ok;
}

void add_name(X509_NAME* name, const char* what, const std::string& value) {
  X509_NAME_add_entry_by_txt(name, what, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.data()),
                             static_cast<int>(value.size()), -1, 0);
}

bool set_serial(X509* cert) {
  unsigned char raw[16];
  if (RAND_bytes(raw, sizeof raw) != 1) return false;
  raw[0] &= 0x7f;
  BIGNUM* n = BN_bin2bn(raw, sizeof raw, nullptr);
  const bool ok = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(cert)) != nullptr;
  BN_free(n);
  return ok;
}

void set_validity(X509* cert, std::chrono::system_clock::time_point now, std::chrono::days length) {
  const auto from = std::chrono::system_clock::to_time_t(now - limits::clock_skew);
  const auto to = std::chrono::system_clock::to_time_t(now + length);
  ASN1_TIME_set(X509_getm_notBefore(cert), from);
  ASN1_TIME_set(X509_getm_notAfter(cert), to);
}

std::string alt_names(const leaf_request& w) {
  std::string out;
  for (const auto& d : w.dns)
    out.append(out.empty() ? "" : ",").append("DNS:").append(d);
  for (const auto& i : w.ips)
    out.append(out.empty() ? "" : ",").append("IP:").append(i);
  return out;
}

} // namespace

result<std::string> new_key() {
  auto key = generate();
  if (!key) return errors::internal("cannot make an EC key: " + last_error());
  return key_text(key.get());
}

result<key_pair> self_signed_ca(const std::string& common_name, std::chrono::system_clock::time_point now) {
  auto key = generate();
  x509_ptr cert{X509_new()};
  if (!key || !cert || !set_serial(cert.get())) return errors::internal("cannot make the CA: " + last_error());
  X509_set_version(cert.get(), 2);
  set_validity(cert.get(), now, limits::ca_days);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME* name = X509_get_subject_name(cert.get());
  add_name(name, "CN", common_name);
  X509_set_issuer_name(cert.get(), name);
  const bool ok =
      add_extension(cert.get(), cert.get(), NID_basic_constraints, "critical,CA:TRUE") &&
      add_extension(cert.get(), cert.get(), NID_key_usage, "critical,keyCertSign,cRLSign,digitalSignature") &&
      add_extension(cert.get(), cert.get(), NID_subject_key_identifier, "hash") &&
      X509_sign(cert.get(), key.get(), EVP_sha256()) > 0;
  if (!ok) return errors::internal("cannot sign the CA: " + last_error());
  return key_pair{cert_text(cert.get()), key_text(key.get())};
}

result<key_pair> sign_leaf(const std::string& ca_pem, const std::string& ca_key_pem, const leaf_request& wanted) {
  auto ca = parse_cert(ca_pem);
  auto ca_key = parse_key(ca_key_pem);
  if (!ca || !ca_key) return errors::internal("cannot read the CA: " + last_error());
  auto key = generate();
  x509_ptr cert{X509_new()};
  if (!key || !cert || !set_serial(cert.get())) return errors::internal("cannot make a certificate: " + last_error());
  X509_set_version(cert.get(), 2);
  set_validity(cert.get(), wanted.now, limits::leaf_days);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME* name = X509_get_subject_name(cert.get());
  for (const auto& o : wanted.organizations)
    add_name(name, "O", o);
  add_name(name, "CN", wanted.common_name);
  X509_set_issuer_name(cert.get(), X509_get_subject_name(ca.get()));
  std::string usage = wanted.server ? "serverAuth" : "";
  if (wanted.client) usage.append(usage.empty() ? "" : ",").append("clientAuth");
  bool ok = add_extension(cert.get(), ca.get(), NID_basic_constraints, "critical,CA:FALSE") &&
            add_extension(cert.get(), ca.get(), NID_key_usage, "critical,digitalSignature") &&
            add_extension(cert.get(), ca.get(), NID_ext_key_usage, usage) &&
            add_extension(cert.get(), ca.get(), NID_authority_key_identifier, "keyid:always");
  const auto names = alt_names(wanted);
  if (ok && !names.empty()) ok = add_extension(cert.get(), ca.get(), NID_subject_alt_name, names);
  ok = ok && X509_sign(cert.get(), ca_key.get(), EVP_sha256()) > 0;
  if (!ok) return errors::internal("cannot sign the certificate of " + wanted.common_name + ": " + last_error());
  return key_pair{cert_text(cert.get()), key_text(key.get())};
}

std::vector<std::string> alternative_names(const std::string& cert_pem) {
  std::vector<std::string> out;
  auto cert = parse_cert(cert_pem);
  if (!cert) return out;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert.get(), NID_subject_alt_name, nullptr, nullptr));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* n = sk_GENERAL_NAME_value(names, i);
    if (n->type == GEN_DNS) {
      out.emplace_back(reinterpret_cast<const char*>(ASN1_STRING_get0_data(n->d.dNSName)),
                       static_cast<std::size_t>(ASN1_STRING_length(n->d.dNSName)));
    } else if (n->type == GEN_IPADD) {
      char text[INET6_ADDRSTRLEN] = "";
      const int family = ASN1_STRING_length(n->d.iPAddress) == 4 ? AF_INET : AF_INET6;
      inet_ntop(family, ASN1_STRING_get0_data(n->d.iPAddress), text, sizeof text);
      out.emplace_back(text);
    }
  }
  GENERAL_NAMES_free(names);
  return out;
}

bool signed_by(const std::string& cert_pem, const std::string& ca_pem) {
  auto cert = parse_cert(cert_pem);
  auto ca = parse_cert(ca_pem);
  if (!cert || !ca) return false;
  const bool ok = X509_verify(cert.get(), X509_get0_pubkey(ca.get())) == 1;
  ERR_clear_error();
  return ok;
}

} // namespace troupe::tls::detail

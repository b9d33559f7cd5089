#include "net/tls/context.hpp"
#include "net/tls/jwt.hpp"
#include "net/tls/limits.hpp"

#include <doctest/doctest.h>

#include <openssl/pem.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

using namespace troupe;
using namespace std::chrono_literals;

namespace {

struct scratch {
  std::filesystem::path dir;
  explicit scratch(const char* name)
      : dir(std::filesystem::temp_directory_path() /
            (std::string("troupe-tls-") + name + "-" + std::to_string(::getpid()))) {}
  ~scratch() { std::filesystem::remove_all(dir); }
};

identity subject(const std::string& pem) {
  BIO* b = BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()));
  X509* x = PEM_read_bio_X509(b, nullptr, nullptr, nullptr);
  BIO_free(b);
  auto who = tls::identity_of(x);
  X509_free(x);
  return who;
}

tls::pki_options options(const scratch& s) {
  tls::pki_options o;
  o.dir = s.dir;
  o.node_name = "n1";
  o.addresses = {"10.96.0.1"};
  return o;
}

} // namespace

TEST_CASE("a first start makes every identity, with private keys for the owner only") {
  scratch s("first");
  auto p = tls::open_pki(options(s));
  REQUIRE(p.has_value());
  CHECK(subject((*p)->admin.cert_pem).in_group("system:masters"));
  CHECK(subject((*p)->scheduler.cert_pem).user == "system:kube-scheduler");
  CHECK(subject((*p)->node.cert_pem).user == "system:node:n1");
  CHECK(subject((*p)->node.cert_pem).in_group("system:nodes"));
  for (const auto& f : std::filesystem::directory_iterator(s.dir)) {
    struct stat st {};
    REQUIRE(::stat(f.path().c_str(), &st) == 0);
    CHECK((st.st_mode & 0777) == 0600);
  }
}

TEST_CASE("a second start loads the same keys") {
  scratch s("second");
  auto a = tls::open_pki(options(s));
  auto b = tls::open_pki(options(s));
  REQUIRE(a.has_value());
  REQUIRE(b.has_value());
  CHECK((*a)->ca_pem == (*b)->ca_pem);
  CHECK((*a)->serving.cert_pem == (*b)->serving.cert_pem);
  CHECK((*a)->service_account_key_pem == (*b)->service_account_key_pem);
}

TEST_CASE("a certificate near its end is renewed, the authority stays") {
  scratch s("renew");
  auto a = tls::open_pki(options(s));
  REQUIRE(a.has_value());
  auto o = options(s);
  o.now += limits::leaf_days - limits::renew_before_days + std::chrono::hours(1);
  auto b = tls::open_pki(o);
  REQUIRE(b.has_value());
  CHECK((*a)->ca_pem == (*b)->ca_pem);
  CHECK((*a)->admin.cert_pem != (*b)->admin.cert_pem);
  CHECK(*tls::not_after((*b)->admin.cert_pem) > *tls::not_after((*a)->admin.cert_pem));
}

TEST_CASE("the serving certificate is made anew when a name is missing") {
  scratch s("names");
  auto a = tls::open_pki(options(s));
  auto o = options(s);
  o.addresses.push_back("192.0.2.7");
  auto b = tls::open_pki(o);
  REQUIRE(b.has_value());
  CHECK((*a)->serving.cert_pem != (*b)->serving.cert_pem);
  CHECK((*a)->admin.cert_pem == (*b)->admin.cert_pem);
}

TEST_CASE("a damaged authority is an error that names the file") {
  scratch s("damaged");
  REQUIRE(tls::open_pki(options(s)).has_value());
  std::ofstream(s.dir / "ca.crt") << "nonsense";
  auto p = tls::open_pki(options(s));
  REQUIRE(!p);
  CHECK(p.error().message.find("ca.crt") != std::string::npos);
}

TEST_CASE("a server context refuses a key that does not fit and keeps the old one") {
  scratch s("context");
  auto p = *tls::open_pki(options(s));
  auto c = tls::server_context::make(p->ca_pem, p->serving);
  REQUIRE(c.has_value());
  const auto before = (*c)->current();
  CHECK(!(*c)->reload(p->ca_pem, {p->serving.cert_pem, p->admin.key_pem}));
  CHECK((*c)->current() == before);
  CHECK((*c)->reload(p->ca_pem, *tls::issue_serving(*p, "x", {"localhost"}, {"127.0.0.1"})).has_value());
  CHECK((*c)->current() != before);
}

TEST_CASE("tokens are signed and verified, and nothing else passes") {
  scratch s("tokens");
  auto p = *tls::open_pki(options(s));
  auto signer = *tls::token_signer::make(p->service_account_key_pem, "issuer");
  const auto now = std::chrono::system_clock::time_point(1700000000s);
  json::object claims;
  claims["sub"] = "system:serviceaccount:a:b";
  claims["exp"] = 1700000600;
  claims["nbf"] = 1700000000;
  const auto token = *signer->sign(claims);
  auto ok = signer->verify(token, now);
  REQUIRE(ok.has_value());
  CHECK(jq::str(**ok, {"iss"}) == "issuer");
  CHECK(signer->verify(token, now + 599s).has_value());
  CHECK(!signer->verify(token, now + 600s));
  CHECK(!signer->verify(token, now - 120s));
  auto tampered = token;
  tampered[token.find('.') + 3] ^= 1;
  CHECK(!signer->verify(tampered, now));
  CHECK(!signer->verify("a.b", now));
  CHECK(!signer->verify("", now));
  CHECK(!signer->verify(token + "A", now));
  auto other = *tls::token_signer::make(p->service_account_key_pem, "another");
  CHECK(!other->verify(token, now));
  CHECK(signer->jwks().find("\"crv\":\"P-256\"") != std::string::npos);
}

TEST_CASE("base64url survives every length and refuses foreign letters") {
  for (std::size_t n = 0; n < 20; ++n) {
    std::string in(n, '\xf7'), out;
    CHECK(tls::base64url_decode(tls::base64url_encode(in), out));
    CHECK(out == in);
  }
  std::string out;
  CHECK(!tls::base64url_decode("a+b/", out));
}

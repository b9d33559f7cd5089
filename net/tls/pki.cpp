#include "net/tls/pki.hpp"

#include "net/tls/files.hpp"
#include "net/tls/issue.hpp"
#include "net/tls/limits.hpp"
#include "net/tls/openssl.hpp"

#include <algorithm>

namespace troupe::tls {

namespace {

using detail::leaf_request;

struct leaf_slot {
  std::string file; // without its ending
  key_pair pki::*where;
  leaf_request wanted;
};

leaf_request client(std::string cn, std::vector<std::string> groups, std::chrono::system_clock::time_point now) {
  leaf_request w;
  w.common_name = std::move(cn);
  w.organizations = std::move(groups);
  w.client = true;
  w.now = now;
  return w;
}

// Masters serve and dial with one certificate: each side sees by it which master the other one is.
leaf_request master_request(const std::string& name, std::chrono::system_clock::time_point now) {
  auto w = client(std::string(master_user_prefix) + name, {master_group}, now);
  w.server = true;
  return w;
}

leaf_request serving_request(const pki_options& o) {
  leaf_request w;
  w.common_name = "kube-apiserver";
  w.server = true;
  w.now = o.now;
  w.dns = {"localhost", "kubernetes", "kubernetes.default", "kubernetes.default.svc",
           "kubernetes.default.svc.cluster.local"};
  if (!o.node_name.empty()) w.dns.push_back(o.node_name);
  w.ips = {"127.0.0.1", "::1"};
  w.dns.insert(w.dns.end(), o.names.begin(), o.names.end());
  w.ips.insert(w.ips.end(), o.addresses.begin(), o.addresses.end());
  for (auto* list : {&w.dns, &w.ips}) {
    std::sort(list->begin(), list->end());
    list->erase(std::unique(list->begin(), list->end()), list->end());
  }
  return w;
}

bool still_good(const key_pair& have, const std::string& ca_pem, const leaf_request& wanted) {
  auto end = not_after(have.cert_pem);
  if (!end || *end - wanted.now < limits::renew_before_days) return false;
  if (!detail::parse_key(have.key_pem) || !detail::signed_by(have.cert_pem, ca_pem)) return false;
  const auto names = detail::alternative_names(have.cert_pem);
  const auto covers = [&](const std::string& n) { return std::find(names.begin(), names.end(), n) != names.end(); };
  if (!std::all_of(wanted.dns.begin(), wanted.dns.end(), covers)) return false;
  if (!std::all_of(wanted.ips.begin(), wanted.ips.end(), covers)) return false;
  auto cert = detail::parse_cert(have.cert_pem);
  return !wanted.client || identity_of(cert.get()).user == wanted.common_name;
}

result<key_pair> load_pair(const std::string& base) {
  auto cert = detail::read_file(base + ".crt");
  if (!cert) return cert.error();
  auto key = detail::read_file(base + ".key");
  if (!key) return key.error();
  return key_pair{std::move(*cert), std::move(*key)};
}

result<void> save_pair(const std::string& base, const key_pair& pair) {
  if (auto r = write_private_file(base + ".key", pair.key_pem); !r) return r;
  return write_private_file(base + ".crt", pair.cert_pem);
}

result<void> open_ca(pki& p, const pki_options& o) {
  const auto base = o.dir + "/ca";
  if (detail::exists(base + ".crt")) {
    auto cert = detail::read_file(base + ".crt");
    if (!cert) return cert.error();
    p.ca_pem = std::move(*cert);
    if (!detail::parse_cert(p.ca_pem))
      return errors::internal(base + ".crt holds no certificate; restore it or remove the directory to begin anew");
    if (detail::exists(base + ".key")) {
      auto key = detail::read_file(base + ".key");
      if (!key) return key.error();
      p.ca_key_pem = std::move(*key);
    }
    return {};
  }
  auto made = detail::self_signed_ca("troupe-ca", o.now);
  if (!made) return made.error();
  p.ca_pem = made->cert_pem;
  p.ca_key_pem = made->key_pem;
  return save_pair(base, *made);
}

result<void> open_leaf(pki& p, const pki_options& o, const leaf_slot& slot) {
  const auto& base = slot.file;
  if (detail::exists(base + ".crt") && detail::exists(base + ".key")) {
    auto have = load_pair(base);
    if (!have) return have.error();
    if (still_good(*have, p.ca_pem, slot.wanted)) {
      p.*(slot.where) = std::move(*have);
      return {};
    }
  }
  if (p.ca_key_pem.empty())
    return errors::internal(base + ".crt is missing or near its end and " + o.dir +
                            "/ca.key is not here to sign a new one");
  auto made = detail::sign_leaf(p.ca_pem, p.ca_key_pem, slot.wanted);
  if (!made) return made.error();
  p.*(slot.where) = *made;
  return save_pair(base, *made);
}

result<void> open_token_key(pki& p, const pki_options& o) {
  const auto path = o.dir + "/sa.key";
  if (detail::exists(path)) {
    auto key = detail::read_file(path);
    if (!key) return key.error();
    if (!detail::parse_key(*key)) return errors::internal(path + " holds no private key");
    p.service_account_key_pem = std::move(*key);
    return {};
  }
  auto key = detail::new_key();
  if (!key) return key.error();
  p.service_account_key_pem = *key;
  return write_private_file(path, *key);
}

} // namespace

result<std::shared_ptr<const pki>> open_pki(const pki_options& o) {
  auto p = std::make_shared<pki>();
  p->dir = o.dir;
  if (auto r = detail::make_private_dir(o.dir); !r) return r.error();
  if (auto r = open_ca(*p, o); !r) return r.error();
  const auto shared = o.dir + "/", own = (o.node_dir.empty() ? o.dir : o.node_dir) + "/";
  if (auto r = detail::make_private_dir(own.substr(0, own.size() - 1)); !r) return r.error();
  std::vector<leaf_slot> slots = {
      {own + "node", &pki::node, client("system:node:" + o.node_name, {"system:nodes"}, o.now)}};
  if (o.control_plane) {
    slots.push_back({own + "serving", &pki::serving, serving_request(o)});
    slots.push_back({own + "master", &pki::master, master_request(o.node_name, o.now)});
    slots.push_back({shared + "admin", &pki::admin, client("kubernetes-admin", {"system:masters"}, o.now)});
    slots.push_back({shared + "scheduler", &pki::scheduler, client("system:kube-scheduler", {}, o.now)});
    slots.push_back(
        {shared + "controller-manager", &pki::controller_manager, client("system:kube-controller-manager", {}, o.now)});
    slots.push_back({shared + "proxy", &pki::proxy, client("system:kube-proxy", {}, o.now)});
  }
  for (const auto& s : slots)
    if (auto r = open_leaf(*p, o, s); !r) return r.error();
  if (o.control_plane)
    if (auto r = open_token_key(*p, o); !r) return r.error();
  return std::shared_ptr<const pki>{std::move(p)};
}

result<key_pair> issue_client(const pki& authority, const std::string& common_name,
                              const std::vector<std::string>& organizations,
                              std::chrono::system_clock::time_point now) {
  return detail::sign_leaf(authority.ca_pem, authority.ca_key_pem, client(common_name, organizations, now));
}

result<key_pair> issue_master(const pki& authority, const std::string& name,
                              std::chrono::system_clock::time_point now) {
  return detail::sign_leaf(authority.ca_pem, authority.ca_key_pem, master_request(name, now));
}

result<key_pair> issue_serving(const pki& authority, const std::string& common_name,
                               const std::vector<std::string>& dns, const std::vector<std::string>& ips,
                               std::chrono::system_clock::time_point now) {
  leaf_request w;
  w.common_name = common_name;
  w.dns = dns;
  w.ips = ips;
  w.server = true;
  w.now = now;
  return detail::sign_leaf(authority.ca_pem, authority.ca_key_pem, w);
}

result<std::chrono::system_clock::time_point> not_after(const std::string& cert_pem) {
  auto cert = detail::parse_cert(cert_pem);
  if (!cert) return errors::bad_request("no certificate in the PEM text");
  std::tm t{};
  if (ASN1_TIME_to_tm(X509_get0_notAfter(cert.get()), &t) != 1) return errors::bad_request("bad end of validity");
  return std::chrono::system_clock::from_time_t(timegm(&t));
}

identity identity_of(x509_st* cert) {
  identity who;
  if (!cert) return who;
  X509_NAME* name = X509_get_subject_name(cert);
  for (int i = 0; i < X509_NAME_entry_count(name); ++i) {
    const X509_NAME_ENTRY* e = X509_NAME_get_entry(name, i);
    const int nid = OBJ_obj2nid(X509_NAME_ENTRY_get_object(e));
    if (nid != NID_commonName && nid != NID_organizationName) continue;
    unsigned char* utf8 = nullptr;
    const int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(e));
    if (n < 0) continue;
    std::string text(reinterpret_cast<char*>(utf8), static_cast<std::size_t>(n));
    OPENSSL_free(utf8);
    if (nid == NID_commonName)
      who.user = std::move(text);
    else
      who.groups.push_back(std::move(text));
  }
  if (!who.user.empty()) who.groups.emplace_back("system:authenticated");
  return who;
}

} // namespace troupe::tls

#include "net/tls/pki.hpp"

#include <openssl/evp.h>

namespace troupe::tls {

namespace {
std::string base64(const std::string& bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int n = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}
} // namespace

std::string kubeconfig(const std::string& server_url, const std::string& ca_pem, const key_pair& client,
                       const std::string& cluster, const std::string& user) {
  std::string s =
      "apiVersion: v1\nkind: Config\nclusters:\n- name: " + cluster + "\n  cluster:\n    server: " + server_url;
  s += "\n    certificate-authority-data: " + base64(ca_pem);
  s += "\nusers:\n- name: " + user + "\n  user:\n    client-certificate-data: " + base64(client.cert_pem);
  s += "\n    client-key-data: " + base64(client.key_pem);
  s += "\ncontexts:\n- name: " + user + "@" + cluster + "\n  context:\n    cluster: " + cluster + "\n    user: " + user;
  s += "\ncurrent-context: " + user + "@" + cluster + "\n";
  return s;
}

std::string kubeconfig(const std::vector<kube_server>& servers, const std::string& ca_pem, const key_pair& client,
                       const std::string& cluster, const std::string& user) {
  const auto named = [&](const kube_server& s) { return cluster + "-" + s.name; };
  std::string s = "apiVersion: v1\nkind: Config\nclusters:";
  for (const auto& one : servers)
    s += "\n- name: " + named(one) + "\n  cluster:\n    server: " + one.url +
         "\n    certificate-authority-data: " + base64(ca_pem);
  s += "\nusers:\n- name: " + user + "\n  user:\n    client-certificate-data: " + base64(client.cert_pem);
  s += "\n    client-key-data: " + base64(client.key_pem) + "\ncontexts:";
  for (const auto& one : servers)
    s += "\n- name: " + one.name + "\n  context:\n    cluster: " + named(one) + "\n    user: " + user;
  if (!servers.empty()) s += "\ncurrent-context: " + servers.front().name;
  return s + "\n";
}

} // namespace troupe::tls

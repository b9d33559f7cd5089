#include "cli/client/kubeconfig.hpp"

#include <openssl/evp.h>
#include <yaml-cpp/yaml.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace troupe::cli {

namespace {

status wrong(const std::string& file, const std::string& what) { return errors::bad_request(file + ": " + what); }

result<std::string> slurp(const std::filesystem::path& file) {
  std::ifstream in(file);
  if (!in) return wrong(file, "cannot be read");
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

result<std::string> from_base64(const std::string& text) {
  std::string out(text.size(), '\0');
  const int n = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                reinterpret_cast<const unsigned char*>(text.data()), static_cast<int>(text.size()));
  if (n < 0) return errors::bad_request("not base64");
  std::size_t pad = 0;
  while (pad < 2 && pad < text.size() && text[text.size() - 1 - pad] == '=')
    ++pad;
  out.resize(static_cast<std::size_t>(n) - pad);
  return out;
}

YAML::Node named(const YAML::Node& list, const std::string& name) {
  for (const auto& entry : list)
    if (entry["name"] && entry["name"].as<std::string>() == name) return entry;
  return YAML::Node(YAML::NodeType::Undefined);
}

std::string text_of(const YAML::Node& n, const char* key) {
  return n.IsMap() && n[key] && n[key].IsScalar() ? n[key].Scalar() : std::string{};
}

/// `<key>-data` inline, else the file `<key>` relative to the kubeconfig.
result<std::string> pem_of(const YAML::Node& n, const std::string& key, const std::filesystem::path& dir) {
  if (auto data = text_of(n, (key + "-data").c_str()); !data.empty()) return from_base64(data);
  auto path = text_of(n, key.c_str());
  if (path.empty()) return std::string{};
  return slurp(path.front() == '/' ? std::filesystem::path{path} : dir / path);
}

result<endpoint> split_server(const std::string& file, const std::string& url) {
  const std::string scheme = "https://";
  if (!url.starts_with(scheme)) return wrong(file, "server \"" + url + "\" is no https:// address");
  auto rest = url.substr(scheme.size());
  rest = rest.substr(0, rest.find('/'));
  const auto colon = rest.rfind(':');
  endpoint out{rest.substr(0, colon), colon == std::string::npos ? "443" : rest.substr(colon + 1)};
  if (out.host.size() > 2 && out.host.front() == '[') out.host = out.host.substr(1, out.host.size() - 2);
  return out;
}

/// Every cluster entry with the same embedded authority is another master of the same cluster.
result<void> find_others(const std::string& file, const YAML::Node& doc, const YAML::Node& mine, kubeconfig& out) {
  const auto authority = text_of(mine, "certificate-authority-data");
  if (authority.empty()) return {};
  for (const auto& entry : doc["clusters"]) {
    const auto cluster = entry["cluster"];
    if (!cluster || text_of(cluster, "certificate-authority-data") != authority) continue;
    auto at = split_server(file, text_of(cluster, "server"));
    if (!at) return at.error();
    if (at->host != out.host || at->port != out.port) out.others.push_back(std::move(*at));
  }
  return {};
}

result<kubeconfig> read(const std::string& file, const YAML::Node& doc) {
  const auto context_entry = named(doc["contexts"], text_of(doc, "current-context"));
  if (!context_entry || !context_entry["context"]) return wrong(file, "has no current-context");
  const auto context = context_entry["context"];
  const auto cluster_entry = named(doc["clusters"], text_of(context, "cluster"));
  const auto user_entry = named(doc["users"], text_of(context, "user"));
  if (!cluster_entry) return wrong(file, "its context names no known cluster");
  const auto cluster = cluster_entry["cluster"];
  const auto dir = std::filesystem::absolute(file).parent_path();

  kubeconfig out;
  auto server = split_server(file, text_of(cluster, "server"));
  if (!server) return server.error();
  out.host = server->host;
  out.port = server->port;
  if (auto r = find_others(file, doc, cluster, out); !r) return r.error();
  if (auto n = text_of(context, "namespace"); !n.empty()) out.ns = n;
  out.skip_verify = text_of(cluster, "insecure-skip-tls-verify") == "true";
  auto ca = pem_of(cluster, "certificate-authority", dir);
  if (!ca) return wrong(file, "certificate-authority: " + ca.error().message);
  out.ca_pem = *ca;
  if (!user_entry) return out;
  const auto user = user_entry["user"];
  auto cert = pem_of(user, "client-certificate", dir);
  auto key = pem_of(user, "client-key", dir);
  if (!cert) return wrong(file, "client-certificate: " + cert.error().message);
  if (!key) return wrong(file, "client-key: " + key.error().message);
  out.cert_pem = *cert;
  out.key_pem = *key;
  out.token = text_of(user, "token");
  return out;
}

} // namespace

result<kubeconfig> load_kubeconfig(const std::string& file) {
  auto text = slurp(file);
  if (!text) return text.error();
  try {
    return read(file, YAML::Load(*text));
  } catch (const YAML::Exception& e) {
    return wrong(file + ":" + std::to_string(e.mark.line + 1), e.msg);
  }
}

} // namespace troupe::cli

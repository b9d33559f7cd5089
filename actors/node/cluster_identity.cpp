#include "actors/node/cluster_identity.hpp"

#include "net/tls/pki.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <sys/stat.h>

namespace troupe::node {

namespace fs = std::filesystem;

namespace {

constexpr const char* run_root = "/run/troupe";
constexpr int format_version = 1;

std::string read_file(const fs::path& p) {
  std::ifstream in(p);
  std::stringstream s;
  s << in.rdbuf();
  return s.str();
}

std::string dotted(std::uint32_t a) {
  in_addr x{htonl(a)};
  char text[INET_ADDRSTRLEN];
  return inet_ntop(AF_INET, &x, text, sizeof text);
}

std::string new_id() {
  static constexpr char hex[] = "0123456789abcdef";
  std::random_device rd;
  std::string id;
  for (int i = 0; i < 6; ++i)
    id += hex[rd() % 16];
  return id;
}

/// Ranges that other clusters on this machine claimed and still use.
std::vector<ipv4_range> claimed_ranges() {
  std::vector<ipv4_range> out;
  std::error_code ec;
  for (const auto& entry : fs::directory_iterator(run_root, ec)) {
    boost::system::error_code bad;
    const auto doc = json::parse(read_file(entry.path() / "claim.json"), bad);
    if (bad) continue;
    for (const char* key : {"podCIDR", "serviceCIDR"})
      if (auto r = parse_range(jq::str(doc, {key}))) out.push_back(*r);
  }
  return out;
}

json::object to_json(const cluster_identity& c) {
  return {{"format", format_version}, {"id", c.id}, {"podCIDR", c.pod_cidr}, {"serviceCIDR", c.service_cidr}};
}

/// Tells other clusters of this machine which ranges are taken; lost at reboot together with the routes.
void claim(const cluster_identity& c) {
  std::error_code ec;
  const auto dir = fs::path{run_root} / c.id;
  fs::create_directories(dir, ec);
  if (ec) return; // without privileges there is nothing on the host to collide with
  ::chmod(dir.c_str(), 0711);
  std::ofstream{dir / "claim.json"} << json::serialize(to_json(c)) << "\n";
}

result<std::string> choose(const std::string& wanted, std::uint8_t base, std::uint8_t start,
                           const std::vector<ipv4_range>& taken, const char* what) {
  if (wanted != "auto") return wanted;
  auto found = free_range(base, start, taken);
  if (found.empty())
    return errors::bad_request(std::string{"no free range for "} + what + "; name one in the config file (network." +
                               what + ")");
  return found;
}

} // namespace

std::optional<ipv4_range> parse_range(std::string_view cidr) {
  const auto slash = cidr.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  in_addr a{};
  if (inet_pton(AF_INET, std::string{cidr.substr(0, slash)}.c_str(), &a) != 1) return std::nullopt;
  int bits = -1;
  const auto tail = cidr.substr(slash + 1);
  const auto [end, ec] = std::from_chars(tail.data(), tail.data() + tail.size(), bits);
  if (ec != std::errc{} || end != tail.data() + tail.size() || bits < 0 || bits > 32) return std::nullopt;
  const std::uint32_t mask = bits == 0 ? 0 : ~std::uint32_t{0} << (32 - bits);
  const auto first = ntohl(a.s_addr) & mask;
  return ipv4_range{first, first | ~mask};
}

std::string address_at(std::string_view cidr, std::uint32_t n) {
  const auto r = parse_range(cidr);
  return r && r->first + n <= r->last ? dotted(r->first + n) : std::string{};
}

std::string free_range(std::uint8_t base, std::uint8_t start, const std::vector<ipv4_range>& taken) {
  for (unsigned x = start; x <= 255; ++x) {
    const auto cidr = std::to_string(base) + "." + std::to_string(x) + ".0.0/16";
    const auto range = *parse_range(cidr);
    if (std::none_of(taken.begin(), taken.end(), [&](const auto& t) { return t.overlaps(range); })) return cidr;
  }
  return {};
}

std::vector<ipv4_range> routed_ranges(std::string_view text) {
  std::vector<ipv4_range> out;
  std::istringstream lines{std::string{text}};
  std::string line;
  std::getline(lines, line); // heading
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string device, destination, skip, mask;
    words >> device >> destination >> skip >> skip >> skip >> skip >> skip >> mask;
    std::uint32_t d = 0, m = 0;
    if (std::from_chars(destination.data(), destination.data() + destination.size(), d, 16).ec != std::errc{}) continue;
    if (std::from_chars(mask.data(), mask.data() + mask.size(), m, 16).ec != std::errc{} || m == 0) continue;
    const auto first = ntohl(d), bits = ntohl(m);
    out.push_back({first & bits, first | ~bits});
  }
  return out;
}

node_layout layout_of(const std::string& data_dir, const std::string& node_name, const cluster_identity& c) {
  node_layout l;
  l.data_dir = data_dir;
  l.node_dir = data_dir + "/" + node_name;
  l.containers_dir = l.node_dir + "/containers";
  l.run_dir = std::string{run_root} + "/" + c.id + "/" + node_name;
  l.cgroup = "troupe-" + c.id + "/" + node_name;
  l.bridge = "troupe-" + c.id;
  return l;
}

result<cluster_identity> read_identity(const std::string& data_dir) {
  const auto file = data_dir + "/cluster.json";
  std::error_code ec;
  if (!fs::exists(file, ec)) return errors::not_found({"", "cluster"}, data_dir);
  boost::system::error_code bad;
  const auto doc = json::parse(read_file(file), bad);
  cluster_identity c{std::string{jq::str(doc, {"id"})}, std::string{jq::str(doc, {"podCIDR"})},
                     std::string{jq::str(doc, {"serviceCIDR"})}};
  if (bad || c.id.size() != 6 || !parse_range(c.pod_cidr) || !parse_range(c.service_cidr))
    return errors::bad_request(file + " is damaged; restore it from a backup or remove the data dir");
  if (jq::num(doc, {"format"}) > format_version)
    return errors::bad_request(file + " was written by a newer troupe; use that version");
  return c;
}

result<cluster_identity> open_identity(const std::string& data_dir, const network_config& network) {
  if (auto known = read_identity(data_dir); known || known.error().code != 404) {
    if (!known) return known.error();
    for (const auto& [wanted, has, key] : {std::tuple{network.pod_cidr, known->pod_cidr, "podCIDR"},
                                           std::tuple{network.service_cidr, known->service_cidr, "serviceCIDR"}})
      if (wanted != "auto" && wanted != has)
        return errors::bad_request(std::string{"network."} + key + " is " + wanted +
                                   " in the config, but the data dir " + data_dir + " was made with " + has +
                                   "; it cannot change later");
    claim(*known);
    return *known;
  }
  auto taken = routed_ranges(read_file("/proc/net/route"));
  for (const auto& r : claimed_ranges())
    taken.push_back(r);
  auto pods = choose(network.pod_cidr, 10, 244, taken, "podCIDR");
  if (!pods) return pods.error();
  taken.push_back(*parse_range(*pods));
  auto services = choose(network.service_cidr, 10, 96, taken, "serviceCIDR");
  if (!services) return services.error();
  cluster_identity c{new_id(), *pods, *services};
  if (parse_range(c.pod_cidr)->overlaps(*parse_range(c.service_cidr)))
    return errors::bad_request("network.podCIDR " + c.pod_cidr + " and network.serviceCIDR " + c.service_cidr +
                               " overlap; choose ranges that do not");
  if (auto w = tls::write_private_file(data_dir + "/cluster.json", json::serialize(to_json(c)) + "\n"); !w)
    return w.error();
  claim(c);
  return c;
}

} // namespace troupe::node

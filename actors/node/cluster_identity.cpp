#include "actors/node/cluster_identity.hpp"

#include "actors/node/dir_lock.hpp"
#include "net/tls/pki.hpp"

#include <algorithm>
#include <arpa/inet.h>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>
#include <sys/stat.h>
#include <utility>

namespace troupe::node {

namespace fs = std::filesystem;

namespace {

constexpr const char* run_root = "/run/troupe";
constexpr int format_version = 3;
constexpr int format_of_several = 2;     // without a lone founder
constexpr int format_of_one_node = 1;    // a founder that holds the whole pod range
constexpr std::int64_t not_for_pods = 3; // addresses of a pod network: its own, the bridge's, the broadcast

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
    for (const char* key : {"podCIDR", "serviceCIDR", "nodeCIDR"})
      if (auto r = parse_range(jq::str(doc, {key}))) out.push_back(*r);
  }
  return out;
}

int format_of(const cluster_identity& c) {
  if (!c.can_grow()) return format_of_one_node;
  return c.alone.node.empty() ? format_of_several : format_version;
}

json::object to_json(const lone_founder& f) {
  json::object out{{"node", f.node}, {"podCIDR", f.pod_cidr}};
  if (!f.address.empty()) out["address"] = f.address;
  if (f.grew) out["grew"] = true;
  return out;
}

json::object to_json(const cluster_identity& c) {
  json::object out{{"format", format_of(c)}, {"id", c.id}, {"podCIDR", c.pod_cidr}, {"serviceCIDR", c.service_cidr}};
  if (!c.can_grow()) return out;
  if (!c.alone.node.empty()) out["alone"] = to_json(c.alone);
  json::object founders, addresses;
  for (const auto& [name, id] : c.founders)
    founders[name] = id;
  for (const auto& [name, address] : c.addresses)
    addresses[name] = address;
  out["founders"] = std::move(founders);
  out["begun"] = json::value_from(std::vector<std::string>(c.begun.begin(), c.begun.end()));
  if (!c.node_cidr.empty()) out["nodeCIDR"] = c.node_cidr;
  if (!c.addresses.empty()) out["addresses"] = std::move(addresses);
  return out;
}

/// False when it is damaged.
bool read_alone(const json::value& doc, lone_founder& f) {
  if (!jq::find(doc, {"alone"})) return true;
  f.node = jq::str(doc, {"alone", "node"});
  f.pod_cidr = jq::str(doc, {"alone", "podCIDR"});
  f.address = jq::str(doc, {"alone", "address"});
  f.grew = jq::flag(doc, {"alone", "grew"});
  return !f.node.empty() && parse_range(f.pod_cidr);
}

/// The part that clusters have which may get more nodes; false when it is damaged.
bool read_growing(const json::value& doc, cluster_identity& c) {
  const auto* o = doc.if_object();
  if (!o || !o->contains("founders")) return true;
  if (!read_alone(doc, c.alone)) return false;
  if (const auto* founders = o->at("founders").if_object())
    for (const auto& [name, id] : *founders)
      if (id.is_int64() && id.as_int64() > 0) c.founders[name] = static_cast<std::uint64_t>(id.as_int64());
  for (const auto& name : jq::arr(doc, {"begun"}))
    if (name.is_string()) c.begun.insert(std::string{name.as_string()});
  c.node_cidr = jq::str(doc, {"nodeCIDR"});
  if (const auto* addresses = o->if_contains("addresses"); addresses && addresses->is_object())
    for (const auto& [name, address] : addresses->as_object())
      if (address.is_string()) c.addresses[name] = address.as_string();
  return !c.founders.empty() && (c.node_cidr.empty() || parse_range(c.node_cidr));
}

result<void> save(const std::string& data_dir, const cluster_identity& c) {
  return tls::write_private_file(data_dir + "/cluster.json", json::serialize(to_json(c)) + "\n");
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

std::string free_node_range(const std::vector<ipv4_range>& taken) {
  for (unsigned x = 200; x <= 243; ++x) {
    const auto cidr = "10." + std::to_string(x) + ".0.0/24";
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
  cluster_identity c;
  c.id = jq::str(doc, {"id"});
  c.pod_cidr = jq::str(doc, {"podCIDR"});
  c.service_cidr = jq::str(doc, {"serviceCIDR"});
  if (bad || c.id.size() != 6 || !parse_range(c.pod_cidr) || !parse_range(c.service_cidr) || !read_growing(doc, c))
    return errors::bad_request(file + " is damaged; restore it from a backup or remove the data dir");
  if (jq::num(doc, {"format"}) > format_version)
    return errors::bad_request(file + " was written by a newer troupe; use that version");
  return c;
}

namespace {

/// Ranges of this machine that a new cluster must keep clear of.
std::vector<ipv4_range> taken_ranges() {
  auto taken = routed_ranges(read_file("/proc/net/route"));
  for (const auto& r : claimed_ranges())
    taken.push_back(r);
  return taken;
}

/// What a person can do with a cluster whose one node holds everything.
std::string way_out(const std::string& data_dir) {
  return "take its state along instead: `troupe backup FILE --data-dir " + data_dir +
         "`, then `troupe restore FILE` into a new data dir, whose cluster can grow";
}

result<void> check_known(const cluster_identity& known, const std::string& data_dir, const cluster_config& config) {
  if (!known.can_grow() && config.nodes.size() > 1)
    return errors::bad_request(
        "the config names " + std::to_string(config.nodes.size()) + " nodes, but cluster " + known.id + " in " +
        data_dir + " was made by an older troupe, whose one node holds the whole pod range; " + way_out(data_dir));
  const auto& founder = known.alone.node;
  if (known.can_grow() && known.one_copy() && !config.node(founder))
    return errors::bad_request("cluster " + known.id + " in " + data_dir + " was founded by node " + founder +
                               ", which the config does not name: its data is the only copy. Call the node " + founder +
                               " again, or choose another data dir");
  const auto& network = config.network;
  for (const auto& [wanted, has, key] : {std::tuple{network.pod_cidr, known.pod_cidr, "podCIDR"},
                                         std::tuple{network.service_cidr, known.service_cidr, "serviceCIDR"}})
    if (wanted != "auto" && wanted != has)
      return errors::bad_request(std::string{"network."} + key + " is " + wanted + " in the config, but the data dir " +
                                 data_dir + " was made with " + has + "; it cannot change later");
  return {};
}

/// Gives an address to every node that needs a namespace and has none yet; true when something changed.
result<bool> place_nodes(cluster_identity& c, const cluster_config& config) {
  bool changed = false;
  for (const auto& n : config.nodes) {
    if (!n.address.empty() || c.addresses.contains(n.name) || n.name == c.alone.node) continue;
    if (c.node_cidr.empty()) {
      auto taken = taken_ranges();
      for (const auto& own : {c.pod_cidr, c.service_cidr})
        taken.push_back(*parse_range(own));
      c.node_cidr = free_node_range(taken);
      if (c.node_cidr.empty())
        return errors::bad_request("no free network for the nodes of this machine; give each node an address in the "
                                   "config (nodes[].address)");
    }
    std::set<std::string> held;
    for (const auto& [name, address] : c.addresses)
      held.insert(address);
    std::uint32_t at = 2; // the first is the host's
    while (held.contains(address_at(c.node_cidr, at)))
      ++at;
    const auto address = address_at(c.node_cidr, at);
    if (address.empty() || parse_range(c.node_cidr)->last == parse_range(address + "/32")->first)
      return errors::bad_request("all addresses of " + c.node_cidr + " are taken by nodes of this machine");
    c.addresses[n.name] = address;
    changed = true;
  }
  return changed;
}

result<cluster_identity> found(const cluster_config& config) {
  auto taken = taken_ranges();
  auto pods = choose(config.network.pod_cidr, 10, 244, taken, "podCIDR");
  if (!pods) return pods.error();
  taken.push_back(*parse_range(*pods));
  auto services = choose(config.network.service_cidr, 10, 96, taken, "serviceCIDR");
  if (!services) return services.error();
  cluster_identity c;
  c.id = new_id();
  c.pod_cidr = *pods;
  c.service_cidr = *services;
  if (parse_range(c.pod_cidr)->overlaps(*parse_range(c.service_cidr)))
    return errors::bad_request("network.podCIDR " + c.pod_cidr + " and network.serviceCIDR " + c.service_cidr +
                               " overlap; choose ranges that do not");
  if (config.nodes.size() == 1) {
    const auto& n = config.nodes.front();
    c.alone.node = n.name;
    c.alone.pod_cidr = first_pod_slice(c.pod_cidr, n.pods_max);
  }
  std::uint64_t id = 0;
  for (const auto& n : config.nodes)
    if (n.master) c.founders[n.name] = ++id;
  return c;
}

} // namespace

std::string address_of(const cluster_identity& c, const node_config& n) {
  if (!n.address.empty()) return n.address;
  if (n.name == c.alone.node) return c.alone.address;
  const auto it = c.addresses.find(n.name);
  return it == c.addresses.end() ? std::string{} : it->second;
}

result<cluster_identity> open_identity(const std::string& data_dir, const cluster_config& config) {
  auto lock = dir_lock::take(data_dir);
  if (!lock) return lock.error();
  auto known = read_identity(data_dir);
  if (!known && known.error().code != 404) return known.error();
  const bool fresh = !known;
  if (fresh) {
    known = found(config);
    if (!known) return known.error();
  } else if (auto fits = check_known(*known, data_dir, config); !fits) {
    return fits.error();
  }
  bool changed = fresh;
  if (known->can_grow()) {
    auto placed = place_nodes(*known, config);
    if (!placed) return placed.error();
    changed = changed || *placed;
  }
  if (changed)
    if (auto saved = save(data_dir, *known); !saved) return saved.error();
  claim(*known);
  return *known;
}

namespace {

/// Changes the file under its lock; `change` says whether it changed anything.
template <class Change>
result<void> amend(const std::string& data_dir, Change change) {
  auto lock = dir_lock::take(data_dir);
  if (!lock) return lock.error();
  auto known = read_identity(data_dir);
  if (!known) return known.error();
  return change(*known) ? save(data_dir, *known) : result<void>{};
}

} // namespace

result<void> mark_begun(const std::string& data_dir, const std::string& node_name) {
  return amend(data_dir,
               [&](cluster_identity& c) { return c.founders.contains(node_name) && c.begun.insert(node_name).second; });
}

result<void> mark_grown(const std::string& data_dir) {
  return amend(data_dir,
               [](cluster_identity& c) { return !c.alone.node.empty() && !std::exchange(c.alone.grew, true); });
}

result<void> note_address(const std::string& data_dir, const std::string& address) {
  return amend(data_dir, [&](cluster_identity& c) {
    return !c.alone.node.empty() && std::exchange(c.alone.address, address) != address;
  });
}

std::string first_pod_slice(std::string_view pod_cidr, std::int64_t pods_max) {
  const auto range = parse_range(pod_cidr);
  if (!range) return {};
  const auto size = std::int64_t{range->last} - range->first + 1;
  int bits = node_pod_bits;
  const auto held = [&] { return std::int64_t{1} << (32 - bits); };
  while (held() - not_for_pods < pods_max && held() < size)
    --bits;
  return dotted(range->first) + "/" + std::to_string(bits);
}

std::string fixed_pod_range(const cluster_identity& c, const std::string& node_name) {
  if (!c.can_grow()) return c.pod_cidr;
  return node_name == c.alone.node ? c.alone.pod_cidr : std::string{};
}

std::string growth_refusal(const cluster_identity& c, const node_config& self, const std::string& data_dir) {
  if (!c.can_grow())
    return "no master can be added: cluster " + c.id + " was made by an older troupe, whose one node " + self.name +
           " holds the whole pod range and speaks to no other; " + way_out(data_dir);
  if (self.name == c.alone.node && self.address.empty() && self.listen.starts_with("127."))
    return "no master can be added: node " + self.name + " listens on " + self.listen +
           " only, where no other node reaches it; start it with a config that says another nodes[].listen";
  return {};
}

} // namespace troupe::node

#include "actors/node/member_identity.hpp"

#include "api/json.hpp"
#include "net/tls/pki.hpp"
#include "store/rocks_backend.hpp"

#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

namespace troupe::node {

namespace fs = std::filesystem;

namespace {

constexpr int format_version = 1;

std::string file_of(const std::string& node_dir) { return node_dir + "/member.json"; }

member_decision decided(member_decision::how what, std::uint64_t member) {
  member_decision d;
  d.what = what;
  d.member = member;
  return d;
}

std::string draw_token() {
  static constexpr char hex[] = "0123456789abcdef";
  std::random_device rd;
  std::string out;
  for (int i = 0; i < 16; ++i)
    out += hex[rd() % 16];
  return out;
}

status lost_only_copy(const std::string& node_name, const std::string& node_dir) {
  return errors::bad_request(
      "node " + node_name + " kept the cluster's state in " + node_dir +
      "/store, which is gone, and nobody else has it: put it back, restore a backup (troupe restore), or give the "
      "cluster up (troupe down --purge)");
}

status lost_data(const std::string& node_name, std::uint64_t member, const std::string& node_dir) {
  return errors::bad_request(
      "master " + node_name + " was member " + std::to_string(member) + ", but its store in " + node_dir +
      "/store is gone; a member that lost its data must not vote again under its "
      "old id: run `troupe master remove " +
      node_name + "`, remove " + node_dir + ", start it again and run `troupe master add " + node_name + "`");
}

} // namespace

result<member_decision> decide_member(const cluster_identity& cluster, const std::string& node_name,
                                      const std::optional<member_record>& record, bool store_exists,
                                      const std::string& node_dir) {
  using how = member_decision::how;
  const auto founder = cluster.founders.find(node_name);
  if (!record) {
    if (store_exists)
      return errors::bad_request(node_dir +
                                 " has a store but no member.json, so it cannot be told which member it is; "
                                 "restore the file from a backup, or remove the directory and add the "
                                 "master anew (`troupe master add " +
                                 node_name + "`)");
    if (founder != cluster.founders.end() && !cluster.begun.contains(node_name))
      return decided(how::founds, founder->second);
    if (founder != cluster.founders.end() && cluster.one_copy()) return lost_only_copy(node_name, node_dir);
    return decided(how::waits, 0);
  }
  if (record->cluster != cluster.id)
    return errors::bad_request(file_of(node_dir) + " belongs to cluster " + record->cluster +
                               ", but cluster.json beside it is that of cluster " + cluster.id +
                               "; a directory was copied from elsewhere, put back the right one");
  if (record->node != node_name)
    return errors::bad_request(file_of(node_dir) + " is that of node " + record->node + ", but this node is " +
                               node_name + "; two members must never share one directory or a copy of it");
  const bool as_founder = founder != cluster.founders.end() && founder->second == record->member;
  if (store_exists) return decided(how::returns, record->member);
  // The file is written before the store: a process that died in between has lost nothing.
  if (record->begun || (as_founder && cluster.begun.contains(node_name)))
    return cluster.one_copy() ? lost_only_copy(node_name, node_dir) : lost_data(node_name, record->member, node_dir);
  return decided(as_founder ? how::founds : how::joins, record->member);
}

result<std::optional<member_record>> read_member(const std::string& node_dir) {
  const auto file = file_of(node_dir);
  std::error_code ec;
  if (!fs::exists(file, ec)) return std::optional<member_record>{};
  std::ifstream in(file);
  std::stringstream text;
  text << in.rdbuf();
  boost::system::error_code bad;
  const auto doc = json::parse(text.str(), bad);
  member_record r;
  r.cluster = jq::str(doc, {"cluster"});
  r.node = jq::str(doc, {"node"});
  r.member = static_cast<std::uint64_t>(jq::num(doc, {"member"}));
  r.store = jq::str(doc, {"store"});
  r.begun = jq::flag(doc, {"begun"});
  if (bad || r.cluster.empty() || r.node.empty() || r.member == 0)
    return errors::bad_request(file + " is damaged; restore it from a backup");
  if (jq::num(doc, {"format"}) > format_version)
    return errors::bad_request(file + " was written by a newer troupe; use that version");
  return std::optional<member_record>{std::move(r)};
}

result<void> write_member(const std::string& node_dir, const member_record& r) {
  const json::object doc{{"format", format_version}, {"cluster", r.cluster}, {"node", r.node},
                         {"member", r.member},       {"store", r.store},     {"begun", r.begun}};
  return tls::write_private_file(file_of(node_dir), json::serialize(doc) + "\n");
}

result<std::uint64_t> restored_member(const cluster_identity& cluster, const std::string& data_dir,
                                      const std::string& node_name) {
  const auto node_dir = data_dir + "/" + node_name;
  auto record = read_member(node_dir);
  if (!record) return record.error();
  const auto founder = cluster.founders.find(node_name);
  if (!cluster.one_copy() || founder == cluster.founders.end()) {
    auto d = open_member(cluster, data_dir, node_name);
    if (!d) return d.error();
    return d->member;
  }
  if (!*record)
    if (auto w = write_member(node_dir, {cluster.id, node_name, founder->second, draw_token(), false}); !w)
      return w.error();
  return founder->second;
}

result<member_decision> open_member(const cluster_identity& cluster, const std::string& data_dir,
                                    const std::string& node_name, std::uint64_t given) {
  const auto node_dir = data_dir + "/" + node_name;
  auto record = read_member(node_dir);
  if (!record) return record.error();
  std::error_code ec;
  auto d = decide_member(cluster, node_name, *record, store::holds_store(node_dir + "/store"), node_dir);
  if (!d) return d;
  if (d->what == member_decision::how::waits && given != 0) {
    d->what = member_decision::how::joins;
    d->member = given;
  }
  if (d->what == member_decision::how::waits) return d;
  const auto founder = cluster.founders.find(node_name);
  d->founder = founder != cluster.founders.end() && founder->second == d->member;
  if (!*record) {
    *record = member_record{cluster.id, node_name, d->member, draw_token(), false};
    if (auto w = write_member(node_dir, **record); !w) return w.error();
  }
  d->store = (*record)->store;
  return d;
}

} // namespace troupe::node

// `troupe restore`: makes the store of a new cluster from a backup.
#include "actors/node/cluster_identity.hpp"
#include "actors/node/member_identity.hpp"
#include "cli/data_dir.hpp"
#include "cli/process.hpp"
#include "cli/rescue_notes.hpp"
#include "cli/verb_options.hpp"
#include "store/rescue.hpp"
#include "store/state_view.hpp"

#include <boost/program_options.hpp>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <sstream>

namespace troupe::cli {

namespace po = boost::program_options;
namespace fs = std::filesystem;

namespace {

struct restore_options {
  std::string file, data_dir, node, config;
};

std::optional<int> parse(const args& words, restore_options& o) {
  po::options_description desc(
      "usage: troupe restore FILE [--data-dir DIR] [--node NAME] [-f CONFIG.yaml]\n"
      "Makes the store of a cluster of one master from a backup. Nothing may run in DIR, and the node may have no\n"
      "store yet. With a config of several masters the others must start with empty directories and be added with\n"
      "troupe master add.\noptions");
  desc.add_options()("data-dir", po::value(&o.data_dir)->default_value(default_data_dir()), "where state is kept")(
      "node", po::value(&o.node), "the master that gets the store")("config,f", po::value(&o.config),
                                                                    "cluster config it will be started with");
  std::vector<std::string> files;
  if (auto code = parse_words("restore", words, desc, &files)) return code;
  if (files.size() > 1) return complain("one file is expected; see troupe restore --help", 2);
  if (!files.empty()) o.file = files.front();
  if (o.file.empty()) return complain("name the backup to restore from; see troupe restore --help", 2);
  o.data_dir = absolute_dir(o.data_dir);
  return std::nullopt;
}

/// With a config: that, its other masters taken as ones that will be added. Without: one node.
result<node::cluster_config> config_of(restore_options& o) {
  if (o.config.empty()) {
    if (o.node.empty() && nodes_in(o.data_dir).empty()) o.node = host_node_name();
    auto name = choose_node(o.data_dir, o.node);
    if (!name) return name.error();
    o.node = *name;
    return node::single_node_config(o.node);
  }
  std::ifstream in(o.config);
  if (!in) return errors::bad_request("cannot read " + o.config + ": " + std::strerror(errno));
  std::stringstream text;
  text << in.rdbuf();
  auto parsed = node::parse_cluster_config(text.str());
  if (auto* wrong = std::get_if<1>(&parsed)) {
    const auto& e = wrong->front();
    return errors::bad_request(o.config + ":" + std::to_string(e.line) + ":" + std::to_string(e.column) + ": " +
                               e.what);
  }
  auto c = std::get<0>(std::move(parsed));
  bool found = false;
  for (auto& n : c.nodes) {
    if (o.node.empty() && n.master) o.node = n.name;
    found = found || (n.name == o.node && n.master);
    n.master = n.name == o.node;
  }
  if (!found) return errors::bad_request("no master named \"" + o.node + "\" in " + o.config);
  return c;
}

/// Services keep their addresses, so the new cluster must use the range they are from.
std::string service_range(const store::state_machine& state) {
  const auto o = state.get({"services", "default", "kubernetes"});
  if (!o) return {};
  const auto doc = o->parse();
  const std::string ip{jq::str(doc, {"spec", "clusterIP"})};
  const auto second = ip.find('.', ip.find('.') + 1);
  return second == ip.npos ? std::string{} : ip.substr(0, second) + ".0.0/16";
}

result<store::rescue_report> restore(const restore_options& o, node::cluster_config config) {
  const auto node_dir = o.data_dir + "/" + o.node, dir = node_dir + "/store";
  if (store::holds_store(dir))
    return errors::bad_request(dir + " holds a store already; move it away first, nothing is ever overwritten");
  std::unique_ptr<store::state_machine> state;
  if (auto file = store::load_snapshot_file(o.file, state); !file) return file.error();
  auto known = node::read_identity(o.data_dir);
  if (!known && known.error().code != 404) return known.error();
  if (known && !known->one_copy())
    return errors::bad_request(o.data_dir + " is that of cluster " + known->id +
                               ", which has had several masters: those that are left could take the restored one for "
                               "their own. Restore into an empty directory and move this one away; DIR/pki may be "
                               "copied over to keep the certificates");
  if (!known && config.network.service_cidr == "auto")
    if (auto range = service_range(*state); !range.empty()) config.network.service_cidr = range;
  state.reset();
  std::error_code ec;
  fs::create_directories(node_dir, ec);
  if (ec) return errors::bad_request("cannot make " + node_dir + ": " + ec.message());
  auto lock = node_lock::take(node_dir);
  if (!lock) return lock.error();
  if (!*lock) return errors::bad_request("node " + o.node + " runs on " + o.data_dir + "; stop it first: troupe down");
  auto cluster = node::open_identity(o.data_dir, config);
  if (!cluster) return cluster.error();
  store::backend_options to;
  to.dir = dir;
  to.cluster_id = cluster->id;
  if (cluster->can_grow()) {
    auto member = node::restored_member(*cluster, o.data_dir, o.node);
    if (!member) return member.error();
    to.member = store::member_id{*member};
  }
  return store::restore_store(o.file, to, std::chrono::system_clock::now());
}

} // namespace

int verb_restore(const args& words) {
  restore_options o;
  if (auto settled = parse(words, o)) return *settled;
  auto config = config_of(o);
  if (!config) return complain(config.error().message);
  const bool several = config->nodes.size() > 1;
  auto done = restore(o, std::move(*config));
  if (!done) return complain(done.error().message);
  const auto what = std::to_string(done->objects) + " objects from " + o.file + ", revision " +
                    std::to_string(done->rev_before) + " is now " + std::to_string(done->rev_after);
  if (auto r = note(o.data_dir + "/" + o.node, "restore: " + what); !r) return complain(r.error().message);
  std::cout << "restored " << what << "\nstart it with: troupe up --data-dir " << o.data_dir << " --node " << o.node
            << (o.config.empty() ? "" : " -f " + o.config) << "\n";
  if (several)
    std::cout << "the other masters must start with empty directories; add each with: troupe master add NAME\n";
  return 0;
}

} // namespace troupe::cli

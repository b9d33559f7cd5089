// `troupe recover`: after the loss of the majority, makes a new group out of one surviving master.
#include "actors/node/cluster_identity.hpp"
#include "actors/node/member_identity.hpp"
#include "cli/data_dir.hpp"
#include "cli/process.hpp"
#include "cli/rescue_notes.hpp"
#include "cli/verb_options.hpp"
#include "store/rescue.hpp"

#include <boost/program_options.hpp>

#include <iostream>

namespace troupe::cli {

namespace po = boost::program_options;

namespace {

struct recover_options {
  std::string data_dir, node;
  bool yes = false;
};

std::optional<int> parse(const args& words, recover_options& o) {
  po::options_description desc(
      "usage: troupe recover --data-dir DIR --node NAME [--yes]\n"
      "For the loss of the majority of the masters only: makes a group of one out of NAME. Writes that NAME never\n"
      "received are lost. The other masters must never start again with their old directories.\noptions");
  desc.add_options()("data-dir", po::value(&o.data_dir)->default_value(default_data_dir()), "where state is kept")(
      "node", po::value(&o.node), "the survivor")("yes", po::bool_switch(&o.yes), "do not ask");
  if (auto code = parse_words("recover", words, desc)) return code;
  o.data_dir = absolute_dir(o.data_dir);
  return std::nullopt;
}

/// True when the person typed the cluster's id.
bool confirmed(const std::string& id, const std::string& node) {
  std::cout << "Node " << node << " will be the only master of cluster " << id
            << ". What it has not received is lost for ever, and the other\nmasters must be emptied before they start "
               "again. Type the cluster's id ("
            << id << ") to go on: " << std::flush;
  std::string typed;
  return std::getline(std::cin, typed) && typed == id;
}

std::string names(const store::group_config& c) {
  std::string out;
  for (auto id : c.voters)
    out += (out.empty() ? "" : ", ") + std::to_string(id.v);
  return out;
}

result<store::backend_options> options_of(const recover_options& o, const node::cluster_identity& cluster) {
  store::backend_options out;
  const auto node_dir = o.data_dir + "/" + o.node;
  out.dir = node_dir + "/store";
  out.cluster_id = cluster.id;
  auto record = node::read_member(node_dir);
  if (!record) return record.error();
  if (*record) out.member = store::member_id{(*record)->member};
  if (!store::holds_store(out.dir))
    return errors::bad_request(out.dir + " holds no store: node " + o.node + " is no master, or lost its data");
  return out;
}

} // namespace

int verb_recover(const args& words) {
  recover_options o;
  if (auto settled = parse(words, o)) return *settled;
  auto name = choose_node(o.data_dir, o.node);
  if (!name) return complain(name.error().message);
  o.node = *name;
  const auto node_dir = o.data_dir + "/" + o.node;
  auto cluster = node::read_identity(o.data_dir);
  if (!cluster)
    return complain(cluster.error().code == 404 ? o.data_dir + " is no data dir of a cluster: it has no cluster.json"
                                                : cluster.error().message);
  if (running_pid(node_dir))
    return complain("node " + o.node + " runs on " + o.data_dir + "; stop it first: troupe down --data-dir " +
                    o.data_dir);
  auto options = options_of(o, *cluster);
  if (!options) return complain(options.error().message);
  auto lock = node_lock::take(node_dir);
  if (!lock) return complain(lock.error().message);
  if (!*lock) return complain("node " + o.node + " was started meanwhile; stop it first");
  if (!o.yes && !confirmed(cluster->id, o.node)) return complain("nothing was changed");
  auto done = store::recover_alone(*options, std::chrono::system_clock::now());
  if (!done) return complain(done.error().message);
  const auto what = "member " + std::to_string(options->member.v) + " is the whole group now (voters were " +
                    names(done->was) + "), term " + std::to_string(done->term.v) + ", entry " +
                    std::to_string(done->at.index.v) + ", " + std::to_string(done->objects) + " objects, " +
                    std::to_string(done->replayed) + " entries kept that were not known to be committed, revision " +
                    std::to_string(done->rev_before) + " is now " + std::to_string(done->rev_after);
  if (auto r = note(node_dir, "recover: " + what); !r) return complain(r.error().message);
  std::cout << what << "\nempty the directories of the other masters, start this one, and add them again with: "
            << "troupe master add NAME\n";
  return 0;
}

} // namespace troupe::cli

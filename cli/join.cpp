#include "cli/join.hpp"

#include "actors/node/node_base.hpp"
#include "actors/support/component.hpp"
#include "api/json.hpp"
#include "cli/client/https_client.hpp"
#include "cli/process.hpp"

#include <spdlog/spdlog.h>

#include <chrono>
#include <optional>

namespace troupe::cli {

namespace {

using namespace std::chrono_literals;

constexpr std::chrono::milliseconds ask_first = 200ms, ask_last = 2000ms;
constexpr std::chrono::seconds say_again{30};

kubeconfig config_for(const node::node_options& o, const node::cluster_identity& cluster, const tls::pki& keys) {
  kubeconfig c;
  std::vector<endpoint> servers;
  for (const auto& n : o.cluster.nodes)
    if (n.master && n.name != o.self.name)
      servers.push_back({node::address_of(cluster, n), std::to_string(n.ports.api)});
  if (!servers.empty()) {
    c.host = servers.front().host;
    c.port = servers.front().port;
    c.others.assign(servers.begin() + 1, servers.end());
  }
  c.ca_pem = keys.ca_pem;
  c.cert_pem = keys.admin.cert_pem;
  c.key_pem = keys.admin.key_pem;
  return c;
}

struct group_answer {
  std::vector<master_row> rows;
  std::uint64_t given = 0; // the id of the row that waits for this master
  std::string why_not;     // what keeps it from beginning
};

/// What a person has to type so that the masters take this one in.
std::string add_command(const node::node_options& o, const node::cluster_identity& cluster) {
  const auto& self = o.self;
  const node::node_ports usual;
  auto out = "troupe master add " + self.name + " --address " + node::address_of(cluster, self);
  if (self.ports.api != usual.api) out += " --api-port " + std::to_string(self.ports.api);
  if (self.ports.actors != usual.actors) out += " --actors-port " + std::to_string(self.ports.actors);
  if (cluster.addresses.contains(self.name)) out += " --data-dir " + o.data_dir; // the others are on this machine
  return out;
}

group_answer ask(https_client& client, const std::string& name, const std::string& command) {
  group_answer out;
  http_call call;
  call.target = "/troupe/v1/members";
  const auto answer = client.call(call);
  if (!answer) {
    out.why_not = answer.error().message;
    return out;
  }
  if (answer->code != 200) {
    out.why_not = explain(*answer);
    return out;
  }
  boost::system::error_code bad;
  const auto doc = json::parse(answer->body, bad);
  out.why_not = "run `" + command + "`: the group does not know this master";
  for (const auto& m : jq::arr(doc, {"members"})) {
    const auto row = read_master(m);
    if (!row) continue;
    out.rows.push_back(*row);
    if (row->name != name) continue;
    if (row->joining)
      out.given = row->id.v;
    else
      out.why_not = "the group has this master as member " + std::to_string(row->id.v) +
                    ", whose data is not here any more; run `troupe master remove " + name + "` and then `" + command +
                    "`";
  }
  return out;
}

} // namespace

result<bool> find_membership(node::node_options& options, const node::cluster_identity& cluster,
                             const std::function<bool(std::chrono::milliseconds)>& pause) {
  const auto& name = options.self.name;
  auto decision = node::open_member(cluster, options.data_dir, name);
  if (!decision) return decision.error();
  options.member = *decision;
  if (options.member.what != node::member_decision::how::waits) return true;

  const auto log = component_log("node");
  auto keys = node::open_node_keys(options, cluster, {node::address_of(cluster, options.self)});
  if (!keys) return keys.error();
  https_client client{config_for(options, cluster, **keys)};
  auto wait = ask_first;
  const auto command = add_command(options, cluster);
  std::string said;
  auto say = std::chrono::steady_clock::now();
  while (true) {
    auto answer = ask(client, name, command);
    if (answer.given != 0) {
      auto joined = node::open_member(cluster, options.data_dir, name, answer.given);
      if (!joined) return joined.error();
      options.member = *joined;
      options.masters = std::move(answer.rows);
      log->info("joins the group member={}", options.member.member);
      return true;
    }
    const auto now = std::chrono::steady_clock::now();
    if (answer.why_not != said || now > say) {
      log->warn("this master is not a member yet: {}", answer.why_not);
      if (answer.why_not != said) report_waiting(answer.why_not);
      said = answer.why_not;
      say = now + say_again;
    }
    if (!pause(wait)) return false;
    wait = std::min(wait * 2, ask_last);
  }
}

} // namespace troupe::cli

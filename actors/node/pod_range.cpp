#include "actors/node/pod_range.hpp"

#include "actors/support/calls.hpp"

#include <caf/all.hpp>
#include <spdlog/spdlog.h>

#include <fstream>
#include <iterator>

namespace troupe::node {

namespace {

constexpr std::chrono::seconds call_patience{20};
constexpr std::chrono::milliseconds look_again{100};

std::string file_of(const std::string& node_dir) { return node_dir + "/pods.json"; }

/// The range the store has for the Node; empty while it has none.
std::string given_range(const component_env& env) {
  const auto o = env.state->current()->get("nodes", {}, env.node_name);
  return o ? std::string{jq::str(o->parse(), {"spec", "podCIDR"})} : std::string{};
}

/// The smallest Node that the kubelet will complete; it brings back the range that its pods still use.
json::value bare_node(const std::string& name, const std::string& range) {
  json::object spec;
  if (!range.empty()) spec = {{"podCIDR", range}, {"podCIDRs", json::array{json::value(range)}}};
  return {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}}}, {"spec", std::move(spec)}};
}

/// Waits for the range, and makes the Node when there is none. A refusal is told once: while the first leader has not
/// written the roles yet, every node is refused.
void wait_for_range(caf::event_based_actor* self, const component_env& env, const std::string& wanted,
                    const std::shared_ptr<std::promise<void>>& done, const std::shared_ptr<std::string>& told,
                    const std::shared_ptr<spdlog::logger>& log) {
  if (!given_range(env).empty()) {
    done->set_value();
    self->quit();
    return;
  }
  const auto again = [self] { self->delayed_send(self, look_again, caf::tick_atom::value); };
  if (env.state->current()->get("nodes", {}, env.node_name)) return again();
  self->request(env.api, call_patience, calls::create(env, refs::nodes, {}, bare_node(env.node_name, wanted)))
      .then(
          [=](const response_ptr& r) {
            const auto reason = r->code < 300 || r->code == 409 || !r->error ? std::string{} : r->error->message;
            if (!reason.empty() && reason != *told) log->info("cannot register the node yet: {}", reason);
            *told = reason;
            again();
          },
          [=](caf::error&) { again(); });
}

result<void> remember(const std::string& node_dir, const std::string& range) {
  return tls::write_private_file(file_of(node_dir), json::serialize(json::object{{"podCIDR", range}}) + "\n");
}

} // namespace

std::string remembered_pod_range(const std::string& node_dir) {
  std::ifstream in(file_of(node_dir));
  const std::string text{std::istreambuf_iterator<char>(in), {}};
  boost::system::error_code bad;
  const auto doc = json::parse(text, bad);
  return bad ? std::string{} : std::string{jq::str(doc, {"podCIDR"})};
}

result<std::string> claim_pod_range(const node_base& base, const component_env& env) {
  const auto known = remembered_pod_range(base.layout.node_dir);
  auto done = std::make_shared<std::promise<void>>();
  const auto given = done->get_future().share();
  auto told = std::make_shared<std::string>();
  const auto waiter = base.system->spawn([=, log = base.log](caf::event_based_actor* self) -> caf::behavior {
    self->send(self, caf::tick_atom::value);
    return {[=](caf::tick_atom) { wait_for_range(self, env, known, done, told, log); }};
  });
  if (!base.await(given, "the cluster to give this node a pod network")) {
    caf::anon_send_exit(waiter, caf::exit_reason::kill);
    return errors::unavailable("stopped while starting");
  }
  const auto range = given_range(env);
  if (!parse_range(range))
    return errors::bad_request("Node " + env.node_name + " has spec.podCIDR \"" + range +
                               "\", which is no IPv4 network; delete the Node and start again");
  if (!known.empty() && known != range)
    return errors::bad_request("pods of this node have addresses of " + known + ", but the cluster gave it " + range +
                               " since; remove " + base.layout.node_dir +
                               " with troupe down --purge, or delete the "
                               "Node while nothing runs here, and start again");
  if (auto w = remember(base.layout.node_dir, range); !w) return w.error();
  return range;
}

} // namespace troupe::node

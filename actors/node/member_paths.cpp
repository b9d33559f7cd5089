#include "actors/node/member_paths.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

namespace troupe::node {

namespace {

constexpr std::string_view members_path = "/troupe/v1/members", leader_path = "/troupe/v1/leader";
/// Longer than the keeper's own patience on this master and the leader's together.
constexpr std::chrono::seconds answer_patience{75};

response_ptr refuse(status s) {
  auto r = std::make_shared<response>();
  r->code = s.code;
  if (s.retry_after_s > 0) r->headers.emplace_back("Retry-After", std::to_string(s.retry_after_s));
  r->error = std::make_shared<const status>(std::move(s));
  return r;
}

bool is_or_below(std::string_view path, std::string_view root) {
  return path.substr(0, root.size()) == root && (path.size() == root.size() || path[root.size()] == '/');
}

result<json::value> body_of(const own_call& call) {
  boost::system::error_code ec;
  auto doc = json::parse(call.body, ec);
  if (ec || !doc.is_object()) return errors::bad_request("the body must be a JSON object that names a master");
  return doc;
}

result<std::uint16_t> port_of(const json::value& doc, std::string_view key, std::uint16_t otherwise) {
  const auto n = jq::num(doc, {key}, otherwise);
  if (n < 1 || n > 65535) return errors::bad_request(std::string(key) + " must be between 1 and 65535");
  return static_cast<std::uint16_t>(n);
}

result<member_order> addition(const own_call& call) {
  auto doc = body_of(call);
  if (!doc) return doc.error();
  member_order o;
  o.what = member_order::op::add;
  o.row.name = jq::str(*doc, {"name"});
  o.row.address = jq::str(*doc, {"address"});
  const auto api = port_of(*doc, "apiPort", o.row.api_port), actors = port_of(*doc, "actorsPort", o.row.actors_port);
  if (!api) return api.error();
  if (!actors) return actors.error();
  o.row.api_port = *api;
  o.row.actors_port = *actors;
  o.row.priority = static_cast<int>(jq::num(*doc, {"priority"}));
  o.learner = jq::flag(*doc, {"learner"});
  return o;
}

result<member_order> named(member_order::op what, std::string name) {
  member_order o;
  o.what = what;
  o.row.name = std::move(name);
  return o;
}

result<member_order> transfer(const own_call& call) {
  auto doc = body_of(call);
  if (!doc) return doc.error();
  return named(member_order::op::transfer, std::string(jq::str(*doc, {"name"})));
}

} // namespace

result<member_order> order_of(const own_call& call) {
  const auto not_allowed = [&] {
    return status{405, "MethodNotAllowed", call.method + " is not allowed on " + call.path};
  };
  std::string_view path = call.path;
  if (path == leader_path) {
    if (call.method != "POST") return not_allowed();
    return transfer(call);
  }
  if (path == members_path) {
    if (call.method == "GET") return member_order{};
    if (call.method == "POST") return addition(call);
    return not_allowed();
  }
  auto rest = path.substr(std::min(path.size(), members_path.size() + 1));
  const auto slash = rest.find('/');
  const std::string name{rest.substr(0, slash)};
  const auto verb = slash == std::string_view::npos ? std::string_view{} : rest.substr(slash + 1);
  if (name.empty() || (!verb.empty() && verb != "promote"))
    return status{404, "NotFound", "the server has no " + call.path};
  if (verb == "promote") {
    if (call.method != "POST") return not_allowed();
    return named(member_order::op::promote, name);
  }
  if (call.method != "DELETE") return not_allowed();
  return named(member_order::op::remove, name);
}

bool answer_member_path(caf::actor_system& sys, const members_actor& members, const own_call& call) {
  if (!is_or_below(call.path, members_path) && !is_or_below(call.path, leader_path)) return false;
  auto order = order_of(call);
  if (!order) {
    call.done(refuse(order.error()));
    return true;
  }
  auto asked = std::make_shared<const member_order>(std::move(*order));
  sys.spawn<caf::hidden>([members, asked, done = call.done](caf::event_based_actor* self) {
    self->request(members, answer_patience, asked)
        .then([done](const response_ptr& r) { done(r); },
              [done](caf::error&) {
                done(refuse(errors::timeout("the group did not answer in time; `troupe master ls` shows how it is")));
              });
  });
  return true;
}

} // namespace troupe::node

#include "actors/node/own_paths.hpp"

#include "actors/node/backup_path.hpp"

#include "actors/node/member_paths.hpp"

#include <caf/all.hpp>

namespace troupe::node {

namespace {

constexpr std::chrono::seconds raft_patience{5};

response_ptr ok(json::value v) {
  auto r = std::make_shared<response>();
  r->body = json::serialize(v) + "\n";
  return r;
}

response_ptr refuse(status s) {
  auto r = std::make_shared<response>();
  r->code = s.code;
  r->body = s.to_bytes();
  r->error = std::make_shared<const status>(std::move(s));
  return r;
}

response_ptr list_actors(const actor_board& board) {
  json::array list;
  for (const auto& a : board.list())
    list.push_back({{"path", a.path},
                    {"mailbox", a.mailbox},
                    {"handled", a.handled},
                    {"restarts", a.restarts},
                    {"state", a.state}});
  return ok(json::object{{"actors", std::move(list)}});
}

response_ptr list_images(const runtime::image_store* store) {
  if (!store) return refuse(errors::unavailable("this node runs no containers, so it has no images"));
  json::array list;
  for (const auto& i : const_cast<runtime::image_store*>(store)->list())
    list.push_back({{"id", i.id}, {"references", json::value_from(i.references)}, {"bytes", i.bytes}});
  return ok(json::object{{"images", std::move(list)}});
}

/// Asks the raft actor from a short-lived actor, so that no HTTP thread waits.
void answer_raft(caf::actor_system& sys, const raft_actor& raft, const own_call& call) {
  sys.spawn<caf::hidden>([raft, done = call.done](caf::event_based_actor* self) {
    self->request(raft, raft_patience, get_raft_status::value)
        .then(
            [done](const std::string& text) {
              boost::system::error_code ec;
              auto doc = json::parse(text, ec);
              done(ec ? refuse(errors::internal("the raft actor's answer is no JSON")) : ok(std::move(doc)));
            },
            [done](caf::error&) { done(refuse(errors::unavailable("the raft actor does not answer"))); });
  });
}

response_ptr set_level(const own_call& call) {
  boost::system::error_code ec;
  const auto doc = json::parse(call.body, ec);
  if (ec || !doc.is_object()) return refuse(errors::bad_request("expected {\"component\":…,\"level\":…}"));
  const std::string component{jq::str(doc, {"component"}, "*")}, level{jq::str(doc, {"level"})};
  if (!set_log_level(component, level))
    return refuse(errors::bad_request("no component \"" + component + "\" or no level \"" + level +
                                      "\"; levels are trace, debug, info, warning, error, critical, off"));
  return ok(json::object{{"component", component}, {"level", level}});
}

} // namespace

std::function<void(own_call)> make_own_paths(caf::actor_system& sys, own_path_sources sources) {
  return [&sys, sources = std::move(sources)](own_call call) {
    if (sources.members && answer_member_path(sys, sources.members, call)) return;
    if (call.path == "/troupe/v1/actors" && call.method == "GET") return call.done(list_actors(*sources.board));
    if (answer_backup_path(sys, sources.raft, call)) return;
    if (call.path == "/troupe/v1/raft" && call.method == "GET") return answer_raft(sys, sources.raft, call);
    if (call.path == "/troupe/v1/images" && call.method == "GET") return call.done(list_images(sources.images.get()));
    if (call.path == "/troupe/v1/loglevel" && call.method == "PUT") return call.done(set_level(call));
    call.done(refuse({404, "NotFound", "the server has no " + call.method + " " + call.path}));
  };
}

std::string actor_metrics(const actor_board& board) {
  std::string handled = "# HELP troupe_actor_messages_total Messages an actor has handled.\n"
                        "# TYPE troupe_actor_messages_total counter\n";
  std::string mailbox = "# HELP troupe_actor_mailbox Messages waiting when the actor last handled one.\n"
                        "# TYPE troupe_actor_mailbox gauge\n";
  std::string restarts = "# HELP troupe_actor_restarts_total Times the actor was started again.\n"
                         "# TYPE troupe_actor_restarts_total counter\n";
  for (const auto& a : board.list()) {
    if (a.path.find(' ') != std::string::npos) continue; // one series per pod would never end
    const auto label = "{actor=\"" + a.path + "\"} ";
    handled += "troupe_actor_messages_total" + label + std::to_string(a.handled) + "\n";
    mailbox += "troupe_actor_mailbox" + label + std::to_string(a.mailbox) + "\n";
    restarts += "troupe_actor_restarts_total" + label + std::to_string(a.restarts) + "\n";
  }
  return handled + mailbox + restarts;
}

} // namespace troupe::node

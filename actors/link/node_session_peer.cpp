#include "actors/link/node_session_peer.hpp"

#include "actors/link/node_session_feed.hpp"

#include <caf/send.hpp>

namespace troupe::link {

namespace {

response_ptr refusal(status s) {
  auto out = std::make_shared<response>();
  out->code = s.code;
  out->error = std::make_shared<const status>(std::move(s));
  return out;
}

/// What a peer may ask to be done; watches go through the feed, streams are the master's to open.
bool callable(verb v) {
  switch (v) {
  case verb::get:
  case verb::list:
  case verb::create:
  case verb::update:
  case verb::patch:
  case verb::delete_: return true;
  default: return false;
  }
}

} // namespace

session_peer::session_peer(peer_facts facts, api_actor api) : facts_(std::move(facts)), api_(std::move(api)) {}

void session_peer::use(frame_link_ptr link, caf::actor feed, kubelet_actor door,
                       std::shared_ptr<remote_streams> streams) {
  link_ = std::move(link);
  feed_ = std::move(feed);
  door_ = std::move(door);
  streams_ = std::move(streams);
}

result<void> session_peer::on_frame(std::string_view payload) {
  auto decoded = decode_payload(payload);
  if (!decoded) return decoded.error();
  auto& m = *decoded;
  if (auto* c = std::get_if<call>(&m)) return on_call(std::move(*c), payload.size());
  if (auto* b = std::get_if<bye>(&m)) return errors::unavailable("it said good-bye: " + b->why);
  const auto type = static_cast<std::uint8_t>(m.index() + 1);
  if (!facts_.node) return errors::bad_request("it is no node and sent a " + std::string(name_of(type)) + " message");
  if (type == type_of<subscribe>() || type == type_of<unsubscribe>() || type == type_of<credit>())
    return to_feed(std::move(m));
  if (auto* s = std::get_if<stream_answer>(&m)) return streams_->on(*s), result<void>{};
  if (auto* s = std::get_if<stream_piece>(&m)) return streams_->on(std::move(*s));
  if (auto* s = std::get_if<stream_drained>(&m)) return streams_->on(*s), result<void>{};
  if (auto* s = std::get_if<stream_close>(&m)) return streams_->on(*s), result<void>{};
  if (auto* s = std::get_if<stats_answer>(&m)) return streams_->on(std::move(*s)), result<void>{};
  return errors::bad_request("it sent a " + std::string(name_of(type)) + " message in the middle of a session");
}

result<void> session_peer::to_feed(message m) {
  caf::anon_send(feed_, std::make_shared<const message>(std::move(m)));
  return {};
}

result<void> session_peer::on_call(call&& m, std::size_t bytes) {
  if (m.as != component::self && !facts_.node)
    return errors::bad_request("only nodes act on behalf of their components");
  if (!callable(m.req->what)) {
    reply(m.id, refusal(errors::bad_request("watches and streams are not calls: a node has them through its feed")));
    return {};
  }
  if (calls_.fetch_add(1) >= limits::link::calls_max) {
    calls_.fetch_sub(1);
    reply(m.id, refusal(errors::too_many_requests("too many calls of " + facts_.name + " wait for an answer", 1)));
    return {};
  }
  link_->hold(bytes);
  auto req = std::const_pointer_cast<request>(std::move(m.req)); // decoded a moment ago: nobody else holds it
  req->who = identity_of(m.as, facts_.who);
  req->fence_term = 0;
  auto asked = std::make_shared<api_call>();
  asked->req = std::move(req);
  asked->done = [me = shared_from_this(), id = m.id, bytes](response_ptr r) {
    me->link_->release(bytes);
    me->calls_.fetch_sub(1);
    me->reply(id, std::move(r));
  };
  caf::anon_send(api_, api_call_ptr(std::move(asked)));
  return {};
}

void session_peer::reply(std::uint64_t id, response_ptr res) {
  auto frame = encode_frame(answer{id, std::move(res)});
  if (frame.size() - 4 > limits::link::object_frame_bytes_max)
    frame =
        encode_frame(answer{id, refusal(errors::too_large("the answer is larger than one message of the link may be; "
                                                          "ask for pages of it with limit and continue"))});
  link_->send(std::move(frame));
}

void session_peer::on_closed(const std::string& why) {
  if (streams_) streams_->lost(why);
  if (feed_) caf::anon_send_exit(feed_, caf::exit_reason::user_shutdown);
  if (door_) caf::anon_send_exit(door_, caf::exit_reason::user_shutdown);
}

} // namespace troupe::link

#include "actors/node/backup_path.hpp"

#include "net/http/server.hpp"
#include "store/snapshot_codec.hpp"

#include <caf/all.hpp>

namespace troupe::node {

namespace {

constexpr std::chrono::seconds raft_patience{5};
constexpr int pieces_at_once = 8;

response_ptr refuse(status s) {
  auto r = std::make_shared<response>();
  r->code = s.code;
  r->body = s.to_bytes();
  r->error = std::make_shared<const status>(std::move(s));
  return r;
}

/// Writes piece after piece while the connection takes them; lives as long as the stream's callbacks.
class sender : public std::enable_shared_from_this<sender> {
public:
  sender(const state_copy& c, http::body_stream_ptr out)
      : writer_({c.cluster_id, {c.at, c.view->rev(), c.config}}, c.view), out_(std::move(out)) {}
  void begin() {
    out_->on_closed([self = shared_from_this()] { self->out_.reset(); });
    out_->on_drained([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->send();
    });
    send();
  }

private:
  /// Some pieces, then the other connections of this thread get their turn.
  void send() {
    bool room = true;
    for (int n = 0; room && out_ && n < pieces_at_once; ++n) {
      const auto piece = writer_.at(offset_, backup_piece_bytes);
      offset_ += piece.bytes->size();
      room = out_->write(*piece.bytes);
      if (piece.last) return finish();
    }
    if (room && out_)
      out_->post([weak = weak_from_this()] {
        if (auto self = weak.lock()) self->send();
      });
  }
  void finish() {
    const auto self = shared_from_this(); // the stream's callbacks hold the last reference
    const auto done = std::move(out_);
    done->end();
  }
  store::snapshot_writer writer_;
  http::body_stream_ptr out_; // null when it ended or the client is gone
  std::uint64_t offset_ = 0;
};

void send_copy(const own_call& call, const state_copy_ptr& copy) {
  if (!copy || !copy->view || !copy->at.index)
    return call.done(refuse(errors::unavailable("this master holds no state yet; ask another one")));
  call.later([copy](http::exchange& x) {
    const auto kept = std::make_shared<sender>(*copy, x.stream(200, "application/octet-stream", {}));
    kept->begin();
  });
}

} // namespace

bool answer_backup_path(caf::actor_system& sys, const raft_actor& raft, const own_call& call) {
  if (call.path != "/troupe/v1/backup") return false;
  if (call.method != "GET") {
    call.done(refuse({405, "MethodNotAllowed", "a backup is read with GET, not with " + call.method}));
    return true;
  }
  sys.spawn<caf::hidden>([raft, call](caf::event_based_actor* self) {
    self->request(raft, raft_patience, get_state_copy::value)
        .then([call](const state_copy_ptr& copy) { send_copy(call, copy); },
              [call](caf::error&) { call.done(refuse(errors::unavailable("the raft actor does not answer"))); });
  });
  return true;
}

} // namespace troupe::node

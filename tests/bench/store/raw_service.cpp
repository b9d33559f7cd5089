#include "tests/bench/store/raw_service.hpp"

#include "actors/raft/group_board.hpp"
#include "actors/support/scheduling.hpp"
#include "store/snapshot_codec.hpp"
#include "tests/bench/store/raw_pairs.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <charconv>
#include <optional>
#include <unordered_map>

namespace troupe::bench {

namespace {

constexpr const char* table = "bench";
constexpr std::size_t reads_gathered_max = 1024;
constexpr std::chrono::seconds ask_timeout{30};

using calls = std::vector<api_call_ptr>;
using calls_ptr = std::shared_ptr<calls>;
struct barrier_done {
  calls_ptr waiting;
  status outcome;
};
using barrier_done_ptr = std::shared_ptr<const barrier_done>;

} // namespace

} // namespace troupe::bench

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::bench::barrier_done_ptr)

namespace troupe::bench {

namespace {

using inner_actor = api_actor::extend<caf::reacts_to<barrier_done_ptr>>;
/// Streams snapshots; detached, because reading a whole state takes its time.
using snapshot_actor = caf::typed_actor<caf::reacts_to<api_call_ptr>>;

response_ptr refuse(const status& why) {
  auto r = std::make_shared<response>();
  r->code = why.code;
  r->error = std::make_shared<const status>(why);
  return r;
}

response_ptr text(std::string body) {
  auto r = std::make_shared<response>();
  r->content_type = "application/octet-stream";
  r->body = std::move(body);
  return r;
}

struct snapshot_state {
  std::optional<store::snapshot_writer> writer;
  std::uint64_t offset = 0;
};

snapshot_actor::behavior_type snapshots(snapshot_actor::stateful_pointer<snapshot_state> self, raft_actor raft) {
  const auto piece = [self](const api_call_ptr& c, std::uint64_t offset) {
    auto p = self->state.writer->at(offset, 128 * 1024);
    auto r = std::make_shared<response>();
    r->content_type = "application/octet-stream";
    r->body = *p.bytes;
    if (p.last) r->headers.emplace_back("X-Last", "true");
    c->done(std::move(r));
  };
  return {[self, raft, piece](const api_call_ptr& c) {
    std::uint64_t offset = 0;
    const auto given = c->req->param("offset");
    std::from_chars(given.data(), given.data() + given.size(), offset);
    if (offset > 0 && self->state.writer) return piece(c, offset);
    self->request(raft, ask_timeout, get_state_copy::value)
        .then(
            [self, piece, c](const state_copy_ptr& copy) {
              self->state.writer.emplace(
                  store::snapshot_head{copy->cluster_id,
                                       store::applied_mark{copy->at, copy->view->rev(), copy->config}},
                  copy->view);
              piece(c, 0);
            },
            [c](caf::error&) { c->done(refuse(errors::unavailable("the store does not answer"))); });
  }};
}

struct raw_state {
  inner_actor::pointer self = nullptr;
  raft_handles store;
  snapshot_actor snapshotter;
  txn_sink_actor sink;
  std::unordered_map<std::uint64_t, api_call_ptr> writes;
  std::uint64_t next_ticket = 1;
  calls_ptr reads;

  void handle(const api_call_ptr& c) {
    const auto& req = *c->req;
    if (req.what == verb::create) return write(c);
    if (req.subresource == "snapshot") return self->send(snapshotter, c);
    if (req.subresource == "status") return tell_status(c);
    if (!reads) reads = std::make_shared<calls>();
    reads->push_back(c);
  }

  void write(const api_call_ptr& c) {
    const auto* body = std::get_if<std::string>(&c->req->body);
    std::vector<std::pair<std::string_view, std::string_view>> pairs;
    if (!body || !split_pairs(*body, pairs))
      return c->done(refuse(errors::bad_request("the body is not a sequence of pairs")));
    auto p = std::make_shared<propose>();
    p->ticket = next_ticket++;
    for (const auto& [key, value] : pairs)
      p->change.puts.push_back({{table, "", std::string(key)}, std::string(value), std::string::npos});
    writes.emplace(p->ticket, c);
    self->send(store.raft, std::move(p), sink);
  }

  void written(const txns_done& done) {
    for (const auto& [ticket, r] : done.items) {
      auto it = writes.find(ticket);
      if (it == writes.end()) continue;
      const auto c = std::move(it->second);
      writes.erase(it);
      if (r.error.code != 0)
        c->done(refuse(r.error));
      else
        c->done(text(std::to_string(r.rev)));
    }
  }

  void tell_status(const api_call_ptr& c) {
    self->request(store.raft, ask_timeout, get_raft_status::value)
        .then([c](std::string& s) { c->done(text(std::move(s))); },
              [c](caf::error&) { c->done(refuse(errors::unavailable("the store does not answer"))); });
  }

  /// Reads that came together share one barrier.
  void settle() {
    if (!reads || (!self->mailbox().empty() && reads->size() < reads_gathered_max)) return;
    auto waiting = std::exchange(reads, nullptr);
    store.group->read_barrier([waiting, me = inner_actor(self)](const status& s) {
      caf::anon_send(me, std::make_shared<const barrier_done>(barrier_done{waiting, s}));
    });
  }

  void answer_reads(const barrier_done& d) {
    const auto view = store.state->current();
    for (const auto& c : *d.waiting) {
      if (d.outcome.code != 0) {
        c->done(refuse(d.outcome));
        continue;
      }
      auto r = std::make_shared<response>();
      r->object = view->get(table, "", c->req->name);
      if (!r->object) r->code = 204;
      c->done(std::move(r));
    }
  }
};

inner_actor::behavior_type raw_service(inner_actor::stateful_pointer<raw_state> self, raft_handles store) {
  auto& st = self->state;
  st.self = self;
  st.store = store;
  st.snapshotter = self->spawn<caf::linked + caf::detached>(snapshots, store.raft);
  st.sink = caf::actor_cast<txn_sink_actor>(caf::strong_actor_ptr(self->ctrl()));
  return {[self](const api_call_ptr& c) {
            self->state.handle(c);
            self->state.settle();
          },
          [](const request_ptr&) -> response_ptr { return refuse(errors::bad_request("links only")); },
          [self](const txns_done_ptr& done) {
            self->state.written(*done);
            self->state.settle();
          },
          [self](const barrier_done_ptr& d) {
            self->state.answer_reads(*d);
            self->state.settle();
          }};
}

class raw_service_actor final : public inner_actor::stateful_base<raw_state>, public brief_actor {
public:
  raw_service_actor(caf::actor_config& cfg, const raft_handles& store)
      : inner_actor::stateful_base<raw_state>(cfg), store_(store) {}

protected:
  inner_actor::behavior_type make_behavior() override { return raw_service(this, store_); }

private:
  raft_handles store_;
};

} // namespace

api_actor spawn_raw_service(caf::actor_system& sys, const raft_handles& store) {
  return sys.spawn<raw_service_actor>(store);
}

} // namespace troupe::bench

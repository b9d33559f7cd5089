#include "actors/link/remote_kubelet.hpp"

#include <caf/actor_system.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <deque>

namespace troupe::link {

/// The master's end of one stream.
class remote_stream final : public pod_stream {
public:
  remote_stream(std::weak_ptr<remote_streams> board, frame_link_ptr link, std::uint64_t id)
      : board_(std::move(board)), link_(std::move(link)), id_(id) {}
  ~remote_stream() override { close(); }

  void next(std::function<void(stream_chunk)> got) override {
    stream_chunk c;
    {
      std::lock_guard lock(mutex_);
      if (ready_.empty()) {
        want_ = std::move(got);
        return;
      }
      c = std::move(ready_.front());
      ready_.pop_front();
    }
    deliver(got, std::move(c));
  }

  bool write(int channel, std::string bytes, std::function<void()> drained) override {
    for (std::size_t at = 0; at < bytes.size() || at == 0; at += limits::link::stream_piece_bytes) {
      auto piece = bytes.size() <= limits::link::stream_piece_bytes
                       ? std::move(bytes)
                       : bytes.substr(at, limits::link::stream_piece_bytes);
      {
        std::lock_guard lock(mutex_);
        unread_ += piece.size();
      }
      const bool last = bytes.empty();
      link_->send(message{stream_input{id_, channel, std::move(piece)}});
      if (last) break;
    }
    std::lock_guard lock(mutex_);
    if (unread_ <= limits::link::stream_write_bytes_max || over_) return true;
    drained_ = std::move(drained);
    return false;
  }

  void close_stdin() override { link_->send(message{stream_close_input{id_}}); }

  void close() override {
    {
      std::lock_guard lock(mutex_);
      want_ = nullptr;
      drained_ = nullptr;
      if (std::exchange(closed_, true)) return;
      if (!over_) link_->send(message{stream_close{id_}});
    }
    if (auto b = board_.lock()) b->drop(id_);
  }

  /// False: the worker sends what nobody asked for.
  bool on_chunk(stream_chunk c) {
    std::function<void(stream_chunk)> got;
    {
      std::lock_guard lock(mutex_);
      if (over_ || closed_) return true;
      over_ = c.end;
      if (want_)
        got = std::exchange(want_, nullptr);
      else if (ready_.size() > limits::link::stream_chunks)
        return false;
      else
        ready_.push_back(std::move(c));
    }
    if (got) deliver(got, std::move(c));
    return true;
  }

  void on_drained(std::uint64_t bytes) {
    std::function<void()> go;
    {
      std::lock_guard lock(mutex_);
      unread_ -= std::min<std::uint64_t>(bytes, unread_);
      if (unread_ <= limits::link::stream_write_bytes_max / 2) go = std::exchange(drained_, nullptr);
    }
    if (go) go();
  }

  void on_lost(const status& why) {
    std::function<void(stream_chunk)> got;
    std::function<void()> go;
    stream_chunk last{3, why.to_bytes(), true};
    {
      std::lock_guard lock(mutex_);
      if (over_ || closed_) return;
      over_ = true;
      go = std::exchange(drained_, nullptr);
      got = std::exchange(want_, nullptr);
      if (!got) ready_.push_back(std::move(last));
    }
    if (go) go();
    if (got) got(std::move(last));
  }

private:
  void deliver(const std::function<void(stream_chunk)>& got, stream_chunk c) {
    if (!c.end) link_->send(message{stream_next{id_, 1}});
    got(std::move(c));
  }

  const std::weak_ptr<remote_streams> board_;
  const frame_link_ptr link_;
  const std::uint64_t id_;
  std::mutex mutex_;
  std::deque<stream_chunk> ready_;
  std::function<void(stream_chunk)> want_;
  std::function<void()> drained_;
  std::size_t unread_ = 0; // sent and not yet taken by the container
  bool over_ = false, closed_ = false;
};

// ---------------------------------------------------------------- board

void remote_streams::use(frame_link_ptr link) {
  std::lock_guard lock(mutex_);
  link_ = std::move(link);
}

status remote_streams::gone() const {
  return errors::unavailable("the kubelet of node " + node_ + " is not connected to this master");
}

namespace {
stream_opened_ptr refusal(status s) {
  auto out = std::make_shared<stream_opened>();
  out->error = std::make_shared<const status>(std::move(s));
  return out;
}
} // namespace

void remote_streams::open(const open_stream& what, std::function<void(stream_opened_ptr)> done) {
  std::unique_lock lock(mutex_);
  if (!link_) {
    lock.unlock();
    return done(refusal(gone()));
  }
  if (opening_.size() + open_.size() >= limits::link::streams_max) {
    lock.unlock();
    return done(refusal(errors::too_many_requests("node " + node_ + " has too many open streams", 1)));
  }
  auto frame = encode_frame(stream_open{next_, what});
  if (frame.size() > limits::link::frame_bytes_max) {
    lock.unlock();
    return done(refusal(errors::bad_request("the command is too long")));
  }
  const auto id = next_++;
  auto stream = std::make_shared<remote_stream>(weak_from_this(), link_, id);
  opening_.emplace(id, opening{stream, std::move(done)});
  open_.emplace(id, stream);
  link_->send(std::move(frame));
}

void remote_streams::stats(std::function<void(std::string)> done) {
  std::unique_lock lock(mutex_);
  if (!link_) {
    lock.unlock();
    return done("{}");
  }
  const auto id = next_++;
  questions_.emplace(id, std::move(done));
  link_->send(message{stats_question{id}});
}

std::shared_ptr<remote_stream> remote_streams::find(std::uint64_t stream) const {
  std::lock_guard lock(mutex_);
  auto it = open_.find(stream);
  return it == open_.end() ? nullptr : it->second.lock();
}

void remote_streams::drop(std::uint64_t stream) {
  std::lock_guard lock(mutex_);
  open_.erase(stream);
}

void remote_streams::on(const stream_answer& m) {
  opening o;
  {
    std::lock_guard lock(mutex_);
    auto it = opening_.find(m.stream);
    if (it == opening_.end()) return;
    o = std::move(it->second);
    opening_.erase(it);
  }
  if (m.error) {
    drop(m.stream);
    return o.done(refusal(*m.error));
  }
  auto out = std::make_shared<stream_opened>();
  out->stream = o.stream;
  o.done(std::move(out));
}

result<void> remote_streams::on(stream_piece&& m) {
  auto s = find(m.stream);
  if (s && !s->on_chunk(std::move(m.chunk)))
    return errors::bad_request("it sent more of a stream than it was asked for");
  return {};
}

void remote_streams::on(const stream_drained& m) {
  if (auto s = find(m.stream)) s->on_drained(m.bytes);
}

void remote_streams::on(const stream_close& m) {
  if (auto s = find(m.stream)) s->on_lost(errors::unavailable("node " + node_ + " ended the stream"));
}

void remote_streams::on(stats_answer&& m) {
  std::function<void(std::string)> done;
  {
    std::lock_guard lock(mutex_);
    auto it = questions_.find(m.id);
    if (it == questions_.end()) return;
    done = std::move(it->second);
    questions_.erase(it);
  }
  done(std::move(m.text));
}

void remote_streams::lost(const std::string& why) {
  decltype(opening_) asked;
  decltype(open_) live;
  decltype(questions_) questions;
  {
    std::lock_guard lock(mutex_);
    link_ = nullptr;
    asked.swap(opening_);
    live.swap(open_);
    questions.swap(questions_);
  }
  const auto s = errors::unavailable("the session with node " + node_ + " ended: " + why);
  for (auto& [id, o] : asked)
    o.done(refusal(s));
  for (auto& [id, weak] : live)
    if (auto stream = weak.lock()) stream->on_lost(s);
  for (auto& [id, done] : questions)
    done("{}");
}

// ---------------------------------------------------------------- door

namespace {

/// Promises may only be kept on the actor's thread.
using deliver_ptr = std::shared_ptr<const std::function<void()>>;

} // namespace
} // namespace troupe::link

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::link::deliver_ptr)

namespace troupe::link {
namespace {

using door_actor = kubelet_actor::extend<caf::reacts_to<deliver_ptr>>;

template <class T>
std::function<void(T)> kept_by(door_actor::pointer self, caf::typed_response_promise<T> promise) {
  return [me = door_actor(self), promise](T value) {
    auto keep = [promise, value = std::move(value)]() mutable { promise.deliver(value); };
    caf::anon_send(me, std::make_shared<const std::function<void()>>(std::move(keep)));
  };
}

door_actor::behavior_type door_behavior(door_actor::pointer self, std::shared_ptr<remote_streams> streams) {
  return {
      [self, streams](const open_stream_ptr& what) {
        auto promise = self->make_response_promise<stream_opened_ptr>();
        streams->open(*what, kept_by<stream_opened_ptr>(self, promise));
        return promise;
      },
      [self, streams](node_stats_atom) {
        auto promise = self->make_response_promise<std::string>();
        streams->stats(kept_by<std::string>(self, promise));
        return promise;
      },
      [](const deliver_ptr& keep) { (*keep)(); },
  };
}

} // namespace

kubelet_actor spawn_remote_kubelet(caf::actor_system& sys, std::shared_ptr<remote_streams> streams) {
  return caf::actor_cast<kubelet_actor>(sys.spawn(door_behavior, std::move(streams)));
}

} // namespace troupe::link

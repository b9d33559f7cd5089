#include "actors/link/cluster_link_streams.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

namespace troupe::link {

void kubelet_place::set(kubelet_actor door) {
  std::lock_guard lock(mutex_);
  door_ = std::move(door);
}

kubelet_actor kubelet_place::get() const {
  std::lock_guard lock(mutex_);
  return door_;
}

void served_streams::use(frame_link_ptr link) {
  std::lock_guard lock(mutex_);
  link_ = std::move(link);
}

frame_link_ptr served_streams::link() const {
  std::lock_guard lock(mutex_);
  return link_;
}

pod_stream_ptr served_streams::find(std::uint64_t id) const {
  std::lock_guard lock(mutex_);
  auto it = streams_.find(id);
  return it == streams_.end() ? nullptr : it->second.stream;
}

void served_streams::refuse(std::uint64_t id, status s) {
  if (auto l = link()) l->send(message{stream_answer{id, std::make_shared<const status>(std::move(s))}});
}

void served_streams::on(const stream_open& m) {
  auto door = place_->get();
  if (!door) return refuse(m.stream, errors::unavailable("the kubelet of this node is starting"));
  {
    std::lock_guard lock(mutex_);
    if (streams_.size() >= limits::link::streams_max || streams_.contains(m.stream)) {
      if (link_)
        link_->send(message{stream_answer{
            m.stream, std::make_shared<const status>(errors::too_many_requests("too many open streams", 1))}});
      return;
    }
    streams_[m.stream];
  }
  auto what = std::make_shared<const open_stream>(m.what);
  system_.spawn<caf::hidden>([me = weak_from_this(), door, what, id = m.stream](caf::event_based_actor* self) {
    self->request(door, limits::link::door_patience, open_stream_ptr(what))
        .then(
            [me, id](const stream_opened_ptr& got) {
              if (auto s = me.lock()) return s->opened(id, *got);
              if (got->stream) got->stream->close();
            },
            [me, id](const caf::error&) {
              stream_opened late;
              late.error =
                  std::make_shared<const status>(errors::unavailable("the kubelet of the node does not answer"));
              if (auto s = me.lock()) s->opened(id, late);
            });
  });
}

void served_streams::opened(std::uint64_t id, const stream_opened& got) {
  bool wanted = false;
  {
    std::lock_guard lock(mutex_);
    auto it = streams_.find(id);
    wanted = it != streams_.end();
    if (wanted && got.error)
      streams_.erase(it);
    else if (wanted)
      it->second.stream = got.stream;
  }
  if (got.error) return refuse(id, *got.error);
  if (!wanted) return got.stream->close(); // the master has gone away meanwhile
  if (auto l = link()) l->send(message{stream_answer{id, nullptr}});
  pump(id);
}

void served_streams::on(const stream_next& m) {
  {
    std::lock_guard lock(mutex_);
    auto it = streams_.find(m.stream);
    if (it == streams_.end()) return;
    it->second.credit = std::min(it->second.credit + m.chunks, limits::link::stream_chunks);
  }
  pump(m.stream);
}

/// Asks the pod for the next chunk when the master has room for it and none is asked for.
void served_streams::pump(std::uint64_t id) {
  pod_stream_ptr stream;
  {
    std::lock_guard lock(mutex_);
    auto it = streams_.find(id);
    if (it == streams_.end() || !it->second.stream || it->second.asking || it->second.credit == 0) return;
    it->second.asking = true;
    --it->second.credit;
    stream = it->second.stream;
  }
  stream->next([me = weak_from_this(), id](stream_chunk c) {
    if (auto s = me.lock()) s->give(id, std::move(c));
  });
}

void served_streams::give(std::uint64_t id, stream_chunk c) {
  const bool end = c.end;
  pod_stream_ptr over;
  frame_link_ptr l;
  {
    std::lock_guard lock(mutex_);
    auto it = streams_.find(id);
    if (it == streams_.end()) return;
    it->second.asking = false;
    l = link_;
    if (end) {
      over = std::move(it->second.stream);
      streams_.erase(it);
    }
  }
  if (l) l->send(message{stream_piece{id, std::move(c)}});
  if (over) over->close();
  if (!end) pump(id);
}

void served_streams::on(stream_input&& m) {
  pod_stream_ptr stream;
  {
    std::lock_guard lock(mutex_);
    auto it = streams_.find(m.stream);
    if (it == streams_.end() || !it->second.stream) return;
    stream = it->second.stream;
    it->second.untold += m.bytes.size();
  }
  // A stream keeps only the last continuation: whichever runs tells of everything before it.
  auto taken = [me = weak_from_this(), id = m.stream] {
    if (auto s = me.lock()) s->tell_taken(id);
  };
  if (stream->write(m.channel, std::move(m.bytes), taken)) taken();
}

void served_streams::tell_taken(std::uint64_t id) {
  std::lock_guard lock(mutex_);
  auto it = streams_.find(id);
  if (it == streams_.end() || !link_) return;
  if (const auto bytes = std::exchange(it->second.untold, 0)) link_->send(message{stream_drained{id, bytes}});
}

void served_streams::on(const stream_close_input& m) {
  if (auto stream = find(m.stream)) stream->close_stdin();
}

void served_streams::on(const stream_close& m) {
  pod_stream_ptr stream;
  {
    std::lock_guard lock(mutex_);
    auto it = streams_.find(m.stream);
    if (it == streams_.end()) return;
    stream = std::move(it->second.stream);
    streams_.erase(it);
  }
  if (stream) stream->close();
}

void served_streams::on(const stats_question& m) {
  auto door = place_->get();
  auto l = link();
  if (!l) return;
  if (!door) {
    l->send(message{stats_answer{m.id, "{}"}});
    return;
  }
  system_.spawn<caf::hidden>([l, door, id = m.id](caf::event_based_actor* self) {
    self->request(door, limits::link::door_patience, node_stats_atom::value)
        .then(
            [l, id](const std::string& text) {
              l->send(message{stats_answer{id, text}});
            },
            [l, id](const caf::error&) {
              l->send(message{stats_answer{id, "{}"}});
            });
  });
}

void served_streams::lost() {
  decltype(streams_) all;
  {
    std::lock_guard lock(mutex_);
    link_ = nullptr;
    all.swap(streams_);
  }
  for (auto& [id, s] : all)
    if (s.stream) s.stream->close();
}

} // namespace troupe::link

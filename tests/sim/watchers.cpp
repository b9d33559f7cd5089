#include "tests/sim/watchers.hpp"

#include "actors/raft/group_board.hpp"

namespace troupe::sim {

namespace {
constexpr std::size_t pull_max = 24;
constexpr std::chrono::milliseconds tend_every{500};
constexpr unsigned moves_one_in = 120; // of tends: a watcher goes to another member though its own lives
} // namespace

watchers::watchers(cluster& c, const std::vector<std::string>& tables) : cluster_(c), random_(c.form.seed, "watchers") {
  for (const auto& t : tables) {
    auto x = std::make_unique<watcher>();
    x->number = static_cast<std::uint32_t>(all_.size() + 1);
    x->table = t;
    x->table_id = c.r.log.name(t);
    all_.push_back(std::move(x));
  }
}

watchers::~watchers() {
  for (auto& x : all_)
    detach(*x);
}

void watchers::start() { tend(); }

bool watchers::caught_up(revision rev) const {
  for (const auto& x : all_)
    if (!x->attached || x->cursor < rev) return false;
  return true;
}

bool watchers::alive(const watcher& x) {
  const auto* m = cluster_.find(x.member);
  return m && m->up() && m->life() == x.life;
}

void watchers::tend() {
  for (auto& x : all_) {
    if (x->attached && alive(*x) && random_.below(moves_one_in) != 0) continue;
    detach(*x);
    attach(*x);
  }
  cluster_.w.in(tend_every, [this] { tend(); });
}

void watchers::detach(watcher& x) {
  x.attached = false;
  x.sub.reset();
  x.hub.reset();
}

void watchers::note(watcher& x, watch_step::kind what, revision rev) {
  watch_step s;
  s.what = what;
  s.watcher = x.number;
  s.member = x.member;
  s.table = x.table_id;
  s.rev = rev;
  cluster_.r.watched(s);
}

void watchers::attach(watcher& x) {
  auto* m = cluster_.any(random_);
  if (!m) return;
  x.member = m->id();
  x.life = m->life();
  x.attached = true;
  x.hub = m->raft().hub;
  x.sub = x.hub->subscribe(x.table, [this, &x] { wake(x); });
  if (x.listed)
    note(x, watch_step::kind::resumed, x.cursor);
  else
    list(x);
  drain(x);
}

void watchers::list(watcher& x) {
  const auto* m = cluster_.find(x.member);
  x.cursor = m->view()->rev();
  x.listed = true;
  note(x, watch_step::kind::listed, x.cursor);
}

/// Called by the member's Raft actor: only posts.
void watchers::wake(watcher& x) {
  if (std::exchange(x.woken, true)) return;
  cluster_.w.in(random_.between(instant{0}, std::chrono::milliseconds(20)), [this, &x] {
    x.woken = false;
    drain(x);
  });
}

void watchers::drain(watcher& x) {
  if (!x.attached || !alive(x)) return;
  for (;;) {
    const auto got = x.hub->pull(x.table, x.cursor, pull_max);
    if (got.too_old) {
      note(x, watch_step::kind::too_old, x.cursor);
      // A member that is behind lists what the watcher may know already: it asks another one.
      if (cluster_.find(x.member)->view()->rev() < x.cursor) return detach(x);
      list(x);
      continue;
    }
    ++batch_;
    for (const auto& e : got.events) {
      watch_step s;
      s.what = watch_step::kind::event;
      s.watcher = x.number;
      s.member = x.member;
      s.table = x.table_id;
      s.rev = e->rev;
      s.key = cluster_.r.log.name(x.table + "/" + e->current->ns + "/" + e->current->name);
      s.type = e->type;
      s.content = hash_of(e->current->bytes);
      s.batch = batch_;
      cluster_.r.watched(s);
    }
    const bool moved = got.upto > x.cursor;
    x.cursor = std::max(x.cursor, got.upto);
    if (got.events.empty() || got.events.size() < pull_max) {
      if (moved && random_.below(8) == 0) note(x, watch_step::kind::bookmark, x.cursor);
      break;
    }
  }
  x.sub->arm(x.cursor);
}

} // namespace troupe::sim

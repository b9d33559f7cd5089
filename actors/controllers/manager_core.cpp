#include "actors/controllers/manager_core.hpp"

#include <algorithm>
#include <set>

namespace troupe::ctl {

void manager_core::deliver(const change& c, sys_micros now) {
  for (auto& k : controllers_)
    k->observe(c, cache_, now);
}

void manager_core::observe(std::string_view table, const store::event& e, sys_micros now) {
  change c{table, nullptr, nullptr, e.previous, e.current};
  if (e.type == store::event_type::deleted) {
    c.raw_before = e.current; // the last state, with the revision of the deletion
    c.raw_after = nullptr;
    if (cluster_cache::keeps(table)) c.before = cache_.erase(table, e.current->ns, e.current->name);
  } else if (cluster_cache::keeps(table)) {
    c.after = make_item(table, e.current);
    c.before = cache_.put(table, c.after);
  }
  deliver(c, now);
}

void manager_core::relist(std::string_view table, const store::view& now_view, sys_micros now) {
  if (!cluster_cache::keeps(table)) {
    for (auto& k : controllers_)
      k->relisted(table, now_view, now);
    return;
  }
  std::vector<item_ptr> gone;
  cache_.each(table, [&](const item_ptr& i) {
    auto o = now_view.get(table, i->ns(), i->name());
    if (!o || o->meta().uid != i->uid) gone.push_back(i);
  });
  for (const auto& i : gone) {
    cache_.erase(table, i->ns(), i->name());
    deliver({table, i, nullptr, i->raw, nullptr}, now);
  }
  now_view.scan(table, {}, [&](const store::object_ptr& o) {
    auto known = cache_.get(table, o->ns, o->name);
    if (known && known->raw->mod == o->mod) return true;
    change c{table, nullptr, make_item(table, o), known ? known->raw : nullptr, o};
    c.before = cache_.put(table, c.after);
    deliver(c, now);
    return true;
  });
}

void manager_core::all_synced(sys_micros now) {
  for (auto& k : controllers_)
    k->all_synced(cache_, now);
}

bool manager_core::behind(controller* c, const std::string& key) {
  auto it = awaited_.find({c, key});
  if (it == awaited_.end()) return false;
  std::erase_if(it->second, [&](const auto& e) { return cursor_(e.first) >= e.second; });
  if (!it->second.empty()) return true;
  awaited_.erase(it);
  return false;
}

std::vector<task> manager_core::step(const store::view& live, sys_micros now, std::size_t budget,
                                     const std::function<void(store::revision)>& catch_up) {
  std::vector<task> out;
  std::size_t idle = 0;
  while (out.size() < budget && idle < controllers_.size()) {
    auto* c = controllers_[next_controller_++ % controllers_.size()].get();
    auto key = c->queue.take();
    if (!key) {
      ++idle;
      continue;
    }
    idle = 0;
    if (behind(c, *key)) {
      c->queue.done(*key);
      c->queue.add_at(*key, now + std::chrono::milliseconds{5});
      continue;
    }
    auto made = c->reconcile(*key, world{cache_, live, now, catch_up});
    for (const auto& n : made.notes)
      tell_(c->name(), n);
    auto j = std::make_shared<job>(job{c, *key, std::move(made.actions), 0, false, made.wake_at});
    j->open = j->actions.size();
    for (std::size_t i = 0; i < j->actions.size(); ++i) {
      tasks_[++next_id_] = {j, i};
      out.push_back({next_id_, c->name(), &j->actions[i]});
    }
    if (j->open == 0) close(j, now);
  }
  return out;
}

namespace {
bool acceptable(const action& a, const answer& r) {
  if (r.code > 0 && r.code < 400) return true;
  if (r.namespace_terminating) return true; // what is deleted with its namespace needs no more care
  if (r.code == 404 && a.what != action::kind::create) return true;
  return a.lenient && (r.code == 409 || r.code == 404);
}
} // namespace

void manager_core::finished(std::uint64_t id, const answer& r, sys_micros now) {
  auto it = tasks_.find(id);
  if (it == tasks_.end()) return;
  auto [j, index] = it->second;
  tasks_.erase(it);
  auto& a = j->actions[index];
  auto ok = acceptable(a, r);
  auto done = r.code > 0 && r.code < 400;
  if (!ok) j->failed = true;
  if (done && r.object && !a.untracked) {
    auto& rev = awaited_[{j->who, j->key}][table_of(a.ref)];
    rev = std::max(rev, r.object->mod);
  }
  auto tell = [&](std::optional<note>& n, const std::string& fill) {
    if (!n) return;
    if (auto at = n->message.find("{}"); at != std::string::npos) n->message.replace(at, 2, fill);
    tell_(j->who->name(), *n);
  };
  if (done)
    tell(a.when_done, r.object ? r.object->name : a.name);
  else if (!ok)
    tell(a.when_failed, r.message);
  if (a.tell) j->who->result(j->key, {&a, r.code, r.message});
  if (--j->open == 0) close(j, now);
}

void manager_core::close(const job_ptr& j, sys_micros now) {
  if (j->failed) { // the next run says anew when to wake; a time that is past would undo the back-off
    j->who->queue.failed(j->key, now);
    return;
  }
  j->who->queue.done(j->key);
  if (j->wake_at) j->who->queue.add_at(j->key, *j->wake_at);
}

std::optional<sys_micros> manager_core::flush(sys_micros now) {
  std::optional<sys_micros> next;
  for (auto& c : controllers_)
    if (auto t = c->queue.flush(now); t && (!next || *t < *next)) next = t;
  return next;
}

bool manager_core::ready() const noexcept {
  return std::any_of(controllers_.begin(), controllers_.end(), [](const auto& c) { return c->queue.ready(); });
}

} // namespace troupe::ctl

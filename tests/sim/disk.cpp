#include "tests/sim/disk.hpp"

#include "store/snapshot_codec.hpp"

#include <algorithm>

namespace troupe::sim {

namespace {

std::string key_of(std::string_view table, std::string_view ns, std::string_view name) {
  std::string k;
  k.reserve(table.size() + ns.size() + name.size() + 2);
  k.append(table).push_back('\0');
  k.append(ns).push_back('\0');
  k.append(name);
  return k;
}

std::string_view table_of(std::string_view key) { return key.substr(0, key.find('\0')); }

} // namespace

std::shared_ptr<platter> platter::make(std::string cluster_id, const store::group_config& first) {
  auto p = std::make_shared<platter>();
  p->cluster_id = std::move(cluster_id);
  // As rocks_backend: the founding configuration counts as entry 1, which no log holds.
  p->base = {log_index{first.voters.empty() ? 0u : 1u}, {}};
  p->applied = {p->base, 0, first};
  return p;
}

void platter::corrupt() {
  damage = "log entry " + std::to_string(last().v) + ": checksum mismatch (simulated)";
  log.clear();
  objects.clear();
  history.clear();
  history_floor = horizon = 0;
  base = {};
  applied = {{}, 0, applied.config};
}

bool sim_disk::crashes_now() {
  auto& m = p_->mood;
  if (m.next == disk_mood::crash::none) return false;
  if (m.crash_after == 0) return true;
  --m.crash_after;
  return false;
}

result<store::recovered_state> sim_disk::recover(store::state_machine& objects) {
  store::recovered_state out;
  if (!p_->condemned.empty()) {
    p_->corrupt();
    p_->damage = std::exchange(p_->condemned, {});
  }
  out.hard = p_->hard;
  out.base = p_->base;
  out.log.assign(p_->log.begin(), p_->log.end());
  out.applied = p_->applied;
  out.damage = p_->damage;
  for (const auto& [key, versions] : p_->objects)
    if (!versions.back().deleted) objects.load(table_of(key), versions.back().object);
  objects.set_revision(p_->applied.rev);
  watcher_.recovered(out);
  return out;
}

result<store::history_window> sim_disk::read_history(const store::state_machine& objects, std::size_t events_max,
                                                     std::size_t) {
  store::history_window out;
  const auto& all = p_->history;
  out.floor = objects.rev();
  if (all.empty() || all.back().current->mod != objects.rev()) return out;
  auto from = all.size() > events_max ? all.end() - static_cast<std::ptrdiff_t>(events_max) : all.begin();
  out.floor = p_->history_floor;
  // Never half a transaction.
  if (from != all.begin()) {
    const auto cut = (from - 1)->current->mod;
    while (from != all.end() && from->current->mod == cut)
      ++from;
    out.floor = std::max(out.floor, cut);
  }
  out.changes.assign(from, all.end());
  return out;
}

void sim_disk::put_log(const store::write_group& g) {
  auto& log = p_->log;
  if (!g.append.empty()) {
    const auto first = g.append.front().index;
    while (!log.empty() && log.back().index >= first)
      log.pop_back();
    log.insert(log.end(), g.append.begin(), g.append.end());
  }
  if (g.drop_log_to && g.drop_log_to->index > p_->base.index) {
    while (!log.empty() && log.front().index <= g.drop_log_to->index)
      log.pop_front();
    p_->base = *g.drop_log_to;
  }
}

void sim_disk::put_objects(const store::write_group& g) {
  for (const auto& c : g.changes) {
    const auto& o = *c.current;
    auto& versions = p_->objects[key_of(*c.table, o.ns, o.name)];
    // A write that was repeated after a failure brings what is there already.
    while (!versions.empty() && versions.back().rev >= o.mod)
      versions.pop_back();
    versions.push_back({c.current, o.mod, c.what == store::event_type::deleted});
    p_->history.push_back(c);
  }
  if (g.applied) p_->applied = *g.applied;
}

result<void> sim_disk::install(const store::write_group& g) {
  store::snapshot_reader reader;
  for (const auto& piece : *g.install)
    if (auto r = reader.take(*piece); !r) return r;
  if (!reader.complete()) return errors::internal("the snapshot to install is not complete");
  auto machine = reader.finish();
  const auto held = machine->snapshot();
  const store::view& view = *held;
  p_->log.clear();
  p_->objects.clear();
  p_->history.clear();
  for (const auto& table : view.tables())
    view.scan(table, {}, [&](const store::object_ptr& o) {
      p_->objects[key_of(table, o->ns, o->name)].push_back({o, o->mod, false});
      return true;
    });
  p_->base = g.applied->at;
  p_->applied = *g.applied;
  p_->history_floor = p_->horizon = g.applied->rev;
  p_->damage.clear();
  return {};
}

result<void> sim_disk::room() const {
  if (p_->mood.full) return errors::insufficient_storage("only 0 MiB left (simulated): writes are refused");
  return {};
}

result<void> sim_disk::write(const store::write_group& g) {
  using crash = disk_mood::crash;
  auto& m = p_->mood;
  if (gone_) return errors::unavailable("the store is closed");
  ++p_->writes;
  const bool adds = std::any_of(g.append.begin(), g.append.end(),
                                [](const store::log_entry& e) { return e.kind == store::entry_kind::change; });
  if (adds)
    if (auto r = room(); !r) return r;
  if (random_.happens(m.fails)) return errors::internal("the store cannot write: input/output error (simulated)");
  const auto crashes = crashes_now() ? std::exchange(m.next, crash::none) : crash::none;
  if (crashes == crash::before_write) {
    cut_off();
    watcher_.crash();
    return errors::unavailable("the process has ended");
  }
  if (g.hard) p_->hard = *g.hard;
  if (g.install)
    if (auto r = install(g); !r) return r;
  put_log(g);
  put_objects(g);
  watcher_.written(g);
  if (crashes == crash::after_write) {
    cut_off();
    watcher_.crash();
  }
  return {};
}

result<store::object_ptr> sim_disk::get_at(const store::key_ref& k, revision rev) {
  if (rev < p_->horizon) return errors::expired("revision " + std::to_string(rev) + " has been compacted");
  const auto it = p_->objects.find(key_of(k.table, k.ns, k.name));
  if (it == p_->objects.end()) return store::object_ptr{};
  for (auto v = it->second.rbegin(); v != it->second.rend(); ++v)
    if (v->rev <= rev) return v->deleted ? store::object_ptr{} : v->object;
  return store::object_ptr{};
}

result<void> sim_disk::scan_at(std::string_view table, std::string_view ns, std::string_view after_ns,
                               std::string_view after_name, revision rev,
                               const std::function<bool(const store::object_ptr&)>& fn) {
  if (rev < p_->horizon) return errors::expired("revision " + std::to_string(rev) + " has been compacted");
  const bool behind = !after_name.empty();
  auto it = behind ? p_->objects.upper_bound(key_of(table, after_ns, after_name))
                   : p_->objects.lower_bound(key_of(table, ns, {}));
  for (; it != p_->objects.end() && table_of(it->first) == table; ++it)
    for (auto v = it->second.rbegin(); v != it->second.rend(); ++v) {
      if (v->rev > rev) continue;
      if (!v->deleted && (ns.empty() || v->object->ns == ns) && !fn(v->object)) return {};
      break;
    }
  return {};
}

/// A bounded step, as a real disk does it: half of what there is to do, at least a hundred revisions.
result<bool> sim_disk::compact(revision horizon) {
  if (gone_ || horizon <= p_->horizon) return false;
  const auto upto = std::min(horizon, p_->horizon + std::max<revision>(100, (horizon - p_->horizon) / 2));
  auto& history = p_->history;
  while (!history.empty() && history.front().current->mod <= upto) {
    const auto& o = *history.front().current;
    if (auto it = p_->objects.find(key_of(*history.front().table, o.ns, o.name)); it != p_->objects.end()) {
      auto& v = it->second;
      while (v.size() > 1 && v[1].rev <= upto)
        v.erase(v.begin());
      if (v.size() == 1 && v[0].deleted && v[0].rev <= upto) p_->objects.erase(it);
    }
    history.pop_front();
  }
  p_->horizon = upto;
  p_->history_floor = std::max(p_->history_floor, upto);
  return upto < horizon;
}

result<void> sim_disk::condemn(const std::string& why) {
  if (!gone_) p_->condemned = why;
  return {};
}

result<void> sim_disk::close() {
  gone_ = true;
  return {};
}

} // namespace troupe::sim

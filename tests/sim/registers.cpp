#include "tests/sim/registers.hpp"

#include "actors/raft/group_board.hpp"

#include <charconv>

namespace troupe::sim {

namespace {

std::string unit_name(std::uint32_t unit) { return "u" + std::to_string(unit); }
std::string slot_name(std::uint32_t slot) { return "s" + std::to_string(slot); }

std::uint64_t value_of(const store::object& o) {
  const auto at = o.bytes.text().rfind("\"v\":");
  std::uint64_t v = 0;
  if (at != std::string_view::npos) std::from_chars(o.bytes.data() + at + 4, o.bytes.data() + o.bytes.size(), v);
  return v;
}

store::object_key key_of(std::uint32_t unit, std::uint32_t slot) {
  return {register_table, unit_name(unit), slot_name(slot)};
}

store::put put_of(std::uint32_t unit, const slot_value& s) {
  store::put p{key_of(unit, s.slot), {}, 0};
  p.bytes = R"({"metadata":{"name":")" + p.key.name + R"(","resourceVersion":")";
  p.rv_offset = p.bytes.size();
  p.bytes += R"("},"v":)" + std::to_string(s.value) + "}";
  return p;
}

outcome fate(const store::txn_result& r) {
  if (r.error.code == 504) return outcome::unknown;
  if (r.error.code != 0) return outcome::failed;
  return r.ok ? outcome::done : outcome::declined;
}

} // namespace

registers::registers(cluster& c, register_options o)
    : cluster_(c), options_(o), random_(c.form.seed, "registers"), clients_(o.clients) {
  for (std::size_t i = 0; i < clients_.size(); ++i)
    clients_[i].number = i + 1;
}

void registers::start() {
  for (auto& c : clients_)
    think(c);
}

bool registers::idle() const {
  for (const auto& c : clients_)
    if (c.busy) return false;
  return true;
}

void registers::think(client& c) {
  cluster_.w.in(random_.around(options_.think), [this, &c] { next(c); });
}

void registers::next(client& c) {
  if (stopped_) return;
  auto* m = cluster_.any(random_);
  if (!m) return think(c);
  const auto unit = static_cast<std::uint32_t>(random_.below(options_.units));
  const auto dice = random_.below(100);
  if (dice < 35) return read(c, *m, unit, false);
  if (dice < 45) return read(c, *m, unit, true);
  write(c, *m, unit);
}

void registers::begin(client& c, operation op) {
  op.client = c.number;
  c.busy = true;
  c.op = cluster_.r.invoked(std::move(op));
  const auto mine = ++c.generation;
  cluster_.w.in(options_.patience, [this, &c, mine] {
    if (c.busy && c.generation == mine) finish(c, outcome::unknown, {}, 0);
  });
}

void registers::finish(client& c, outcome result, std::vector<slot_value> seen, revision rev) {
  if (result == outcome::done || result == outcome::declined) ++answered_;
  cluster_.r.completed(c.op, result, std::move(seen), rev);
  c.busy = false;
  ++c.generation;
  think(c);
}

std::vector<slot_value> registers::slots(const store::view& v, std::uint32_t unit) const {
  std::vector<slot_value> out;
  for (std::uint32_t s = 0; s < width(unit); ++s) {
    const auto o = v.get(register_table, unit_name(unit), slot_name(s));
    out.push_back({s, o ? value_of(*o) : 0});
  }
  return out;
}

void registers::read(client& c, master& m, std::uint32_t unit, bool stale) {
  operation op;
  op.what = stale ? operation::kind::stale_read : operation::kind::read;
  op.member = m.id();
  op.unit = unit;
  begin(c, op);
  if (stale) {
    const auto v = m.view();
    return finish(c, outcome::done, slots(*v, unit), v->rev());
  }
  ++cluster_.r.sums.barriers;
  const auto mine = c.generation;
  const auto life = m.life();
  m.raft().group->read_barrier([this, &c, &m, mine, life, unit](const status& s) {
    const bool ok = s.code == 0;
    cluster_.w.in(instant{0}, [this, &c, &m, mine, life, unit, ok] {
      if (c.generation != mine) return;
      if (!ok || !m.up() || m.life() != life) return finish(c, outcome::failed, {}, 0);
      const auto v = m.view();
      finish(c, outcome::done, slots(*v, unit), v->rev());
    });
  });
}

void registers::write(client& c, master& m, std::uint32_t unit) {
  operation op;
  op.what = operation::kind::write;
  op.member = m.id();
  op.unit = unit;
  store::txn t;
  const auto v = m.view();
  const auto n = width(unit);
  for (std::uint32_t s = 0; s < n; ++s) {
    const auto o = v->get(register_table, unit_name(unit), slot_name(s));
    const auto dice = random_.below(100);
    if (dice < 45) {
      op.compares.push_back({s, o ? value_of(*o) : 0});
      t.compares.push_back({key_of(unit, s), o ? o->mod : 0});
    }
    if (n > 1 && random_.below(3) == 0) continue; // leaves this slot as it is
    const slot_value put{s, random_.below(10) == 0 ? 0 : ++next_value_};
    op.puts.push_back(put);
    if (put.value == 0)
      t.erases.push_back({key_of(unit, s)});
    else
      t.puts.push_back(put_of(unit, put));
  }
  if (op.puts.empty()) {
    op.puts.push_back({0, ++next_value_});
    t.puts.push_back(put_of(unit, op.puts.back()));
  }
  if (next_value_ % 8 == 0) t.fence_term = m.status().term.v; // refused, and so failed, when another term appends it
  begin(c, op);
  const auto mine = c.generation;
  cluster_.propose(m, std::move(t),
                   [this, &c, mine, at = m.id(), op](store::txn_result& r) { wrote(c, mine, at, op, r); });
}

void registers::wrote(client& c, std::uint64_t generation, member_id at, const operation& op, store::txn_result& r) {
  if (c.generation != generation) return;
  const auto result = fate(r);
  std::vector<slot_value> seen;
  if (result == outcome::declined && r.failed_compare < op.compares.size())
    seen.push_back({op.compares[r.failed_compare].slot, r.current ? value_of(*r.current) : 0});
  if (result == outcome::done)
    for (const auto* list : {&r.written, &r.erased})
      for (const auto& o : *list) {
        acknowledged a;
        a.member = at;
        a.client = c.number;
        a.key = cluster_.r.log.name(std::string(register_table) + "/" + o->ns + "/" + o->name);
        a.rev = r.rev;
        a.erased = list == &r.erased;
        if (!a.erased) a.content = hash_of(o->bytes);
        cluster_.r.acked(a);
      }
  const bool changed = result == outcome::done && !(r.written.empty() && r.erased.empty());
  finish(c, result, std::move(seen), changed ? r.rev : 0);
}

} // namespace troupe::sim

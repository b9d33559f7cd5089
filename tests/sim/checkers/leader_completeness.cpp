#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <map>

namespace troupe::sim {

namespace {

/// An entry that was committed in term T is in the log of the leader of every term after T, so no such leader can have
/// made another entry for its index. T is not recorded; it is at most the term of the member that first applied it.
/// Example: 2@2 applied by a member in term 4. 2@3 elsewhere is a leftover of a leader that failed; 2@5 is a crime.
class leader_completeness_checker final : public checker {
public:
  leader_completeness_checker() : checker("leader completeness") {}

  void take(const role_change& r) override { terms_[r.member] = std::max(terms_[r.member], r.term.v); }
  void take(const state_adopted& a) override {
    // A snapshot holds committed entries only; a restart may know less than the member had applied in memory.
    auto& done = applied_to_[a.member];
    done = a.damaged ? a.index.v : std::max(done, a.snapshot ? a.index.v : 0);
  }

  void take(const applied_entry& a) override {
    auto& done = applied_to_[a.member];
    done = std::max(done, a.index.v);
    auto& slot = slots_[a.index.v];
    if (slot.committed) return;
    slot.committed = true;
    slot.term = a.term.v;
    slot.payload = a.payload;
    slot.known_in = std::max(a.term.v, terms_[a.member]);
    slot.by = a.member;
    slot.when = a.when;
    for (const auto& s : slot.stored)
      compare(slot, s);
    slot.stored.clear();
    if (slots_.size() > kept_max) slots_.erase(slots_.begin());
  }

  void take(const stored_entry& e) override {
    if (!slots_.empty() && slots_.size() >= kept_max && e.index.v < slots_.begin()->first) return;
    auto& slot = slots_[e.index.v];
    if (!slot.committed) {
      slot.stored.push_back(e);
      return;
    }
    compare(slot, e);
    if (!same(slot, e) && e.index.v <= applied_to_[e.member])
      wrong(text(e.member) + " replaced entry " + text(e.index, log_term{slot.term}) + ", which it had applied, by " +
            text(e.index, e.term) + " at " + text(e.when));
  }

private:
  struct place {
    bool committed = false;
    std::uint64_t term = 0, payload = 0, known_in = 0;
    member_id by;
    stamp when;
    std::vector<stored_entry> stored; // until it is committed
  };
  static bool same(const place& p, const stored_entry& e) { return p.term == e.term.v && p.payload == e.payload; }

  void compare(const place& p, const stored_entry& e) {
    if (e.term.v <= p.known_in || same(p, e)) return;
    wrong("entry " + text(e.index, log_term{p.term}) + " was committed in term " + text(p.known_in) +
          " at the latest (" + text(p.by) + " applied it at " + text(p.when) + "), but the leader of term " +
          text(e.term.v) + " did not have it: " + text(e.member) + " stored " + text(e.index, e.term) + " at " +
          text(e.when));
  }

  static constexpr std::size_t kept_max = 1 << 20;
  std::map<std::uint64_t, place> slots_; // by index
  std::map<member_id, std::uint64_t> terms_, applied_to_;
};

} // namespace

std::unique_ptr<checker> leader_completeness() { return std::make_unique<leader_completeness_checker>(); }

} // namespace troupe::sim

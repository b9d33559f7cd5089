#include "tests/sim/checkers/checkers.hpp"

#include <deque>
#include <map>

namespace troupe::sim {

namespace {

/// For every (index, term) there is one entry and one term before it. By induction over the index that is log matching:
/// two logs that hold the same (index, term) have the same entry before it, and so on to the beginning.
class log_matching_checker final : public checker {
public:
  log_matching_checker() : checker("log matching") {}

  void take(const stored_entry& e) override {
    auto& log = logs_[e.member];
    while (!log.terms.empty() && log.base + log.terms.size() >= e.index.v)
      log.terms.pop_back();
    const auto last = log.base + log.terms.size();
    if (log.known && e.index.v != last + 1) {
      wrong(text(e.member) + " stored entry " + text(e.index, e.term) + " at " + text(e.when) +
            ", but its log ends at " + text(last));
      return;
    }
    if (!log.known) {
      log.known = true;
      log.base = e.index.v - 1;
      log.base_term = 0;
    }
    const auto before = log.terms.empty() ? log.base_term : log.terms.back();
    if (before > e.term.v)
      wrong(text(e.member) + " stored entry " + text(e.index, e.term) + " behind one of the later term " +
            text(before) + " at " + text(e.when));
    compare(e, before);
    log.terms.push_back(e.term.v);
    if (log.terms.size() <= kept_max) return;
    log.base_term = log.terms.front();
    log.terms.pop_front();
    ++log.base;
  }

  /// A snapshot replaces the log, or its beginning; a damaged disk may have forgotten any part of it.
  void take(const state_adopted& a) override {
    auto& log = logs_[a.member];
    const auto last = log.base + log.terms.size();
    const bool agrees = log.known && (a.index.v == log.base ? log.base_term == a.term.v : holds(log, a));
    if (a.damaged)
      log = {};
    else if (a.snapshot && !agrees)
      log = {a.index.v, a.term.v, true, {}};
    else if (!a.snapshot && a.index.v > last)
      log = {}; // it died between writing a snapshot, and perhaps entries after it, and saying so
  }

private:
  struct known_entry {
    std::uint64_t payload = 0, before = 0; // before: the term of the entry in front of it; 0: not known
    store::entry_kind kind = store::entry_kind::nothing;
    member_id member;
    stamp when;
  };

  void compare(const stored_entry& e, std::uint64_t before) {
    auto [it, fresh] =
        entries_.try_emplace({e.index.v, e.term.v}, known_entry{e.payload, before, e.kind, e.member, e.when});
    if (fresh) {
      if (entries_.size() > kept_max) entries_.erase(entries_.begin());
      return;
    }
    auto& k = it->second;
    const auto both = text(k.member) + " (at " + text(k.when) + ") and " + text(e.member) + " (at " + text(e.when) +
                      ") hold entry " + text(e.index, e.term);
    if (k.payload != e.payload || k.kind != e.kind)
      wrong(both + " with different contents");
    else if (k.before != 0 && before != 0 && k.before != before)
      wrong(both + ", but the entry before it is of term " + text(k.before) + " there and of term " + text(before) +
            " here");
    if (k.before == 0) k.before = before;
  }

  /// The durable log of one member: terms of the entries behind `base`.
  struct log_of {
    std::uint64_t base = 0, base_term = 0;
    bool known = false;
    std::deque<std::uint64_t> terms;
  };

  static bool holds(const log_of& log, const state_adopted& a) {
    return a.index.v > log.base && a.index.v <= log.base + log.terms.size() &&
           log.terms[a.index.v - log.base - 1] == a.term.v;
  }

  static constexpr std::size_t kept_max = 1 << 20;
  std::map<member_id, log_of> logs_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, known_entry> entries_; // (index, term)
};

} // namespace

std::unique_ptr<checker> log_matching() { return std::make_unique<log_matching_checker>(); }

} // namespace troupe::sim

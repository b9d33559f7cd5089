#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <map>

namespace troupe::sim {

namespace {

/// A write that was acknowledged names its revision, and the revision's change the entry it came from. It is lost when
/// any member applies another entry there, when the change is not what was acknowledged, or when the members end
/// before.
class no_lost_writes_checker final : public checker {
public:
  no_lost_writes_checker() : checker("no acknowledged write lost") {}

  void take(const change& c) override {
    auto& r = revisions_[c.rev];
    r.index = c.index.v;
    r.changes.push_back(c);
    trim();
  }

  void take(const applied_entry& a) override {
    auto [it, fresh] = entries_.try_emplace(a.index.v, entry{a.term.v, a.payload, a.member});
    if (entries_.size() > kept_max) entries_.erase(entries_.begin());
    if (fresh || (it->second.term == a.term.v && it->second.payload == a.payload)) return;
    auto known = acked_.find(a.index.v);
    if (known != acked_.end())
      wrong(told(known->second) + " by entry " + text(a.index, log_term{it->second.term}) + ", but " + text(a.member) +
            " applied " + text(a.index, a.term) + " there at " + text(a.when));
  }

  void take(const acknowledged& a) override {
    if (a.rev == 0) return;
    auto it = revisions_.find(a.rev);
    if (it == revisions_.end()) {
      wrong(told(a) + ", but nobody had applied that revision");
      return;
    }
    acked_.try_emplace(it->second.index, a);
    if (acked_.size() > kept_max) acked_.erase(acked_.begin());
    if (a.key == 0) return;
    const auto& all = it->second.changes;
    const auto c = std::find_if(all.begin(), all.end(), [&](const change& x) { return x.key == a.key; });
    if (c == all.end())
      wrong(told(a) + ", but that revision did not touch its key");
    else if (a.erased != (c->what == store::event_type::deleted))
      wrong(told(a) + (a.erased ? ", but its key was not deleted" : ", but its key was deleted"));
    else if (a.content != 0 && a.content != c->content)
      wrong(told(a) + ", but other bytes were written");
  }

  void finish(const history& h) override {
    std::uint64_t index = 0;
    revision rev = 0;
    for (const auto& m : h.end.members) {
      index = std::max(index, m.index.v);
      rev = std::max(rev, m.rev);
    }
    if (h.end.members.empty()) return;
    if (!acked_.empty() && acked_.rbegin()->first > index)
      wrong(told(acked_.rbegin()->second) + ", but no member holds more than entry " + text(index) + " in the end");
    for (const auto& o : h.operations)
      if (o.what == operation::kind::write && o.result == outcome::done && o.seen_rev > rev)
        wrong("client " + text(o.client) + " was told at " + text(o.completed) + " that its write of unit " +
              text(o.unit) + " is revision " + text(o.seen_rev) + ", but the members end at revision " + text(rev));
  }

private:
  struct entry {
    std::uint64_t term = 0, payload = 0;
    member_id by;
  };
  struct applied_revision {
    std::uint64_t index = 0;
    std::vector<change> changes;
  };
  static std::string told(const acknowledged& a) {
    return "client " + text(a.client) + " was told by " + text(a.member) + " at " + text(a.when) +
           " that its write is revision " + text(a.rev);
  }
  void trim() {
    if (revisions_.size() > kept_max) revisions_.erase(revisions_.begin());
  }

  static constexpr std::size_t kept_max = 1 << 20;
  std::map<revision, applied_revision> revisions_;
  std::map<std::uint64_t, entry> entries_;      // by index, as first applied
  std::map<std::uint64_t, acknowledged> acked_; // by index
};

} // namespace

std::unique_ptr<checker> no_lost_writes() { return std::make_unique<no_lost_writes_checker>(); }

} // namespace troupe::sim

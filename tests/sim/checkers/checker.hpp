// checker: one property of a run, judged from what was recorded, record by record, so that long runs need no long
// memory. Owner:  the judge, or a test that feeds records by hand. Units:  - Errors: the first broken promise stays in
// found(); what comes later is not looked at. Source: ours; properties of Raft thesis figure 3.2, and docs of the API's
// watch.
#pragma once

#include "tests/sim/history.hpp"

#include <optional>
#include <string>
#include <utility>

namespace troupe::sim {

class checker {
public:
  explicit checker(std::string property) : property_(std::move(property)) {}
  virtual ~checker() = default;

  // Records in the order they happened, whatever list they are from.
  virtual void take(const stored_entry&) {}
  virtual void take(const applied_entry&) {}
  virtual void take(const state_adopted&) {}
  virtual void take(const role_change&) {}
  virtual void take(const leader_claim&) {}
  virtual void take(const change&) {}
  virtual void take(const acknowledged&) {}
  virtual void take(const watch_step&) {}
  /// The run is over; operations are complete only now.
  virtual void finish(const history&) {}

  const std::string& property() const { return property_; }
  const std::optional<violation>& found() const { return found_; }

protected:
  void wrong(std::string what) {
    if (!found_) found_ = violation{property_, std::move(what)};
  }

private:
  std::string property_;
  std::optional<violation> found_;
};

// Words for sentences.
inline std::string text(std::uint64_t v) { return std::to_string(v); }
inline std::string text(member_id m) { return "member " + std::to_string(m.v); }
inline std::string text(const stamp& s) {
  const auto us = s.at.count() / 1000;
  auto fraction = std::to_string(us % 1000000);
  fraction.insert(0, 6 - fraction.size(), '0');
  return std::to_string(us / 1000000) + "." + fraction + " s (record " + std::to_string(s.order) + ")";
}
inline std::string text(log_index i, log_term t) { return std::to_string(i.v) + "@" + std::to_string(t.v); }

} // namespace troupe::sim

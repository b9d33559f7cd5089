// fillable_disk: a member's real store on a disk that can be full: in time for `room` to say so, or only for `write`.
// Owner:  group_lab, which keeps it while the member runs.
// Units:  -
// Errors: 507 while it is full, else those of the store.
// Source: ours.
#pragma once

#include "store/rocks_backend.hpp"

#include <memory>

class fillable_disk final : public troupe::store::member_disk {
public:
  explicit fillable_disk(std::unique_ptr<troupe::store::rocks_backend> b) : below_(std::move(b)) {}

  bool looks_full = false, is_full = false, fails = false;
  bool takes_votes = false; // also when it is full
  int fills_after = -1;     // so many writes; negative: never
  bool ran_ahead = false;   // it was to hold the state of an entry that its log does not reach

  troupe::result<troupe::store::recovered_state> recover(troupe::store::state_machine& m) override {
    auto found = below_->recover(m);
    if (found) last_ = found->log.empty() ? found->base.index : found->log.back().index;
    return found;
  }
  troupe::result<troupe::store::history_window> read_history(const troupe::store::state_machine& m, std::size_t events,
                                                             std::size_t bytes) override {
    return below_->read_history(m, events, bytes);
  }
  troupe::result<void> write(const troupe::store::write_group& g) override {
    if (fills_after == 0) is_full = true;
    if (fills_after >= 0) --fills_after;
    const bool vote = g.hard && g.append.empty() && g.changes.empty() && !g.applied;
    if (is_full && !(vote && takes_votes)) return full();
    if (fails) return troupe::errors::internal("a sync failed (for a test)");
    if (!g.append.empty()) last_ = g.append.back().index;
    if (g.install) last_ = g.applied->at.index;
    if (g.applied && g.applied->at.index > last_) ran_ahead = true;
    return below_->write(g);
  }
  troupe::result<void> room() const override { return looks_full ? full() : below_->room(); }
  troupe::result<troupe::store::object_ptr> get_at(const troupe::store::key_ref& k,
                                                   troupe::store::revision r) override {
    return below_->get_at(k, r);
  }
  troupe::result<void> scan_at(std::string_view table, std::string_view ns, std::string_view after_ns,
                               std::string_view after_name, troupe::store::revision r,
                               const std::function<bool(const troupe::store::object_ptr&)>& fn) override {
    return below_->scan_at(table, ns, after_ns, after_name, r, fn);
  }
  troupe::result<bool> compact(troupe::store::revision r) override { return below_->compact(r); }
  troupe::store::revision horizon() const noexcept override { return below_->horizon(); }
  const std::string& cluster_id() const noexcept override { return below_->cluster_id(); }
  troupe::result<void> condemn(const std::string& why) override { return below_->condemn(why); }
  troupe::result<void> close() override { return below_->close(); }

private:
  static troupe::result<void> full() { return troupe::errors::insufficient_storage("no space left (for a test)"); }

  std::unique_ptr<troupe::store::rocks_backend> below_;
  troupe::store::log_index last_; // of its log
};

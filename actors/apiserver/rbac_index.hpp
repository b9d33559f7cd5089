// rbac_index: the RBAC rules as of now, for every reader, without a message.
// Owner:  shared; thread-safe. Whoever asks first after a change pulls it in, under a lock of its own.
// Units:  -
// Errors: -
// Source: ours; follows the four RBAC tables through the watch hub.
#pragma once

#include "api/rbac/authorizer.hpp"
#include "store/shared_slot.hpp"
#include "store/view.hpp"
#include "store/watch_hub.hpp"

#include <array>
#include <atomic>
#include <memory>
#include <mutex>

namespace troupe::apiserver {

class rbac_index {
public:
  rbac_index(std::shared_ptr<store::published> state, std::shared_ptr<store::watch_hub> hub);
  ~rbac_index();
  std::shared_ptr<const rbac::rbac_rules> rules();

private:
  void refresh();
  void take_changes();
  void reload();
  void apply(const store::event& e, std::size_t table);

  std::shared_ptr<store::published> state_;
  std::shared_ptr<store::watch_hub> hub_;
  std::shared_ptr<std::atomic<bool>> dirty_ = std::make_shared<std::atomic<bool>>(true);
  std::atomic<bool> refreshing_{false};
  store::shared_slot<const rbac::rbac_rules> current_;
  std::mutex mutex_;
  std::unique_ptr<rbac::rbac_table> table_;
  bool loaded_ = false;
  std::array<store::revision, 4> cursors_{};
  std::array<std::unique_ptr<store::subscription>, 4> subscriptions_;
};

} // namespace troupe::apiserver

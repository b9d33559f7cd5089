#include "actors/link/mesh_keeper.hpp"

#include "actors/support/component.hpp"

#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <utility>

namespace troupe::mesh {

void gateway_keeper::spawn() {
  auto made = spawn_gateway(sys_, parts_);
  {
    std::lock_guard lock(mutex_);
    now_ = made;
  }
  made->attach_functor([me = shared_from_this()](const caf::error&) { me->ended(); });
}

void gateway_keeper::ended() {
  caf::actor last; // released outside of the lock
  {
    std::lock_guard lock(mutex_);
    last = std::exchange(now_, nullptr);
    if (stopping_) {
      gone_.set_value();
      return;
    }
  }
  component_log("mesh")->error("the gateway to the other masters died; it is started again");
  spawn();
}

void gateway_keeper::stop() {
  caf::actor last;
  {
    std::lock_guard lock(mutex_);
    if (std::exchange(stopping_, true) || !now_) return;
    last = now_;
  }
  caf::anon_send_exit(last, caf::exit_reason::user_shutdown);
  gone_.get_future().wait();
}

caf::actor gateway_keeper::get() const {
  std::lock_guard lock(mutex_);
  return now_;
}

} // namespace troupe::mesh

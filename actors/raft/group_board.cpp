#include "actors/raft/group_board.hpp"

namespace troupe {

group_status group_board::now() const {
  std::lock_guard lock(mutex_);
  return now_;
}

std::shared_ptr<void> group_board::subscribe(std::function<void(const group_status&)> fn) {
  auto token = std::make_shared<int>(0);
  auto l = std::make_shared<listener>();
  l->token = token;
  l->fn = std::move(fn);
  group_status first;
  {
    std::lock_guard lock(mutex_);
    std::erase_if(listeners_, [](const auto& x) { return x->token.expired(); });
    listeners_.push_back(l);
    first = now_;
  }
  l->fn(first);
  return token;
}

void group_board::set(group_status s) {
  std::vector<std::shared_ptr<listener>> tell;
  {
    std::lock_guard lock(mutex_);
    if (s == now_) return;
    now_ = s;
    in_service_.store(s.out_of_service.empty(), std::memory_order_release);
    alone_serving_.store(s.alone && s.serving && s.out_of_service.empty(), std::memory_order_release);
    tell = listeners_;
  }
  for (const auto& l : tell)
    if (auto alive = l->token.lock()) l->fn(s);
}

void group_board::read_barrier(std::function<void(const status&)> done) {
  std::function<void()> wake;
  {
    std::lock_guard lock(mutex_);
    if (!(now_.alone && now_.serving)) {
      readers_.push_back(std::move(done));
      if (readers_.size() == 1) wake = wake_;
      if (!wake) return;
    }
  }
  if (wake)
    wake();
  else
    done(status::none());
}

/// Whoever asked before the actor had begun waits here already.
void group_board::on_readers(std::function<void()> wake) {
  bool waiting = false;
  {
    std::lock_guard lock(mutex_);
    wake_ = wake;
    waiting = !readers_.empty();
  }
  if (waiting) wake();
}

std::vector<std::function<void(const status&)>> group_board::take_readers() {
  std::lock_guard lock(mutex_);
  return std::exchange(readers_, {});
}

} // namespace troupe

#include "actors/link/frame_loop.hpp"

#include "actors/support/attention.hpp"
#include "actors/support/scheduling.hpp"

#include <atomic>
#include <chrono>
#include <deque>
#include <mutex>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <thread>
#include <unistd.h>
#include <unordered_map>

namespace troupe::link {

namespace {

using clock = std::chrono::steady_clock;
using instant = clock::time_point;
using std::chrono::nanoseconds;

constexpr std::size_t gather_bytes = 64 * 1024;
constexpr std::size_t flush_bytes_max = 1024 * 1024; // of one link before the next gets its turn
constexpr int events_max = 64;
/// A link that said nothing for so long is written to by whoever has something to say, without waking our thread; what
/// comes closer together is gathered and leaves in one go.
constexpr std::chrono::microseconds quiet{100};
/// Without a link only a poke is waited for.
constexpr std::chrono::hours idle_round{1};
/// Our own thread did not run for so long: what it has not heard meanwhile says nothing about the others.
constexpr std::chrono::milliseconds stalled{400};

class loop_impl;

class link_impl final : public frame_link, public std::enable_shared_from_this<link_impl> {
public:
  link_impl(std::weak_ptr<loop_impl> loop, session s, frame_handlers h, frame_bounds b)
      : loop_(std::move(loop)), session_(std::move(s)), handlers_(std::move(h)), bounds_(b) {}

  void start() override;
  bool send(std::string frame) override;
  void finish(std::string frame, std::string why) override;
  void close(std::string why) override;
  bool open() const noexcept override { return open_.load(std::memory_order_acquire); }
  std::size_t waiting() const noexcept override { return waiting_.load(std::memory_order_relaxed); }
  void hold(std::size_t bytes) noexcept override { held_.fetch_add(bytes, std::memory_order_relaxed); }
  void release(std::size_t bytes) noexcept override;

  // Of the loop's thread, which holds `io_`.
  bool take_in(std::string_view fresh, std::string& why);
  bool read(char* scratch, std::string& why);
  bool flush(std::string& why);
  bool tick(instant now, bool graceful, std::string& why);
  bool asked_to_end(std::string& why);
  bool full() const { return held_.load(std::memory_order_relaxed) > bounds_.input_bytes_max; }
  void mark();
  bool write_now();

  std::weak_ptr<loop_impl> loop_;
  session session_;
  frame_handlers handlers_;
  const frame_bounds bounds_;
  std::atomic<bool> open_{true}, dirty_{false};
  std::atomic<std::size_t> waiting_{0}, held_{0};

  std::mutex mutex_; // of what follows
  std::deque<std::string> out_;
  bool finishing_ = false, ending_ = false;
  std::string why_;

  std::mutex io_;                        // of the session and what follows; taken before `mutex_`
  bool started_ = false, stuck_ = false; // stuck: the kernel takes nothing more now
  std::uint32_t interest_ = 0;
  std::string input_, output_;
  std::size_t written_ = 0;
  instant heard_ = clock::now(), said_ = heard_;
  std::optional<instant> finish_by_;
};

class loop_impl final : public frame_loop, public std::enable_shared_from_this<loop_impl> {
public:
  explicit loop_impl(std::string name)
      : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
    epoll_event e{};
    e.events = EPOLLIN;
    e.data.ptr = nullptr;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, wake_, &e);
    if (name.empty()) return; // driven
    thread_ = std::thread([this] { run(); });
    name.resize(std::min<std::size_t>(name.size(), 15));
    ::pthread_setname_np(thread_.native_handle(), name.c_str());
  }
  ~loop_impl() override {
    stop();
    ::close(wake_);
    ::close(epoll_);
  }

  frame_link_ptr adopt(session s, frame_handlers handlers, frame_bounds bounds) override {
    return std::make_shared<link_impl>(weak_from_this(), std::move(s), std::move(handlers), bounds);
  }

  void stop() override {
    if (stopping_.exchange(true)) return;
    poke();
    if (thread_.joinable())
      thread_.join();
    else
      end_all();
  }

  void turn(instant until) override {
    const scoped_driver driver(*this);
    auto wait = std::chrono::ceil<nanoseconds>(until - clock::now());
    if (!links_.empty()) wait = std::min<nanoseconds>(wait, limits::link::loop_tick);
    if (wait.count() < 0 || has_marked()) wait = {};
    epoll_event events[events_max];
    serve_round(events, await(events, wait));
  }

  void mark(std::shared_ptr<link_impl> l) {
    bool first;
    {
      std::lock_guard lock(mutex_);
      first = marked_.empty();
      marked_.push_back(std::move(l));
    }
    if (first && !is_own_thread()) poke();
  }
  bool is_own_thread() const { return std::this_thread::get_id() == thread_id_.load(std::memory_order_relaxed); }

private:
  void poke() {
    const std::uint64_t one = 1;
    while (::write(wake_, &one, sizeof one) < 0 && errno == EINTR) {
    }
  }

  /// Whoever is in here is the loop's thread.
  struct scoped_driver {
    explicit scoped_driver(loop_impl& of) : loop(of) { loop.thread_id_ = std::this_thread::get_id(); }
    ~scoped_driver() { loop.thread_id_ = std::thread::id{}; }
    loop_impl& loop;
  };

  void run() {
    const scoped_driver driver(*this);
    epoll_event events[events_max];
    while (!stopping_.load(std::memory_order_acquire)) {
      const nanoseconds wait = links_.empty() ? idle_round : limits::link::loop_tick;
      serve_round(events, await(events, has_marked() ? nanoseconds{0} : wait));
    }
    end_all();
  }

  /// How many events there are, after `wait` at the latest.
  int await(epoll_event* events, nanoseconds wait) {
    const auto ask = [&](nanoseconds within) {
      const auto ms = std::chrono::floor<std::chrono::milliseconds>(within);
      if (ms == within) return ::epoll_wait(epoll_, events, events_max, static_cast<int>(ms.count()));
      const auto s = std::chrono::floor<std::chrono::seconds>(within); // a driven loop, on Linux 5.11 and later
      const timespec t{s.count(), (within - s).count()};
      return ::epoll_pwait2(epoll_, events, events_max, &t, nullptr);
    };
    if (wait <= nanoseconds{0}) return ask(nanoseconds{0});
    int count = 0;
    if (attention_.look([&] { return (count = ask(nanoseconds{0})) != 0; })) return count;
    count = ask(wait);
    attention_.woke();
    return count;
  }

  void serve_round(const epoll_event* events, int count) {
    {
      const run_here turn; // of whom the frames were for: the answer is written below
      for (int i = 0; i < count; ++i)
        on_event(events[i]);
    }
    serve_marked();
    tick();
  }

  bool has_marked() {
    std::lock_guard lock(mutex_);
    return !marked_.empty();
  }

  void on_event(const epoll_event& e) {
    if (!e.data.ptr) {
      std::uint64_t n;
      while (::read(wake_, &n, sizeof n) < 0 && errno == EINTR) {
      }
      return;
    }
    auto it = links_.find(static_cast<link_impl*>(e.data.ptr));
    if (it == links_.end()) return; // ended earlier in this round
    serve(it->second, e.events);
  }

  void serve_marked() {
    std::vector<std::shared_ptr<link_impl>> all;
    {
      std::lock_guard lock(mutex_);
      all.swap(marked_);
    }
    for (auto& l : all) {
      l->dirty_.store(false, std::memory_order_release);
      if (!l->open()) continue;
      serve(l, 0);
    }
  }

  bool begin(const std::shared_ptr<link_impl>& l, std::string& why) {
    l->started_ = true;
    l->heard_ = l->said_ = clock::now();
    epoll_event e{};
    e.data.ptr = l.get();
    e.events = l->interest_ = EPOLLIN;
    links_.emplace(l.get(), l);
    if (::epoll_ctl(epoll_, EPOLL_CTL_ADD, l->session_.fd(), &e) == 0) return true;
    why = "the session cannot be watched: " + std::string(std::strerror(errno));
    return false;
  }

  /// `events` 0: somebody asked for attention.
  void serve(std::shared_ptr<link_impl> l, std::uint32_t events) {
    std::string why;
    std::unique_lock io(l->io_);
    if (!l->started_ && !begin(l, why)) {
      io.unlock();
      return end(l, std::move(why));
    }
    if (events & EPOLLOUT) l->stuck_ = false;
    bool good = !l->asked_to_end(why);
    if (good && !l->full()) {
      good = l->take_in({}, why);
      if (good && !l->full() && ((events & ~EPOLLOUT) || l->session_.has_buffered())) good = l->read(scratch_, why);
    } else if (good && (events & (EPOLLHUP | EPOLLERR))) {
      good = false;
      why = "the other side ended the session";
    }
    if (good) good = l->flush(why);
    if (good) return rearm(*l);
    io.unlock();
    end(l, std::move(why));
  }

  void rearm(link_impl& l) {
    const std::uint32_t wanted = (l.full() ? 0u : EPOLLIN) | (l.stuck_ ? EPOLLOUT : 0u);
    if (wanted != l.interest_) {
      epoll_event e{};
      e.data.ptr = &l;
      e.events = l.interest_ = wanted;
      ::epoll_ctl(epoll_, EPOLL_CTL_MOD, l.session_.fd(), &e);
    }
    // Bytes that TLS has already taken from the socket make no event.
    if (!l.full() && l.session_.has_buffered()) l.mark();
  }

  void tick() {
    const auto now = clock::now();
    const bool graceful = now - last_round_ > stalled + limits::link::loop_tick;
    last_round_ = now;
    if (now - last_tick_ < limits::link::loop_tick) return;
    last_tick_ = now;
    std::vector<std::pair<std::shared_ptr<link_impl>, std::string>> over;
    for (auto& [key, l] : links_) {
      std::string why;
      if (!l->tick(now, graceful, why)) over.emplace_back(l, std::move(why));
    }
    for (auto& [l, why] : over)
      end(l, std::move(why));
  }

  void end(std::shared_ptr<link_impl> l, std::string why) {
    links_.erase(l.get());
    {
      std::lock_guard io(l->io_);
      ::epoll_ctl(epoll_, EPOLL_CTL_DEL, l->session_.fd(), nullptr);
      l->open_.store(false, std::memory_order_release);
      l->session_.close();
    }
    auto handlers = std::move(l->handlers_);
    l->handlers_ = {};
    {
      std::lock_guard lock(l->mutex_);
      l->out_.clear();
    }
    if (handlers.on_closed) handlers.on_closed(why);
  }

  void end_all() {
    std::vector<std::shared_ptr<link_impl>> rest;
    {
      std::lock_guard lock(mutex_);
      rest.swap(marked_);
    }
    for (auto& [key, l] : links_)
      rest.push_back(l);
    links_.clear();
    for (auto& l : rest) {
      if (!l->open_.exchange(false)) continue;
      std::string why;
      std::lock_guard io(l->io_);
      l->flush(why); // last words, as far as the kernel takes them
      l->session_.close();
      l->handlers_ = {};
    }
  }

  const int epoll_, wake_;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::vector<std::shared_ptr<link_impl>> marked_;
  std::unordered_map<link_impl*, std::shared_ptr<link_impl>> links_; // of the thread
  instant last_tick_ = clock::now(), last_round_ = last_tick_;
  attention attention_;
  char scratch_[gather_bytes];
  std::atomic<std::thread::id> thread_id_;
  std::thread thread_;
};

// ---------------------------------------------------------------- link: any thread

void link_impl::mark() {
  if (dirty_.exchange(true, std::memory_order_acq_rel)) return;
  if (auto loop = loop_.lock()) loop->mark(shared_from_this());
}

void link_impl::start() { mark(); }

bool link_impl::send(std::string frame) {
  bool first = false;
  {
    std::lock_guard lock(mutex_);
    if (!open() || finishing_ || ending_) return false;
    const auto total = waiting_.fetch_add(frame.size(), std::memory_order_relaxed) + frame.size();
    if (total > bounds_.output_bytes_max) {
      ending_ = true;
      why_ = "it does not take what is sent to it: " + std::to_string(total) + " bytes wait";
    } else {
      first = out_.empty();
      out_.push_back(std::move(frame));
    }
  }
  if (!first || !write_now()) mark();
  return true;
}

/// True when nothing is left to do for the loop's thread. What goes wrong is left to it, too: it finds the same.
bool link_impl::write_now() {
  const auto loop = loop_.lock();
  if (!loop || loop->is_own_thread()) return false;
  std::unique_lock io(io_, std::try_to_lock);
  if (!io || !started_ || stuck_ || !open() || clock::now() - said_ < quiet) return false;
  std::string why;
  return flush(why) && !stuck_ && written_ == output_.size();
}

void link_impl::finish(std::string frame, std::string why) {
  {
    std::lock_guard lock(mutex_);
    if (finishing_ || ending_) return;
    waiting_.fetch_add(frame.size(), std::memory_order_relaxed);
    out_.push_back(std::move(frame));
    finishing_ = true;
    why_ = std::move(why);
  }
  mark();
}

void link_impl::close(std::string why) {
  {
    std::lock_guard lock(mutex_);
    if (ending_) return;
    ending_ = true;
    why_ = std::move(why);
  }
  mark();
}

void link_impl::release(std::size_t bytes) noexcept {
  const auto before = held_.fetch_sub(bytes, std::memory_order_relaxed);
  if (before > bounds_.input_bytes_max && before - bytes <= bounds_.input_bytes_max) mark();
}

// ---------------------------------------------------------------- link: the loop's thread

bool link_impl::asked_to_end(std::string& why) {
  std::lock_guard lock(mutex_);
  if (finishing_ && !finish_by_) finish_by_ = clock::now() + limits::link::last_words;
  if (!ending_) return false;
  why = why_;
  return true;
}

/// Delivers the whole frames among what has come; false: the session ends.
bool link_impl::take_in(std::string_view fresh, std::string& why) {
  if (!input_.empty() && !fresh.empty()) {
    input_.append(fresh);
    fresh = {};
  }
  const bool own = !input_.empty();
  std::string_view rest = own ? std::string_view(input_) : fresh;
  std::size_t wanted = 0;
  while (rest.size() >= 5 && !full()) {
    std::size_t n = 0;
    for (unsigned i = 0; i < 4; ++i)
      n = n << 8 | static_cast<unsigned char>(rest[i]);
    const auto type = static_cast<std::uint8_t>(rest[4]);
    if (!may_send(bounds_.peer, type)) {
      why = "it sent a frame of type " + std::to_string(type) + " (" + std::string(name_of(type)) +
            "), which it may not send";
      return false;
    }
    if (n == 0 || n > payload_bytes_max(type)) {
      why = "it announced a " + std::string(name_of(type)) + " frame of " + std::to_string(n) + " bytes; at most " +
            std::to_string(payload_bytes_max(type)) + " are accepted";
      return false;
    }
    if (rest.size() < n + 4) {
      wanted = n + 4;
      break;
    }
    const auto payload = rest.substr(4, n);
    rest.remove_prefix(n + 4);
    if (type == type_of<ping>()) {
      send(encode_frame(pong{}));
    } else if (type != type_of<pong>() && handlers_.on_frame) {
      if (auto ok = handlers_.on_frame(payload); !ok) {
        why = ok.error().message;
        return false;
      }
    }
  }
  if (own)
    input_.erase(0, input_.size() - rest.size());
  else
    input_.assign(rest);
  if (wanted > input_.capacity()) input_.reserve(wanted);
  if (input_.empty() && input_.capacity() > 2 * gather_bytes) input_.shrink_to_fit();
  return true;
}

bool link_impl::read(char* scratch, std::string& why) {
  for (std::size_t total = 0; total < limits::link::read_bytes && !full();) {
    const auto step = session_.read_some(scratch, gather_bytes);
    switch (step.state) {
    case io_step::what::moved:
      total += step.bytes;
      heard_ = clock::now();
      if (!take_in({scratch, step.bytes}, why)) return false;
      continue;
    case io_step::what::want_write: stuck_ = true; return true;
    case io_step::what::want_read: return true;
    case io_step::what::closed: why = session_.why_closed(); return false;
    }
  }
  return true;
}

bool link_impl::flush(std::string& why) {
  for (std::size_t total = 0; !stuck_;) {
    if (written_ == output_.size()) {
      output_.clear();
      written_ = 0;
      std::lock_guard lock(mutex_);
      while (!out_.empty() && (output_.empty() || output_.size() + out_.front().size() <= gather_bytes)) {
        if (output_.empty())
          output_ = std::move(out_.front());
        else
          output_.append(out_.front());
        out_.pop_front();
      }
      if (output_.empty()) {
        if (!finishing_) return true;
        why = why_;
        return false;
      }
    }
    const auto step = session_.write_some(output_.data() + written_, output_.size() - written_);
    switch (step.state) {
    case io_step::what::moved:
      written_ += step.bytes;
      total += step.bytes;
      waiting_.fetch_sub(step.bytes, std::memory_order_relaxed);
      said_ = clock::now();
      break;
    case io_step::what::want_write: stuck_ = true; break;
    case io_step::what::want_read: return true; // a TLS matter: reading goes on, and flushes again
    case io_step::what::closed: why = session_.why_closed(); return false;
    }
    if (total > flush_bytes_max) {
      mark(); // the others first
      break;
    }
  }
  return true;
}

bool link_impl::tick(instant now, bool graceful, std::string& why) {
  std::lock_guard io(io_);
  if (finish_by_ && now > *finish_by_) {
    std::lock_guard lock(mutex_);
    why = why_;
    return false;
  }
  if (graceful || full()) heard_ = now;
  if (now - heard_ > bounds_.silence_max) {
    why = "nothing was heard from it for " +
          std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now - heard_).count()) + " ms";
    return false;
  }
  if (bounds_.ping_every.count() > 0 && now - said_ >= bounds_.ping_every - limits::link::loop_tick / 2) {
    said_ = now;
    send(encode_frame(ping{}));
  }
  return true;
}

} // namespace

std::shared_ptr<frame_loop> frame_loop::make(std::string name) {
  if (name.empty()) name = "frames";
  return std::make_shared<loop_impl>(std::move(name));
}

std::shared_ptr<frame_loop> frame_loop::make_driven() { return std::make_shared<loop_impl>(""); }

} // namespace troupe::link

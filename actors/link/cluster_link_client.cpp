#include "actors/link/cluster_link_client.hpp"

#include "actors/link/cluster_link_dialer.hpp"
#include "api/version.hpp"

#include <random>
#include <unordered_map>

namespace troupe::link {

namespace {

response_ptr refusal(status s) {
  auto out = std::make_shared<response>();
  out->code = s.code;
  out->error = std::make_shared<const status>(std::move(s));
  return out;
}

/// Calls that wait for their answer; outlives the client in the handlers of its link.
class open_calls {
public:
  /// 0: too many, or the session is over.
  std::uint64_t add(std::function<void(response_ptr)>& done) {
    std::lock_guard lock(mutex_);
    if (over_ || all_.size() >= limits::link::calls_max) return 0;
    all_.emplace(next_, std::move(done));
    return next_++;
  }
  void answer(std::uint64_t id, response_ptr r) {
    std::function<void(response_ptr)> done;
    {
      std::lock_guard lock(mutex_);
      auto it = all_.find(id);
      if (it == all_.end()) return;
      done = std::move(it->second);
      all_.erase(it);
    }
    done(std::move(r));
  }
  void lost(const std::string& why) {
    decltype(all_) cut;
    {
      std::lock_guard lock(mutex_);
      over_ = true;
      cut.swap(all_);
    }
    for (auto& [id, done] : cut)
      done(refusal(errors::unavailable("the session with the master ended: " + why)));
  }
  bool over() const {
    std::lock_guard lock(mutex_);
    return over_;
  }

private:
  mutable std::mutex mutex_;
  std::unordered_map<std::uint64_t, std::function<void(response_ptr)>> all_;
  std::uint64_t next_ = 1;
  bool over_ = false;
};

class client final : public link_client {
public:
  client(session s, std::shared_ptr<frame_loop> shared)
      : own_loop_(!shared), loop_(shared ? std::move(shared) : frame_loop::make("link-client")) {
    frame_handlers h;
    h.on_frame = [calls = calls_](std::string_view payload) -> result<void> {
      auto m = decode_payload(payload);
      if (!m) return m.error();
      if (auto* a = std::get_if<answer>(&*m)) calls->answer(a->id, std::move(a->res));
      if (auto* b = std::get_if<bye>(&*m)) return errors::unavailable(b->why);
      return {};
    };
    h.on_closed = [calls = calls_](const std::string& why) { calls->lost(why); };
    frame_bounds b;
    b.peer = side::master;
    b.ping_every = limits::link::ping_every;
    b.silence_max = limits::link::client_silence_max;
    link_ = loop_->adopt(std::move(s), std::move(h), b);
    link_->start();
  }
  ~client() override {
    if (own_loop_)
      loop_->stop();
    else
      link_->close("this side closes");
    calls_->lost("this side closes");
  }

  void call(request_ptr req, std::function<void(response_ptr)> done) override {
    const auto id = calls_->add(done);
    if (id == 0)
      return done(refusal(calls_->over() ? errors::unavailable("the session with the master is over")
                                         : errors::too_many_requests("too many calls wait for an answer", 1)));
    auto frame = encode_frame(link::call{id, component::self, std::move(req)});
    if (frame.size() - 4 > limits::link::object_frame_bytes_max)
      return calls_->answer(id, refusal(errors::too_large("the request is larger than 2 MiB")));
    if (!link_->send(std::move(frame)))
      calls_->answer(id, refusal(errors::unavailable("the session with the master is over")));
  }
  bool open() const override { return link_->open(); }

private:
  const std::shared_ptr<open_calls> calls_ = std::make_shared<open_calls>();
  const bool own_loop_;
  const std::shared_ptr<frame_loop> loop_;
  frame_link_ptr link_;
};

} // namespace

result<std::shared_ptr<link_client>> open_link_client(const link_client_options& o) {
  std::random_device device;
  const hello first{limits::link::protocol_version, o.cluster_id, o.name, version::git_version, device() | 1ull};
  auto greeted = greet({o.name, o.address, o.port}, o.tls, first, o.setup, -1);
  if (!greeted) return greeted.error();
  return std::shared_ptr<link_client>(std::make_shared<client>(std::move(greeted->first), o.loop));
}

} // namespace troupe::link

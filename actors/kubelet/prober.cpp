// The one actor that drives all probes of a node: a wheel over probe_core.
#include "actors/kubelet/context.hpp"
#include "actors/kubelet/io_thread.hpp"
#include "actors/kubelet/pod_shell.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>

#include <map>

namespace troupe::kubelet {

namespace {

struct target {
  std::string container_id, pod_ip;
  caf::actor pod;
};

class prober_state {
public:
  static inline const char* name = "troupe.kubelet.prober";
  explicit prober_state(caf::event_based_actor* self) : self_(self) {}

  void open(context_ptr ctx, counters_ptr counters) {
    ctx_ = std::move(ctx);
    counters_ = std::move(counters);
  }

  void follow(const follow_probes& f) {
    targets_[{f.uid, f.index}] = {f.container_id, f.pod_ip, f.pod_actor};
    core_.add(f.uid, f.index, f.attempt, *f.container, f.started, f.ready, f.container_started, now());
    turn();
  }

  void drop(const drop_probes& d) {
    if (d.index >= 0) {
      core_.remove(d.uid, d.index);
      targets_.erase({d.uid, d.index});
      return;
    }
    core_.remove_pod(d.uid);
    std::erase_if(targets_, [&](const auto& t) { return t.first.first == d.uid; });
  }

  void answer(const probe_answer& a) {
    auto v = core_.on_result(a.key, a.outcome, now());
    auto it = targets_.find({a.key.pod_uid, a.key.container});
    if (v && it != targets_.end() && (v->failed_now || v->turned)) {
      auto step = std::make_shared<const pod_step>([verdict = *v](pod_shell& s) { s.on_probe_verdict(verdict); });
      self_->send(it->second.pod, pod_step_ptr{step});
    }
    turn();
  }

  void tick(std::uint64_t epoch) {
    if (epoch == epoch_) {
      armed_.reset();
      turn();
    }
  }

  void touch() { counters_->touch(self_); }

private:
  wall_time now() const { return ctx_->now(self_); }

  void turn() {
    for (auto& d : core_.due(now()))
      run(d);
    auto next = core_.next();
    if (!next || (armed_ && *armed_ <= *next)) return;
    armed_ = next;
    auto wait = std::max(*next - now(), wall_time::duration{0});
    self_->delayed_send(self_, std::chrono::ceil<std::chrono::milliseconds>(wait) + std::chrono::milliseconds{1},
                        probe_tick::value, ++epoch_);
  }

  void run(const due_probe& d) {
    auto it = targets_.find({d.key.pod_uid, d.key.container});
    if (it == targets_.end()) return;
    caf::actor me{self_};
    auto done = [me, key = d.key](probe_outcome o) {
      caf::anon_send(me, probe_answer_ptr{std::make_shared<const probe_answer>(probe_answer{key, std::move(o)})});
    };
    if (ctx_->options.hollow) return done({.ok = true});
    switch (d.spec.what) {
    case probe_spec::how::exec: return run_exec(it->second.container_id, d.spec, done);
    case probe_spec::how::http: return probe_http(*ctx_->io, d.spec, it->second.pod_ip, done);
    case probe_spec::how::tcp: return probe_tcp(*ctx_->io, d.spec, it->second.pod_ip, done);
    case probe_spec::how::grpc: return done({.message = "grpc probes are not supported by this node"});
    }
  }

  void run_exec(const std::string& id, const probe_spec& spec, const probe_done& done) {
    auto work = [engine = ctx_->options.engine, id, spec, done] {
      auto r = engine->exec_sync(id, spec.command, spec.timeout);
      if (!r) return done({.message = r.error().message});
      if (r->timed_out)
        return done({.message = "command timed out after " + std::to_string(spec.timeout.count()) + "s"});
      done({.ok = r->exit_code == 0, .message = r->output});
    };
    if (!ctx_->slow->post(work)) done({.unknown = true});
  }

  caf::event_based_actor* self_;
  context_ptr ctx_;
  counters_ptr counters_;
  probe_core core_;
  std::map<std::pair<std::string, int>, target> targets_;
  std::optional<wall_time> armed_;
  std::uint64_t epoch_ = 0;
};

} // namespace

caf::actor spawn_prober(caf::event_based_actor* parent, context_ptr ctx, counters_ptr counters) {
  return parent->spawn<caf::monitored>([ctx, counters](caf::stateful_actor<prober_state>* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    auto* s = &self->state;
    s->open(ctx, counters);
    return {
        [s](const follow_probes_ptr& f) {
          s->touch();
          s->follow(*f);
        },
        [s](const drop_probes_ptr& d) {
          s->touch();
          s->drop(*d);
        },
        [s](const probe_answer_ptr& a) {
          s->touch();
          s->answer(*a);
        },
        [s](probe_tick, std::uint64_t epoch) {
          s->touch();
          s->tick(epoch);
        },
    };
  });
}

} // namespace troupe::kubelet

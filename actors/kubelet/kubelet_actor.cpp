// The root actor of the kubelet: follows the pods of its node and keeps one actor alive for each.
#include "actors/kubelet/context.hpp"
#include "actors/kubelet/io_thread.hpp"
#include "actors/kubelet/limits.hpp"
#include "actors/kubelet/node/host_backend.hpp"
#include "actors/kubelet/stats.hpp"
#include "actors/kubelet/stream/stream_door.hpp"
#include "actors/kubelet/volume/volume_backend.hpp"
#include "actors/support/feed.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/quantity.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <spdlog/spdlog.h>

#include <filesystem>
#include <map>
#include <set>

namespace troupe::kubelet {

namespace {

/// What the host holds when we come up: by pod uid.
using findings = std::map<std::string, adopted_pod>;
using findings_ptr = std::shared_ptr<const findings>;
enum feed_tag { pods_tag = 0, config_maps_tag = 1, secrets_tag = 2 };

} // namespace
} // namespace troupe::kubelet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::findings_ptr)

namespace troupe::kubelet {
namespace {

adopted_container to_adopted(const runtime::container_info& c) {
  adopted_container a;
  a.name = c.name;
  a.attempt = c.attempt;
  a.running = c.phase == runtime::container_phase::running;
  a.image_id = c.image;
  if (auto it = c.labels.find("troupe.stop-signal"); it != c.labels.end()) a.stop_signal = it->second;
  a.started_at = c.started_at;
  a.exit = {c.exit_code,           c.oom_killed ? "OOMKilled" : c.exit_code == 0 ? "Completed" : "Error",
            c.termination_message, c.started_at,
            c.finished_at,         c.id};
  return a;
}

/// Looks at everything that exists; nothing is touched.
findings look_around(const kubelet_context& ctx) {
  findings out;
  const auto& o = ctx.options;
  for (const auto& s : o.engine->sandboxes()) {
    auto& pod = out[s.id];
    pod.sandbox = true;
    if (o.network && !s.netns_path.empty()) {
      pod.ip = o.network->address(s.id);
      if (pod.ip.empty())
        if (auto r = o.network->attach(s.id, s.netns_path)) pod.ip = *r;
    } else if (s.netns_path.empty() && !o.hollow) {
      pod.ip = o.host_ip;
    }
  }
  for (const auto& c : o.engine->containers())
    // Created but never started: left over from a crash between the two, started afresh.
    if (c.phase != runtime::container_phase::created) out[c.sandbox_id].containers.push_back(to_adopted(c));
  std::error_code ec;
  for (const auto& e : std::filesystem::directory_iterator(o.data_dir + "/pods", ec))
    out[e.path().filename().string()];
  return out;
}

void remove_orphan(const kubelet_context& ctx, const std::string& uid) {
  const auto& o = ctx.options;
  if (o.network) (void)o.network->detach(uid);
  if (auto r = o.engine->remove_sandbox(uid); !r)
    component_log("kubelet")->warn("orphaned pod {}: {}", uid, r.error().message);
  if (!o.hollow)
    if (auto r = remove_pod_dir(ctx.pod_dir(uid)); !r)
      component_log("kubelet")->warn("orphaned pod {}: {}", uid, r.error().message);
}

/// Log directories are named <ns>_<pod>_<uid>.
void remove_orphaned_logs(const kubelet_context& ctx, const std::set<std::string>& known) {
  std::error_code ec;
  for (const auto& e : std::filesystem::directory_iterator(ctx.options.data_dir + "/pod-logs", ec)) {
    auto name = e.path().filename().string();
    if (!known.contains(name.substr(name.rfind('_') + 1))) std::filesystem::remove_all(e.path(), ec);
  }
}

struct followed_pod {
  caf::actor actor;
  pod_model_ptr model;
  std::set<std::string> config_maps, secrets; // `ns/name` read by its volumes
  counters_ptr counters;
  bool gone = false;
};

class kubelet_state {
public:
  static inline const char* name = "troupe.kubelet";
  explicit kubelet_state(caf::event_based_actor* self) : self_(self) {}

  void open(kubelet_options o) {
    counters_ = o.env.board->enter("node/kubelet");
    ctx_ = std::make_shared<kubelet_context>();
    ctx_->options = std::move(o);
    auto& opt = ctx_->options;
    bool threads = !opt.hollow && opt.worker_threads > 0;
    ctx_->work = make_work_pool(threads ? opt.worker_threads : 0);
    ctx_->slow = make_work_pool(threads ? limits::slow_threads : 0);
    if (!opt.hollow) ctx_->io = std::make_shared<io_thread>();
    ctx_->cluster = read_through(opt.env.state);
    auto host = opt.hollow ? hollow_host(opt) : read_host(opt.data_dir);
    ctx_->node_cpu_milli = host.cpus * 1000;
    ctx_->node_memory_bytes = host.memory_bytes;
    self_->set_down_handler([this](caf::down_msg& d) { on_down(d); });
    self_->set_exit_handler([this](caf::exit_msg& e) { stop(e.reason); });
    watch_exits();
    ctx_->prober = spawn_prober(self_, ctx_, enter("prober", prober_counters_));
    node_ = spawn_node_agent(self_, ctx_, enter("node", node_counters_));
    caf::actor me{self_};
    auto work = [ctx = ctx_, me] {
      caf::anon_send(me, findings_ptr{std::make_shared<const findings>(look_around(*ctx))});
    };
    if (!ctx_->work->post(work)) self_->quit(caf::exit_reason::unhandled_exception);
  }

  void watch_exits() {
    caf::weak_actor_ptr weak{self_->ctrl()};
    std::weak_ptr<kubelet_context> shared = ctx_;
    ctx_->options.engine->on_exit([weak, shared](const runtime::container_info& info) {
      if (auto ctx = shared.lock()) ctx->exits.fire(info.id);
      if (auto strong = caf::actor_cast<caf::strong_actor_ptr>(weak))
        caf::anon_send(caf::actor_cast<caf::actor>(strong),
                       exit_message{std::make_shared<const runtime::container_info>(info)});
    });
  }

  /// The first look around is done: now the API may tell what should be.
  void on_findings(const findings_ptr& f) {
    found_ = *f;
    const auto& env = ctx_->options.env;
    auto make = [&](const char* table, int tag) {
      return std::make_unique<feed>(env.state, env.hub, table, feed::waker(self_, tag));
    };
    pods_feed_ = make("pods", pods_tag);
    config_maps_feed_ = make("configmaps", config_maps_tag);
    secrets_feed_ = make("secrets", secrets_tag);
    for (auto* x : {pods_feed_.get(), config_maps_feed_.get(), secrets_feed_.get()})
      x->start();
    auto early = std::exchange(early_exits_, {});
    for (const auto& e : early)
      on_exit(e);
  }

  void on_wake(int tag) {
    if (tag == pods_tag) {
      if (pods_feed_->drain([this](const store::view& v) { sync_pods(v); },
                            [this](const store::event& e) { on_pod_event(e); }))
        pods_feed_->again();
      return;
    }
    auto& source = tag == config_maps_tag ? *config_maps_feed_ : *secrets_feed_;
    if (source.drain([this, tag](const store::view&) { all_sources_changed(tag); },
                     [this, tag](const store::event& e) { on_source(e, tag); }))
      source.again();
  }

  // ---------------------------------------------------------------- pods

  void sync_pods(const store::view& v) {
    std::set<std::string> present;
    v.scan("pods", {}, [&](const store::object_ptr& o) {
      if (o->meta().node_name == ctx_->options.node_name) {
        present.insert(o->meta().uid);
        follow(o);
      }
      return true;
    });
    for (auto& [uid, p] : pods_)
      if (!present.contains(uid)) tell_gone(p);
    if (!std::exchange(cleaned_, true)) clean_orphans(present);
  }

  void on_pod_event(const store::event& e) {
    if (e.current->meta().node_name != ctx_->options.node_name) return;
    if (e.type != store::event_type::deleted) return follow(e.current);
    auto it = pods_.find(e.current->meta().uid);
    if (it != pods_.end()) tell_gone(it->second);
  }

  void tell_gone(followed_pod& p) {
    if (std::exchange(p.gone, true)) return;
    caf::anon_send(p.actor, pod_gone::value);
  }

  void follow(const store::object_ptr& o) {
    auto model = read_pod(std::make_shared<const json::value>(o->parse()));
    auto& p = pods_[model->uid];
    p.model = model;
    note_sources(p);
    if (p.actor) {
      caf::anon_send(p.actor, pod_model_message{model});
      return;
    }
    start_pod(p, take_findings(model->uid));
  }

  adopted_pod take_findings(const std::string& uid) {
    auto it = found_.find(uid);
    if (it == found_.end()) return {};
    auto out = std::move(it->second);
    found_.erase(it);
    return out;
  }

  void start_pod(followed_pod& p, adopted_pod found) {
    p.actor = spawn_pod(self_, ctx_, p.model, std::move(found), caf::actor{self_},
                        enter("pod " + p.model->ns + "/" + p.model->name, p.counters));
    by_address_[p.actor.address()] = p.model->uid;
  }

  void clean_orphans(const std::set<std::string>& present) {
    std::vector<std::string> orphans;
    for (const auto& [uid, pod] : found_)
      if (!present.contains(uid)) orphans.push_back(uid);
    found_.clear();
    auto work = [ctx = ctx_, orphans, present] {
      for (const auto& uid : orphans)
        remove_orphan(*ctx, uid);
      if (ctx->options.network) ctx->options.network->keep_only({present.begin(), present.end()});
      if (!ctx->options.hollow) remove_orphaned_logs(*ctx, present);
    };
    if (!ctx_->work->post(work)) component_log("kubelet")->warn("orphaned pods not cleaned: too much work waits");
  }

  void on_exit(const exit_message& info) {
    if (!pods_feed_) {
      early_exits_.push_back(info); // the look around may have been before it
      return;
    }
    if (auto it = pods_.find(info->sandbox_id); it != pods_.end()) caf::anon_send(it->second.actor, info);
  }

  void forget(const std::string& uid) {
    auto it = pods_.find(uid);
    if (it == pods_.end()) return;
    by_address_.erase(it->second.actor.address());
    self_->demonitor(it->second.actor.address());
    pods_.erase(it);
  }

  // ---------------------------------------------------------------- ConfigMaps and Secrets that volumes show

  void note_sources(followed_pod& p) {
    auto r = volume_sources(*p.model->doc);
    p.config_maps.clear();
    p.secrets.clear();
    for (const auto& n : r.config_maps)
      p.config_maps.insert(p.model->ns + "/" + n);
    for (const auto& n : r.secrets)
      p.secrets.insert(p.model->ns + "/" + n);
  }

  void on_source(const store::event& e, int tag) {
    auto key = e.current->ns + "/" + e.current->name;
    for (const auto& [uid, p] : pods_)
      if ((tag == config_maps_tag ? p.config_maps : p.secrets).contains(key))
        caf::anon_send(p.actor, sources_changed::value);
  }

  void all_sources_changed(int tag) {
    for (const auto& [uid, p] : pods_)
      if (!(tag == config_maps_tag ? p.config_maps : p.secrets).empty())
        caf::anon_send(p.actor, sources_changed::value);
  }

  // ---------------------------------------------------------------- supervision

  /// A child died: it is started again; a pod's actor adopts what runs, like after a restart of the process.
  void on_down(const caf::down_msg& d) {
    if (stopping_) return;
    auto log = component_log("kubelet");
    if (d.source == ctx_->prober.address()) {
      log->error("prober died, starting it again");
      ctx_->prober = spawn_prober(self_, ctx_, enter("prober", prober_counters_));
      return;
    }
    if (d.source == node_.address()) {
      log->error("node agent died, starting it again");
      node_ = spawn_node_agent(self_, ctx_, enter("node", node_counters_));
      return;
    }
    auto it = by_address_.find(d.source);
    if (it == by_address_.end()) return;
    auto uid = it->second;
    by_address_.erase(it);
    if (d.reason == caf::exit_reason::normal) return;
    log->error("actor of pod {} died, starting it again", uid);
    auto p = pods_.find(uid);
    if (p == pods_.end()) return;
    bool gone = std::exchange(p->second.gone, false);
    auto all = look_around(*ctx_);
    start_pod(p->second, all[uid]);
    if (gone) tell_gone(p->second);
  }

  /// Children first; containers stay as they are.
  void stop(const caf::error& reason) {
    stopping_ = true;
    ctx_->options.engine->on_exit([](const runtime::container_info&) {});
    for (const auto& [uid, p] : pods_)
      caf::anon_send_exit(p.actor, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(node_, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(ctx_->prober, caf::exit_reason::user_shutdown);
    ctx_->prober = nullptr;
    node_ = nullptr;
    pods_.clear();
    pods_feed_.reset();
    config_maps_feed_.reset();
    secrets_feed_.reset();
    self_->quit(reason);
  }

  // ---------------------------------------------------------------- questions

  caf::typed_response_promise<stream_opened_ptr> open_stream_of(const open_stream_ptr& what) {
    auto promise = self_->make_response_promise<stream_opened_ptr>();
    stream_target target{ctx_, nullptr};
    for (const auto& [uid, p] : pods_)
      if (p.model->ns == what->ns && p.model->name == what->pod) target.pod = p.model->doc;
    // The newest status is in the store: it may be ahead of what this actor has been told.
    if (target.pod)
      if (auto now = ctx_->cluster.get("pods", what->ns, what->pod); now && meta::uid(*now) == meta::uid(*target.pod))
        target.pod = now;
    auto answer = [promise](stream_opened_ptr s) mutable { promise.deliver(std::move(s)); };
    post_answer<stream_opened_ptr>([target, what] { return open_pod_stream(target, *what); }, answer,
                                   [] {
                                     auto busy = std::make_shared<stream_opened>();
                                     busy->error = std::make_shared<const status>(
                                         errors::too_many_requests("this node is busy", 1));
                                     return stream_opened_ptr{busy};
                                   });
    return promise;
  }

  caf::typed_response_promise<std::string> stats() {
    auto promise = self_->make_response_promise<std::string>();
    std::vector<pod_ref> pods;
    for (const auto& [uid, p] : pods_)
      pods.push_back({p.model->ns, p.model->name, uid});
    auto answer = [promise](std::string s) mutable { promise.deliver(std::move(s)); };
    post_answer<std::string>([ctx = ctx_, pods, at = ctx_->now(self_)] { return stats_summary(*ctx, pods, at); },
                             answer, [] { return std::string{"{}"}; });
    return promise;
  }

  void on_answer(const std::shared_ptr<const std::function<void()>>& deliver) { (*deliver)(); }
  void touch() { counters_->touch(self_); }

private:
  /// The old entry is still held while the new one is made: that is how the board counts restarts.
  counters_ptr enter(const std::string& child, counters_ptr& slot) {
    slot = ctx_->options.env.board->enter("node/kubelet/" + child);
    return slot;
  }

  /// Promises may only be kept on the actor's thread: the worker sends the delivery back to it.
  template <class T>
  void post_answer(std::function<T()> work, std::function<void(T)> answer, std::function<T()> refused) {
    caf::actor me{self_};
    auto job = [me, work, answer] {
      auto value = work();
      auto deliver = std::make_shared<const std::function<void()>>([answer, value] { answer(value); });
      caf::anon_send(me, deliver);
    };
    if (!ctx_->slow->post(job)) answer(refused());
  }

  caf::event_based_actor* self_;
  context_ptr ctx_;
  counters_ptr counters_, prober_counters_, node_counters_;
  caf::actor node_;
  std::map<std::string, followed_pod> pods_; // by uid
  std::map<caf::actor_addr, std::string> by_address_;
  findings found_;
  std::vector<exit_message> early_exits_;
  std::unique_ptr<feed> pods_feed_, config_maps_feed_, secrets_feed_;
  bool cleaned_ = false, stopping_ = false;
};

using deliver_ptr = std::shared_ptr<const std::function<void()>>;

} // namespace
} // namespace troupe::kubelet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::deliver_ptr)

namespace troupe {

kubelet_actor spawn_kubelet(caf::actor_system& system, kubelet_options options) {
  using namespace kubelet;
  auto root = system.spawn([options = std::move(options)](caf::stateful_actor<kubelet_state>* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    auto* s = &self->state;
    s->open(options);
    return {
        [s](feed_wake, int tag) {
          s->touch();
          s->on_wake(tag);
        },
        [s](const findings_ptr& f) {
          s->touch();
          s->on_findings(f);
        },
        [s](const exit_message& e) {
          s->touch();
          s->on_exit(e);
        },
        [s](pod_finished, const std::string& uid) {
          s->touch();
          s->forget(uid);
        },
        [s](const deliver_ptr& d) { s->on_answer(d); },
        [s](const open_stream_ptr& what) {
          s->touch();
          return s->open_stream_of(what);
        },
        [s](node_stats_atom) {
          s->touch();
          return s->stats();
        },
    };
  });
  return caf::actor_cast<kubelet_actor>(root);
}

} // namespace troupe

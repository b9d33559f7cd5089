// The jobs of the pod actor: what blocks runs on the pools and comes back as a step.
#include "actors/kubelet/limits.hpp"
#include "actors/kubelet/pod/pod_status.hpp"
#include "actors/kubelet/pod_shell.hpp"
#include "actors/kubelet/spec/base64.hpp"
#include "actors/kubelet/spec/dns_planner.hpp"
#include "actors/kubelet/spec/resource_planner.hpp"
#include "actors/kubelet/start_job.hpp"
#include "actors/kubelet/stream/log_reader.hpp"
#include "actors/support/calls.hpp"
#include "actors/support/limits.hpp"
#include "api/meta/object_meta.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <spdlog/spdlog.h>

#include <csignal>
#include <cstring>
#include <filesystem>

namespace troupe::kubelet {

namespace {
pod_step guarded(const std::function<pod_step()>& work, const std::function<pod_step(const std::string&)>& refused) {
  try {
    return work();
  } catch (const std::exception& e) {
    return refused(e.what());
  }
}
} // namespace

void pod_shell::job(const std::shared_ptr<executor>& pool, std::function<pod_step()> work,
                    std::function<pod_step(const std::string&)> refused) {
  caf::actor me{self_};
  auto send = [me](pod_step step) {
    caf::anon_send(me, pod_step_ptr{std::make_shared<const pod_step>(std::move(step))});
  };
  if (!pool->post([work = std::move(work), refused, send] { send(guarded(work, refused)); }))
    send(refused("this node is busy: too many operations wait for a worker thread"));
}

pod_facts pod_shell::facts() const {
  const auto& o = ctx_->options;
  return {core_->ip(), o.host_ip, o.node_name, ctx_->node_cpu_milli, ctx_->node_memory_bytes};
}

// ---------------------------------------------------------------- volumes

/// Asks the API for every token the pod's volumes want; `then` gets the first failure or nothing.
void pod_shell::ask_tokens(std::function<void(std::optional<std::string>)> then) {
  auto wishes = token_wishes(*core_->model().doc);
  if (wishes.empty()) return then(std::nullopt);
  const auto& env = ctx_->options.env;
  const auto& m = core_->model();
  auto left = std::make_shared<std::size_t>(wishes.size());
  auto failure = std::make_shared<std::optional<std::string>>();
  auto done = [left, failure, then] {
    if (--*left == 0) then(*failure);
  };
  auto account = std::string{jq::str(*m.doc, {"spec", "serviceAccountName"}, "default")};
  auto shortest = wishes.front().expiration_s;
  for (const auto& w : wishes) {
    shortest = std::min(shortest, w.expiration_s);
    json::object spec{{"expirationSeconds", w.expiration_s},
                      {"boundObjectRef", {{"kind", "Pod"}, {"apiVersion", "v1"}, {"name", m.name}, {"uid", m.uid}}}};
    if (!w.audience.empty()) spec["audiences"] = json::array{json::value(w.audience)};
    json::value doc =
        json::object{{"kind", "TokenRequest"}, {"apiVersion", "authentication.k8s.io/v1"}, {"spec", spec}};
    auto fail = [failure, done, account](const std::string& why) {
      *failure = "failed to fetch token for service account \"" + account + "\": " + why;
      done();
    };
    self_
        ->request(env.api, troupe::limits::api_timeout,
                  calls::create(env, refs::service_accounts, m.ns, std::move(doc), account, "token"))
        .then(
            [this, key = w.key(), done, fail](const response_ptr& r) {
              if (r->code >= 300) return fail(r->error ? r->error->message : std::to_string(r->code));
              tokens_[key] = std::string{jq::str(document_of(*r), {"status", "token"})};
              done();
            },
            [fail](const caf::error&) { fail("the API did not answer"); });
  }
  auto renew = std::chrono::milliseconds{
      static_cast<std::int64_t>(static_cast<double>(shortest) * 1000 * limits::token_renew_part)};
  auto step = std::make_shared<const pod_step>([](pod_shell& s) {
    if (s.core_->ending()) return;
    s.ask_tokens([&s](std::optional<std::string> why) {
      if (!why) s.refresh_volumes();
    });
  });
  self_->delayed_send(self_, renew, pod_step_ptr{step});
}

void pod_shell::prepare_volumes() {
  if (ctx_->options.hollow) {
    caf::anon_send(caf::actor{self_}, pod_step_ptr{std::make_shared<const pod_step>([](pod_shell& s) {
                     s.perform(s.core_->on_volumes(std::nullopt, s.now()));
                   })});
    return;
  }
  ask_tokens([this](std::optional<std::string> why) {
    if (why) return perform(core_->on_volumes("MountVolume.SetUp failed : " + *why, now()));
    make_volumes_now(true);
  });
}

void pod_shell::make_volumes_now(bool first) {
  refreshing_ = true;
  auto apply = [first](std::optional<std::string> why, std::shared_ptr<const volume_places> places) -> pod_step {
    return [first, why, places](pod_shell& s) {
      s.refreshing_ = false;
      if (places) s.places_ = places;
      s.volumes_up_ = s.volumes_up_ || !why;
      if (first) s.perform(s.core_->on_volumes(why, s.now()));
      if (std::exchange(s.refresh_again_, false)) s.refresh_volumes();
    };
  };
  job(
      ctx_->work,
      [ctx = ctx_, model = core_->model_ptr(), facts = facts(), tokens = tokens_, apply] {
        auto r = make_volumes(ctx->pod_dir(model->uid), *model->doc, facts, ctx->cluster, tokens);
        if (!r) return apply(r.error().message, nullptr);
        return apply(std::nullopt, std::make_shared<const volume_places>(std::move(*r)));
      },
      [apply](const std::string& why) { return apply(why, nullptr); });
}

void pod_shell::refresh_volumes() {
  if (!volumes_up_ || core_->ending() || ctx_->options.hollow) return;
  if (refreshing_) {
    refresh_again_ = true;
    return;
  }
  make_volumes_now(false);
}

void pod_shell::remove_volumes() {
  volumes_up_ = false;
  auto step = [](const std::string& why) -> pod_step {
    return [why](pod_shell& s) {
      if (!why.empty())
        component_log("kubelet")->warn("volumes of pod {}/{}: {}", s.core_->model().ns, s.core_->model().name, why);
      s.perform(s.core_->on_volumes_removed(s.now()));
    };
  };
  job(
      ctx_->work,
      [ctx = ctx_, model = core_->model_ptr(), step] {
        if (ctx->options.hollow) return step({});
        auto r = remove_pod_dir(ctx->pod_dir(model->uid));
        return step(r ? std::string{} : r.error().message);
      },
      step);
}

// ---------------------------------------------------------------- sandbox

namespace {
runtime::sandbox_spec plan_sandbox(const kubelet_context& ctx, const pod_model& m) {
  const auto& pod = *m.doc;
  runtime::sandbox_spec s;
  s.id = m.uid;
  s.ns = m.ns;
  s.name = m.name;
  const auto& o = ctx.options;
  s.hostname = plan_hostname(pod, o.cluster_domain, o.hostname.empty() ? o.node_name : o.hostname);
  s.host_network = m.host_network;
  s.host_ipc = jq::flag(pod, {"spec", "hostIPC"});
  s.host_pid = jq::flag(pod, {"spec", "hostPID"});
  for (const auto& x : jq::arr(pod, {"spec", "securityContext", "sysctls"}))
    s.sysctls[std::string{jq::str(x, {"name"})}] = jq::str(x, {"value"});
  s.limits = plan_pod_limits(pod);
  s.qos = qos_class(pod);
  return s;
}

result<std::string> build_sandbox(kubelet_context& ctx, const pod_model& m) {
  auto made = ctx.options.engine->create_sandbox(plan_sandbox(ctx, m));
  if (!made) return made.error();
  if (m.host_network) return ctx.options.host_ip;
  if (ctx.options.hollow) return nth_address(ctx.options.pod_cidr, 1 + ++ctx.hollow_addresses);
  if (!ctx.options.network) return std::string{};
  auto ip = ctx.options.network->attach(m.uid, made->netns_path);
  if (!ip) (void)ctx.options.engine->remove_sandbox(m.uid); // tried again from the start
  return ip;
}
} // namespace

void pod_shell::create_sandbox() {
  auto step = [](bool ok, const std::string& text) -> pod_step {
    return [ok, text](pod_shell& s) { s.perform(s.core_->on_sandbox(ok, text, s.now())); };
  };
  job(
      ctx_->work,
      [ctx = ctx_, model = core_->model_ptr(), step] {
        auto r = build_sandbox(*ctx, *model);
        return r ? step(true, *r) : step(false, r.error().message);
      },
      [step](const std::string& why) { return step(false, why); });
}

void pod_shell::remove_sandbox() {
  auto step = [](const std::string& why) -> pod_step {
    return [why](pod_shell& s) {
      s.perform(s.core_->on_sandbox_removed(why.empty() ? std::nullopt : std::optional{why}, s.now()));
    };
  };
  job(
      ctx_->work,
      [ctx = ctx_, model = core_->model_ptr(), step] {
        if (ctx->options.network && !model->host_network)
          if (auto r = ctx->options.network->detach(model->uid); !r) return step(r.error().message);
        auto r = ctx->options.engine->remove_sandbox(model->uid);
        return step(r ? std::string{} : r.error().message);
      },
      step);
}

// ---------------------------------------------------------------- images

namespace {
std::optional<image_found> to_found(const runtime::image_info& i) {
  return image_found{i.id, i.config.stop_signal, i.bytes};
}

/// The registry credentials of the pod's pull secrets as one auth file; empty when there are none.
std::string pull_auth(const kubelet_context& ctx, const pod_model& m) {
  json::object auths;
  for (const auto& ref : jq::arr(*m.doc, {"spec", "imagePullSecrets"})) {
    auto secret = ctx.cluster.get("secrets", m.ns, jq::str(ref, {"name"}));
    if (!secret) continue;
    boost::system::error_code ec;
    auto doc = json::parse(decode_base64(jq::str(*secret, {"data", ".dockerconfigjson"})), ec);
    if (ec) continue;
    for (const auto& [host, entry] : jq::obj(doc, {"auths"}))
      auths[host] = entry;
  }
  return auths.empty() ? std::string{} : json::serialize(json::object{{"auths", std::move(auths)}});
}
} // namespace

void pod_shell::find_image(int i) {
  auto step = [i](const std::optional<image_found>& f) -> pod_step {
    return [i, f](pod_shell& s) { s.perform(s.core_->on_image_found(i, f, s.now())); };
  };
  job(
      ctx_->work,
      [images = ctx_->options.images, hollow = ctx_->options.hollow, image = spec(i).image, step] {
        if (hollow) return step(image_found{image, {}, 0});
        auto found = images->find(image);
        return step(found ? to_found(*found) : std::nullopt);
      },
      [step](const std::string&) { return step(std::nullopt); });
}

void pod_shell::pull_image(int i) {
  auto step = [i](const std::optional<image_found>& f, const std::string& why, wall_time began) -> pod_step {
    return [i, f, why, began](pod_shell& s) {
      auto took = std::chrono::duration_cast<std::chrono::milliseconds>(s.now() - began);
      s.perform(s.core_->on_image_pulled(i, f, why, took, s.now()));
    };
  };
  auto began = now();
  job(
      ctx_->slow,
      [ctx = ctx_, model = core_->model_ptr(), image = spec(i).image, step, began] {
        if (ctx->options.hollow) return step(image_found{image, {}, 0}, {}, began);
        auto r = ctx->options.images->pull(image, pull_auth(*ctx, *model));
        if (!r) return step(std::nullopt, r.error().message, began);
        return step(to_found(*r), {}, began);
      },
      [step, began](const std::string& why) { return step(std::nullopt, why, began); });
}

// ---------------------------------------------------------------- containers

void pod_shell::start_container(int i, int attempt) {
  auto step = [i, attempt](const std::optional<start_failed>& f) -> pod_step {
    return [i, attempt, f](pod_shell& s) {
      if (f)
        s.perform(s.core_->on_start_failed(i, attempt, f->why, f->message, s.now()));
      else
        s.perform(s.core_->on_started(i, attempt, s.now()));
    };
  };
  start_input in{
      ctx_,   core_->model_ptr(), i, attempt, core_->containers()[static_cast<std::size_t>(i)].image_id, facts(),
      places_};
  job(
      ctx_->work, [in = std::move(in), step] { return step(run_start_job(in)); },
      [step](const std::string& why) {
        return step(start_failed{start_failure::create, why});
      });
}

namespace {
int signal_number(const std::string& name) {
  if (!name.empty() && name.find_first_not_of("0123456789") == std::string::npos) return std::stoi(name.substr(0, 3));
  auto bare = name.starts_with("SIG") ? name.substr(3) : name;
  for (int n = 1; n < NSIG; ++n)
    if (auto* abbreviation = ::sigabbrev_np(n); abbreviation && bare == abbreviation) return n;
  return SIGTERM;
}

exit_record to_exit(const runtime::container_info& c) {
  exit_record e;
  e.code = c.exit_code;
  e.reason = c.oom_killed ? "OOMKilled" : c.exit_code == 0 ? "Completed" : "Error";
  e.message = c.termination_message;
  e.started = c.started_at;
  e.finished = c.finished_at;
  e.id = c.id;
  return e;
}

exit_record lost_exit(wall_time now) {
  return {137, "ContainerStatusUnknown", "The container could not be located when the pod was terminated", {}, now, {}};
}
} // namespace

void pod_shell::send_signal(int i, int attempt, const std::string& signal) {
  auto nothing = [](const std::string&) -> pod_step { return [](pod_shell&) {}; };
  job(
      ctx_->work,
      [engine = ctx_->options.engine, id = id_of(i, attempt), signal, nothing] {
        auto r = engine->signal(id, signal_number(signal));
        // A container that is gone already has told so through its exit.
        if (!r) component_log("kubelet")->debug("signal {} to {}: {}", signal, id, r.error().message);
        return nothing({});
      },
      nothing);
}

void pod_shell::inspect(int i, int attempt) {
  auto step = [i, attempt](bool running, const exit_record& e) -> pod_step {
    return [i, attempt, running, e](pod_shell& s) {
      if (running)
        s.perform(s.core_->on_still_running(i, attempt, s.now()));
      else
        s.perform(s.core_->on_exited(i, attempt, e, s.now()));
    };
  };
  job(
      ctx_->work,
      [engine = ctx_->options.engine, id = id_of(i, attempt), step, at = now()] {
        auto info = engine->inspect(id);
        if (!info) return step(false, lost_exit(at));
        return step(info->phase != runtime::container_phase::exited, to_exit(*info));
      },
      [step](const std::string&) { return step(true, {}); });
}

void pod_shell::on_exit(const runtime::container_info& info) {
  const auto& all = core_->model().containers;
  int i = 0;
  while (i < static_cast<int>(all.size()) && all[static_cast<std::size_t>(i)].name != info.name)
    ++i;
  if (i == static_cast<int>(all.size())) return;
  auto exit = to_exit(info);
  if (exit.finished == wall_time{}) exit.finished = now();
  if (exit.code == 0 || !exit.message.empty() || !spec(i).log_fallback)
    return finish_exit(i, info.attempt, std::move(exit));
  auto step = [i, attempt = info.attempt](exit_record e) -> pod_step {
    return [i, attempt, e](pod_shell& s) { s.finish_exit(i, attempt, e); };
  };
  job(
      ctx_->work,
      [step, exit, path = ctx_->log_path(core_->model(), info.name, info.attempt)]() mutable {
        exit.message = log_tail_text(path, limits::log_fallback_lines_max, limits::log_fallback_bytes_max);
        return step(std::move(exit));
      },
      [step, exit](const std::string&) { return step(exit); });
}

void pod_shell::remove_container(int i, int attempt) {
  auto nothing = [](const std::string&) -> pod_step { return [](pod_shell&) {}; };
  job(
      ctx_->work,
      [engine = ctx_->options.engine, id = id_of(i, attempt),
       log = ctx_->log_path(core_->model(), spec(i).name, attempt), nothing] {
        if (auto r = engine->remove(id); !r)
          component_log("kubelet")->warn("old container {} not removed: {}", id, r.error().message);
        std::error_code ec;
        std::filesystem::remove(log, ec);
        return nothing({});
      },
      nothing);
}

// ---------------------------------------------------------------- probes and hooks

void pod_shell::start_probes(int i, int attempt) {
  follow_probes f;
  const auto& c = core_->containers()[static_cast<std::size_t>(i)];
  f.pod = core_->model().doc;
  f.container = spec(i).doc;
  f.uid = core_->model().uid;
  f.container_id = id_of(i, attempt);
  f.pod_ip = core_->ip();
  f.index = i;
  f.attempt = attempt;
  f.started = c.started;
  f.ready = c.ready;
  f.container_started = c.started_at;
  f.pod_actor = caf::actor{self_};
  self_->send(ctx_->prober, follow_probes_ptr{std::make_shared<const follow_probes>(std::move(f))});
}

void pod_shell::stop_probes(int i) {
  self_->send(ctx_->prober, drop_probes_ptr{std::make_shared<const drop_probes>(drop_probes{core_->model().uid, i})});
}

namespace {
constexpr std::string_view probe_word(probe_kind k) {
  return k == probe_kind::startup ? "Startup" : k == probe_kind::readiness ? "Readiness" : "Liveness";
}
} // namespace

void pod_shell::on_probe_verdict(const probe_core::verdict& v) {
  if (core_->finished()) return;
  const auto& c = core_->containers()[static_cast<std::size_t>(v.key.container)];
  if (v.failed_now && c.attempt == v.key.attempt && c.at == stage::running)
    record({.what = effect_kind::event,
            .container = v.key.container,
            .warning = true,
            .name = "Unhealthy",
            .message = std::string{probe_word(v.key.kind)} + " probe failed: " + v.message});
  if (v.turned) perform(core_->on_probe(v.key.container, v.key.attempt, v.key.kind, *v.turned, now()));
}

/// postStart or preStop: exec on a slow thread, httpGet on the io thread, sleep on the clock.
void pod_shell::run_hook(int i, int attempt, bool post, std::int64_t seconds) {
  const json::value* hook = jq::find(*spec(i).doc, {"lifecycle", post ? "postStart" : "preStop"});
  auto step = [i, attempt, post](const std::optional<std::string>& failure) -> pod_step {
    return [i, attempt, post, failure](pod_shell& s) {
      s.perform(post ? s.core_->on_post_start(i, attempt, failure, s.now())
                     : s.core_->on_pre_stop(i, attempt, failure, s.now()));
    };
  };
  caf::actor me{self_};
  auto answer = [me, step](const std::optional<std::string>& failure) {
    caf::anon_send(me, pod_step_ptr{std::make_shared<const pod_step>(step(failure))});
  };
  auto limit = std::chrono::seconds{post ? 3600 : seconds};
  if (ctx_->options.hollow) return answer(std::nullopt);
  if (auto* s = jq::find(*hook, {"sleep"})) {
    auto wait = std::min(std::chrono::seconds{jq::num(*s, {"seconds"})}, limit);
    self_->delayed_send(self_, wait, pod_step_ptr{std::make_shared<const pod_step>(step(std::nullopt))});
  } else if (jq::find(*hook, {"httpGet"}) && ctx_->io) {
    // A hook has the shape of a probe.
    json::object as_probe = spec(i).doc->as_object();
    as_probe["livenessProbe"] = *hook;
    auto probe = read_probe(json::value(as_probe), probe_kind::liveness);
    probe->timeout = std::min(limit, std::chrono::seconds{30});
    probe_http(*ctx_->io, *probe, core_->ip(), [answer](const probe_outcome& o) {
      answer(o.ok ? std::nullopt : std::optional{"HTTP lifecycle hook failed - error: " + o.message});
    });
  } else {
    std::vector<std::string> argv;
    for (const auto& a : jq::arr(*hook, {"exec", "command"}))
      argv.emplace_back(a.as_string());
    if (argv.empty()) return answer("lifecycle hook of an unsupported kind");
    job(
        ctx_->slow,
        [engine = ctx_->options.engine, id = id_of(i, attempt), argv, limit, step, who = spec(i).name] {
          auto r = engine->exec_sync(id, argv, limit);
          std::string prefix = "Exec lifecycle hook for Container \"" + who + "\" failed - error: ";
          if (!r) return step(prefix + r.error().message);
          if (r->timed_out) return step(prefix + "the command did not end in time");
          if (r->exit_code != 0)
            return step(prefix + "command exited with " + std::to_string(r->exit_code) + ", message: " + r->output);
          return step(std::nullopt);
        },
        [step](const std::string& why) { return step(why); });
  }
}

} // namespace troupe::kubelet

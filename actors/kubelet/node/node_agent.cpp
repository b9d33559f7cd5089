// The actor that keeps the Node object and its Lease true.
#include "actors/kubelet/context.hpp"
#include "actors/kubelet/limits.hpp"
#include "actors/kubelet/node/host_backend.hpp"
#include "actors/support/calls.hpp"
#include "actors/support/event_recorder.hpp"
#include "actors/support/limits.hpp"
#include "api/meta/object_meta.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/stateful_actor.hpp>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace troupe::kubelet {

namespace {

using renew_lease = caf::atom_constant<caf::atom("renewlease")>;
using check_node = caf::atom_constant<caf::atom("checknode")>;
using retry_register = caf::atom_constant<caf::atom("reregister")>;

struct readings {
  host_reading host;
  std::vector<node_image> images;
};
using readings_ptr = std::shared_ptr<const readings>;

} // namespace
} // namespace troupe::kubelet

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::kubelet::readings_ptr)

namespace troupe::kubelet {
namespace {

readings take_readings(const kubelet_context& ctx) {
  readings r;
  const auto& o = ctx.options;
  if (o.hollow) {
    r.host = hollow_host(o);
    return r;
  }
  r.host = read_host(o.data_dir);
  r.host.runtime = o.engine->version();
  if (auto ok = o.engine->check_host(); !ok) r.host.fault = ok.error().message;
  for (const auto& i : o.images->list()) {
    node_image n;
    n.names = i.digests;
    n.names.insert(n.names.end(), i.references.begin(), i.references.end());
    n.bytes = i.bytes;
    if (!n.names.empty()) r.images.push_back(std::move(n));
  }
  return r;
}

class node_agent {
public:
  static inline const char* name = "troupe.kubelet.node";
  explicit node_agent(caf::event_based_actor* self) : self_(self) {}

  void open(context_ptr ctx, counters_ptr counters) {
    ctx_ = std::move(ctx);
    counters_ = std::move(counters);
    events_ = std::make_unique<event_recorder>(self_, env(), "kubelet", ctx_->options.node_name);
    read();
  }

  /// Readings block for a moment: a worker takes them.
  void read() {
    caf::actor me{self_};
    auto work = [ctx = ctx_, me] {
      caf::anon_send(me, readings_ptr{std::make_shared<const readings>(take_readings(*ctx))});
    };
    if (!ctx_->work->post(work)) self_->delayed_send(self_, limits::node_check, check_node::value);
  }

  void on_readings(const readings_ptr& r) {
    readings_ = r;
    if (uid_.empty()) return enroll();
    report();
    self_->delayed_send(self_, limits::node_check, check_node::value);
  }

  void enroll() {
    auto doc = plan_node(ctx_->options, readings_->host, readings_->images, now());
    call(calls::create(env(), refs::nodes, {}, std::move(doc)), [this](const response& r) {
      if (r.code < 300) return enrolled(document_of(r), true);
      if (r.code == 409) return fetch();
      again(r);
    });
  }

  /// The Node is there already: we come back after a restart.
  void fetch() {
    call(calls::get(env(), refs::nodes, {}, ctx_->options.node_name), [this](const response& r) {
      if (r.code >= 300) return again(r);
      auto doc = document_of(r);
      json::object labels;
      for (const auto& [k, v] : standard_labels(ctx_->options, readings_->host))
        if (jq::str(doc, {"metadata", "labels", std::string_view{k.data(), k.size()}}) != jq::view(v.as_string()))
          labels[k] = v;
      json::object change;
      if (!labels.empty()) change["metadata"] = json::object{{"labels", std::move(labels)}};
      if (jq::str(doc, {"spec", "podCIDR"}).empty() && !ctx_->options.pod_cidr.empty())
        change["spec"] = json::object{{"podCIDR", ctx_->options.pod_cidr},
                                      {"podCIDRs", json::array{json::value(ctx_->options.pod_cidr)}}};
      if (!change.empty())
        call(calls::merge_patch(env(), refs::nodes, {}, ctx_->options.node_name, std::move(change)),
             [](const response&) {});
      enrolled(std::move(doc), false);
    });
  }

  void enrolled(json::value doc, bool fresh) {
    uid_ = std::string{meta::uid(doc)};
    retry_ = {};
    about_ = json::object{{"apiVersion", "v1"},
                          {"kind", "Node"},
                          {"metadata", {{"name", ctx_->options.node_name}, {"uid", ctx_->options.node_name}}}};
    events_->record(about_, "Normal", "Starting", "Starting kubelet.");
    auto* s = jq::find(doc, {"status"});
    status_ = s ? *s : json::value(json::object{});
    reported_at_ = fresh ? now() : wall_time{};
    report();
    renew();
    self_->delayed_send(self_, limits::node_check, check_node::value);
  }

  /// On change, and every five minutes.
  void report() {
    if (reporting_) return;
    auto next = plan_node_status(ctx_->options, readings_->host, readings_->images, status_, now());
    if (!node_status_differs(status_, next) && now() - reported_at_ < limits::node_report) return;
    reporting_ = true;
    json::value patch = json::object{{"status", next}};
    call(calls::strategic_patch(env(), refs::nodes, {}, ctx_->options.node_name, std::move(patch), "status"),
         [this](const response& r) {
           reporting_ = false;
           if (r.code == 404) return lost();
           if (r.code >= 300) return complain("status of the node", r);
           reported_at_ = now();
           auto doc = document_of(r);
           if (auto* s = jq::find(doc, {"status"})) status_ = *s;
         });
  }

  /// Someone deleted the Node: register anew.
  void lost() {
    uid_.clear();
    enroll();
  }

  void renew() {
    self_->delayed_send(self_, limits::lease_renew, renew_lease::value);
    auto lease = plan_lease(ctx_->options, uid_, now());
    json::value patch = json::object{{"spec", lease["spec"]}};
    auto create = [this, lease] {
      call(calls::create(env(), refs::leases, "kube-node-lease", lease), [this](const response& r) {
        if (r.code >= 300 && r.code != 409) complain("lease of the node", r);
        has_lease_ = r.code < 300 || r.code == 409;
      });
    };
    if (!has_lease_ && first_lease_) {
      first_lease_ = false;
      return create();
    }
    call(calls::merge_patch(env(), refs::leases, "kube-node-lease", ctx_->options.node_name, std::move(patch)),
         [this, create](const response& r) {
           if (r.code == 404) return create();
           if (r.code >= 300) complain("lease of the node", r);
         });
  }

  void again(const response& r) {
    complain("registration of the node", r);
    retry_ = std::clamp<std::chrono::milliseconds>(2 * retry_, limits::api_retry_first, limits::api_retry_max);
    self_->delayed_send(self_, retry_, retry_register::value);
  }

  void touch() { counters_->touch(self_); }

private:
  const component_env& env() const { return ctx_->options.env; }
  wall_time now() const { return ctx_->now(self_); }

  void complain(std::string_view what, const response& r) {
    component_log("kubelet")->warn("{} not written: {}", what, r.error ? r.error->message : std::to_string(r.code));
  }

  void call(request_ptr req, std::function<void(const response&)> then) {
    self_->request(env().api, troupe::limits::api_timeout, std::move(req))
        .then([then](const response_ptr& r) { then(*r); }, [then](const caf::error&) { then(response{.code = 504}); });
  }

  caf::event_based_actor* self_;
  context_ptr ctx_;
  counters_ptr counters_;
  std::unique_ptr<event_recorder> events_;
  readings_ptr readings_;
  json::value about_, status_;
  std::string uid_;
  wall_time reported_at_{};
  bool reporting_ = false, has_lease_ = false, first_lease_ = true;
  std::chrono::milliseconds retry_{0};
};

} // namespace

caf::actor spawn_node_agent(caf::event_based_actor* parent, context_ptr ctx, counters_ptr counters) {
  return parent->spawn<caf::monitored>([ctx, counters](caf::stateful_actor<node_agent>* self) -> caf::behavior {
    self->set_default_handler(caf::drop);
    auto* s = &self->state;
    s->open(ctx, counters);
    return {
        [s](const readings_ptr& r) {
          s->touch();
          s->on_readings(r);
        },
        [s](check_node) {
          s->touch();
          s->read();
        },
        [s](renew_lease) {
          s->touch();
          s->renew();
        },
        [s](retry_register) {
          s->touch();
          s->enroll();
        },
    };
  });
}

} // namespace troupe::kubelet

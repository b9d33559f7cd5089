// Streams of pods: logs as a chunked body; exec, attach and port-forward over WebSocket.
#include "actors/apiserver/authorize.hpp"
#include "actors/apiserver/front.hpp"
#include "actors/apiserver/stream_bridge.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>

#include <charconv>
#include <optional>

namespace troupe::apiserver {

namespace {

constexpr std::chrono::seconds open_timeout{30};
constexpr std::string_view v5 = "v5.channel.k8s.io", v4 = "v4.channel.k8s.io";

bool truthy(std::string_view v) { return v == "true" || v == "1"; }

result<std::int64_t> number(const request& r, std::string_view key) {
  const auto text = r.param(key);
  if (text.empty()) return std::int64_t{-1};
  std::int64_t n = 0;
  const auto got = std::from_chars(text.data(), text.data() + text.size(), n);
  if (got.ec != std::errc{} || got.ptr != text.data() + text.size() || n < 0)
    return errors::bad_request(std::string(key) + ": \"" + std::string(text) +
                               "\" must be a number that is not negative");
  return n;
}

std::vector<std::string> container_names(const json::value& pod) {
  std::vector<std::string> out;
  for (const char* list : {"containers", "initContainers", "ephemeralContainers"})
    for (const auto& c : jq::arr(pod, {"spec", list}))
      out.emplace_back(jq::str(c, {"name"}));
  return out;
}

/// The container a stream is about: named, annotated as default, or the only one.
result<std::string> choose_container(const request& r, const json::value& pod) {
  const std::string asked{r.param("container")};
  const auto all = container_names(pod);
  if (!asked.empty()) {
    for (const auto& n : all)
      if (n == asked) return asked;
    return errors::bad_request("container " + asked + " is not valid for pod " + r.name);
  }
  if (jq::arr(pod, {"spec", "containers"}).size() == 1) return all.front();
  const auto preferred = jq::str(pod, {"metadata", "annotations", "kubectl.kubernetes.io/default-container"});
  for (const auto& n : all)
    if (n == preferred && !preferred.empty()) return n;
  std::string choices;
  for (const auto& c : jq::arr(pod, {"spec", "containers"}))
    choices.append(choices.empty() ? "" : " ").append(jq::str(c, {"name"}));
  return errors::bad_request("a container name must be specified for pod " + r.name + ", choose one of: [" + choices +
                             "]");
}

result<open_stream> read_log_options(const request& r) {
  open_stream o;
  o.what = open_stream::kind::logs;
  o.follow = truthy(r.param("follow"));
  o.previous = truthy(r.param("previous"));
  o.timestamps = truthy(r.param("timestamps"));
  o.since_time = r.param("sinceTime");
  for (auto [key, where] :
       {std::pair{"tailLines", &o.tail_lines}, {"limitBytes", &o.limit_bytes}, {"sinceSeconds", &o.since_seconds}}) {
    auto n = number(r, key);
    if (!n) return n.error();
    *where = *n;
  }
  if (o.since_seconds >= 0 && !o.since_time.empty())
    return errors::bad_request("at most one of `sinceTime` or `sinceSeconds` may be specified");
  return o;
}

result<open_stream> read_stream_options(const request& r, const stream_ask& v) {
  open_stream o;
  if (r.subresource == "portforward") {
    o.what = open_stream::kind::port_forward;
    return o;
  }
  o.what = r.subresource == "exec" ? open_stream::kind::exec : open_stream::kind::attach;
  for (const auto& [k, val] : r.query)
    if (k == "command") o.command.push_back(val);
  o.in = truthy(r.param("stdin"));
  o.out = truthy(r.param("stdout"));
  o.err = truthy(r.param("stderr"));
  o.tty = truthy(r.param("tty"));
  if (o.tty) o.err = false;
  if (o.what == open_stream::kind::exec && o.command.empty())
    return errors::bad_request("you must specify at least 1 command for the container");
  if (!o.in && !o.out && !o.err) return errors::bad_request("you must specify at least 1 of stdin, stdout, stderr");
  return o;
}

bool offers(std::string_view list, std::string_view wanted) {
  while (!list.empty()) {
    const auto end = list.find(',');
    auto one = list.substr(0, end);
    list = end == std::string_view::npos ? std::string_view{} : list.substr(end + 1);
    while (!one.empty() && one.front() == ' ')
      one.remove_prefix(1);
    while (!one.empty() && one.back() == ' ')
      one.remove_suffix(1);
    if (one == wanted) return true;
  }
  return false;
}

/// kubectl falls back to this when its WebSocket was refused, and shows the user this answer only.
bool asks_spdy(const stream_ask& v) {
  const auto& wanted = v.upgrade;
  return wanted.size() >= 4 && (wanted[0] | 32) == 's' && (wanted[1] | 32) == 'p' && (wanted[2] | 32) == 'd' &&
         (wanted[3] | 32) == 'y';
}

/// Which protocol the upgrade speaks, or what to tell a client that offers none of ours.
result<std::string> choose_protocol(const stream_ask& v, const request& r) {
  if (!v.websocket && r.subresource == "portforward")
    return errors::bad_request(
        "kubectl port-forward needs SPDY, which this server does not speak yet; it forwards over "
        "WebSocket with v4.channel.k8s.io and the ports in the query. A Service of type NodePort, "
        "or kubectl exec, reaches the pod meanwhile");
  if (!v.websocket) {
    auto s = errors::bad_request(
        "this server speaks WebSocket (v5.channel.k8s.io, v4.channel.k8s.io) for " + r.subresource +
        ", not SPDY: use kubectl 1.30 or newer, or set KUBECTL_REMOTE_COMMAND_WEBSOCKETS=true with kubectl 1.29");
    return s;
  }
  const std::string_view offered = v.protocols;
  if (r.subresource == "portforward" && offers(offered, "SPDY/3.1+portforward.k8s.io"))
    return std::string("SPDY/3.1+portforward.k8s.io");
  if (offers(offered, v5) && r.subresource != "portforward") return std::string(v5);
  if (offers(offered, v4)) return std::string(v4);
  return errors::bad_request(
      "none of the offered WebSocket protocols is known here; known: v5.channel.k8s.io, v4.channel.k8s.io");
}

using opened_fn = std::function<void(stream_opened_ptr)>;

/// Looks whether a stream to the container would open, by one that changes nothing: no input, no new process.
open_stream harmless(open_stream o) {
  o.what = open_stream::kind::attach;
  o.command.clear();
  o.in = false;
  o.out = true;
  o.err = o.tty = false;
  return o;
}

/// Asks the node's kubelet for a stream; `done` is called once, from an actor's thread.
void ask_node(caf::actor_system& sys, kubelet_actor door, open_stream o, std::string node, opened_fn done) {
  auto req = std::make_shared<const open_stream>(std::move(o));
  sys.spawn([door = std::move(door), req, node, done](caf::event_based_actor* self) {
    self->request(door, open_timeout, open_stream_ptr(req))
        .then([done](const stream_opened_ptr& got) { done(got); },
              [done, node](const caf::error&) {
                auto failed = std::make_shared<stream_opened>();
                failed->error = std::make_shared<const status>(
                    errors::unavailable("the kubelet of node " + node + " does not answer"));
                done(failed);
              });
  });
}

void send_log(http::exchange& x, const stream_opened_ptr& got) {
  if (got->error) return send_status(x, *got->error);
  bridge_log(x.stream(200, "text/plain", {}), got->stream);
}

} // namespace

void stream_call(caf::actor_system& sys, services_ptr s, const stream_ask& v, http::exchange& x, const request& r) {
  const auto state = s->view();
  if (auto ok = authorize(*s, r, rbac_verb(r, v.method), *state); !ok) return send_status(x, ok.error());
  const bool log = r.subresource == "log";
  if (!log && r.subresource != "exec" && r.subresource != "attach" && r.subresource != "portforward") {
    status st;
    st.code = 501;
    st.reason = "NotImplemented";
    st.message = "the " + r.subresource + " subresource of " + r.plural + " is not offered by this server yet";
    return send_status(x, st);
  }
  const auto pod = state->get("pods", r.ns, r.name);
  if (!pod) return send_status(x, errors::not_found({"", "pods"}, r.name));
  const auto doc = pod->parse();
  auto options = log ? read_log_options(r) : read_stream_options(r, v);
  if (!options) return send_status(x, options.error());
  options->ns = r.ns;
  options->pod = r.name;
  if (options->what != open_stream::kind::port_forward) {
    auto container = choose_container(r, doc);
    if (!container) return send_status(x, container.error());
    options->container = *container;
  }
  const auto& node = pod->meta().node_name;
  if (node.empty()) {
    if (log)
      return send_status(x, errors::bad_request("container \"" + options->container + "\" in pod \"" + r.name +
                                                "\" is waiting to start: pod is not scheduled"));
    return send_status(x, errors::bad_request("pod " + r.name + " does not have a host assigned"));
  }
  std::string protocol;
  std::optional<status> unspoken; // told only when nothing else stands in the way of the stream
  if (!log) {
    auto chosen = choose_protocol(v, r);
    if (chosen)
      protocol = *chosen;
    else if (asks_spdy(v) && options->what != open_stream::kind::port_forward)
      unspoken = chosen.error();
    else
      return send_status(x, chosen.error());
  }
  auto door = s->options.nodes ? s->options.nodes->find(node) : std::nullopt;
  if (!door) return send_status(x, errors::unavailable("the kubelet of node " + node + " is not connected"));
  count(*s, verb::connect, 200);
  if (options->what == open_stream::kind::port_forward)
    return forward_ports(sys, *door, node, *options, r, x, protocol);
  auto later = x.defer_any();
  if (unspoken) {
    return ask_node(sys, *door, harmless(std::move(*options)), node, [later, why = *unspoken](stream_opened_ptr got) {
      if (got->stream) got->stream->close();
      later([got, why](http::exchange& ex) { send_status(ex, got->error ? *got->error : why); });
    });
  }
  const auto shape = *options;
  ask_node(sys, *door, std::move(*options), node, [later, log, protocol, shape](stream_opened_ptr got) {
    later([got, log, protocol, shape](http::exchange& ex) {
      if (log) return send_log(ex, got);
      if (got->error) return send_status(ex, *got->error);
      ex.upgrade(protocol, [got, protocol, shape](http::web_socket_ptr ws) {
        bridge_channels(ws, got->stream, shape, protocol == v5);
      });
    });
  });
}

} // namespace troupe::apiserver

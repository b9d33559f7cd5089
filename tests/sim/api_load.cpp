#include "tests/sim/api_load.hpp"

#include "actors/support/calls.hpp"
#include "api/json.hpp"

namespace troupe::sim {

namespace {

json::value deployment(const std::string& name, int replicas) {
  return json::parse(R"({"apiVersion":"apps/v1","kind":"Deployment","metadata":{"name":")" + name +
                     R"(","namespace":"default"},"spec":{"replicas":)" + std::to_string(replicas) +
                     R"(,"selector":{"matchLabels":{"app":")" + name +
                     R"("}},"template":{"metadata":{"labels":{"app":")" + name +
                     R"("}},"spec":{"containers":[{"name":"c","image":"sim/app:1"}]}}}})");
}

json::value replicas_patch(int replicas) {
  return json::parse(R"({"spec":{"replicas":)" + std::to_string(replicas) + "}}");
}

json::value config_map(const std::string& name, std::uint64_t n) {
  return json::parse(R"({"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":")" + name +
                     R"(","namespace":"default"},"data":{"n":")" + std::to_string(n) + R"("}})");
}

json::value data_patch(std::uint64_t n) { return json::parse(R"({"data":{"n":")" + std::to_string(n) + R"("}})"); }

} // namespace

api_load::api_load(cluster& c, api_load_options o)
    : cluster_(c), options_(o), random_(c.form.seed, "api"), made_(o.deployments) {}

component_env api_load::admin() const {
  component_env e;
  e.who.user = "simulated-admin";
  e.who.groups = {"system:masters", "system:authenticated"};
  return e;
}

void api_load::start() {
  for (unsigned i = 1; i <= options_.clients; ++i)
    cluster_.w.in(random_.around(options_.think), [this, i] { config_map_step(i); });
  for (unsigned i = 0; i < options_.deployments; ++i)
    cluster_.w.in(random_.around(options_.think), [this, i] { scale_step(i); });
}

void api_load::acked(member_id at, const std::string& table, const response& r) {
  if (!r.object) return;
  acknowledged a;
  a.member = at;
  a.key = cluster_.r.log.name(table + "/" + r.object->ns + "/" + r.object->name);
  a.rev = r.object->mod;
  a.content = hash_of(r.object->bytes);
  cluster_.r.acked(a);
}

/// `then` is called exactly once: with the answer, or with code 0 when none came in time.
void api_load::send(const request_ptr& r, std::function<void(int, const response*)> then) {
  auto* m = cluster_.any(random_);
  if (!m) return then(0, nullptr);
  auto open = std::make_shared<std::function<void(int, const response*)>>(std::move(then));
  ++open_;
  const auto end = [this, open](int code, const response* answer) {
    if (!*open) return;
    --open_;
    std::exchange(*open, nullptr)(code, answer);
  };
  cluster_.w.in(options_.patience, [end] { end(0, nullptr); });
  auto table = r->plural;
  if (!r->group.empty()) table += "." + r->group;
  const bool keeps = r->what != verb::delete_;
  cluster_.call(*m, r, [this, end, table, keeps, at = m->id()](const response_ptr& answer) {
    if (keeps && answer->code < 300) acked(at, table, *answer);
    end(answer->code, answer.get());
  });
}

void api_load::config_map_step(std::uint64_t client) {
  if (stopped_) return;
  auto& n = names_[client];
  const auto name = "c" + std::to_string(client) + "-" + std::to_string(n % 8);
  const auto dice = random_.below(10);
  request_ptr r;
  if (dice < 5) {
    r = calls::create(admin(), refs::config_maps, "default", config_map(name, n));
  } else if (dice < 8) {
    r = calls::merge_patch(admin(), refs::config_maps, "default", name, data_patch(n));
  } else {
    r = calls::remove(admin(), refs::config_maps, "default", name);
  }
  ++n;
  send(r, [this, client](int, const response*) {
    cluster_.w.in(random_.around(options_.think), [this, client] { config_map_step(client); });
  });
}

void api_load::scale_step(unsigned i) {
  if (stopped_) return;
  const auto name = "d" + std::to_string(i + 1);
  const auto replicas = static_cast<int>(random_.below(options_.replicas_max + 1));
  const auto again = [this, i](instant after) { cluster_.w.in(after, [this, i] { scale_step(i); }); };
  if (made_[i] == 0)
    return send(calls::create(admin(), refs::deployments, "default", deployment(name, replicas)),
                [this, i, again](int code, const response*) {
                  made_[i] = code == 201 || code == 409;
                  again(std::chrono::seconds(made_[i] ? 10 : 1));
                });
  send(calls::merge_patch(admin(), refs::deployments, "default", name, replicas_patch(replicas)),
       [this, again](int, const response*) { again(random_.around(options_.scale_every)); });
}

std::string api_load::missing(const store::view& v) const {
  for (unsigned i = 0; i < made_.size(); ++i) {
    if (!made_[i]) continue;
    const auto name = "d" + std::to_string(i + 1);
    const auto o = v.get("deployments.apps", "default", name);
    if (!o) return "deployment " + name;
    const auto wanted = jq::num(o->parse(), {"spec", "replicas"}, 1);
    std::int64_t running = 0, other = 0;
    v.scan("pods", "default", [&](const store::object_ptr& p) {
      const auto* app = p->meta().label("app");
      if (!app || *app != name) return true;
      const bool good = !p->meta().deleting && jq::str(p->parse(), {"status", "phase"}) == "Running";
      ++(good ? running : other);
      return true;
    });
    if (running != wanted || other != 0)
      return "deployment " + name + " wants " + std::to_string(wanted) + " pods, " + std::to_string(running) +
             " run, " + std::to_string(other) + " are in another state";
  }
  return {};
}

} // namespace troupe::sim

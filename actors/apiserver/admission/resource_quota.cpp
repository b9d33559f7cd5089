// ResourceQuota: a create that would exceed a quota of its namespace is refused.
//
// Usage is counted from the view; status.used is rewritten in the same transaction and compared at apply, so creates
// of one namespace that count against a quota happen one after another.
#include "actors/apiserver/admission/admission.hpp"
#include "api/meta/quantity.hpp"

#include <functional>
#include <map>

namespace troupe::apiserver::plugins {

namespace {

using amounts = std::map<std::string, quantity, std::less<>>;

void add(amounts& to, std::string_view name, const quantity& q) {
  auto it = to.find(name);
  if (it == to.end())
    to.emplace(name, q);
  else
    it->second += q;
}

bool is_over(const json::value& pod) {
  const auto phase = jq::str(pod, {"status", "phase"});
  return phase == "Succeeded" || phase == "Failed";
}

amounts usage_of_pod(const json::value& pod) {
  amounts out;
  add(out, "count/pods", quantity::from_units(1));
  if (is_over(pod)) return out;
  add(out, "pods", quantity::from_units(1));
  for (const auto& c : jq::arr(pod, {"spec", "containers"})) {
    for (const auto& kv : jq::obj(c, {"resources", "requests"})) {
      const auto q = quantity::parse_or_zero(&kv.value());
      const std::string name{jq::view(kv.key())};
      add(out, "requests." + name, q);
      if (name == "cpu" || name == "memory" || name == "ephemeral-storage") add(out, name, q);
    }
    for (const auto& kv : jq::obj(c, {"resources", "limits"}))
      add(out, "limits." + std::string(jq::view(kv.key())), quantity::parse_or_zero(&kv.value()));
  }
  return out;
}

amounts usage_of_service(const json::value& s) {
  amounts out;
  add(out, "services", quantity::from_units(1));
  add(out, "count/services", quantity::from_units(1));
  const auto type = jq::str(s, {"spec", "type"});
  const auto ports = static_cast<std::int64_t>(jq::arr(s, {"spec", "ports"}).size());
  if (type == "NodePort" || type == "LoadBalancer") add(out, "services.nodeports", quantity::from_units(ports));
  if (type == "LoadBalancer") add(out, "services.loadbalancers", quantity::from_units(1));
  return out;
}

amounts usage_of(const schema::resource& res, const json::value& o) {
  if (res.store_key == "pods") return usage_of_pod(o);
  if (res.store_key == "services") return usage_of_service(o);
  amounts out;
  const auto dotted = res.group.empty() ? res.plural : res.plural + "." + res.group;
  add(out, "count/" + dotted, quantity::from_units(1));
  if (res.group.empty() &&
      (res.plural == "configmaps" || res.plural == "secrets" || res.plural == "replicationcontrollers" ||
       res.plural == "resourcequotas" || res.plural == "persistentvolumeclaims"))
    add(out, res.plural, quantity::from_units(1));
  if (res.store_key == "persistentvolumeclaims") {
    const auto q = quantity::parse_or_zero(jq::find(o, {"spec", "resources", "requests", "storage"}));
    add(out, "requests.storage", q);
    const auto cls = jq::str(o, {"spec", "storageClassName"});
    if (!cls.empty()) {
      add(out, std::string(cls) + ".storageclass.storage.k8s.io/requests.storage", q);
      add(out, std::string(cls) + ".storageclass.storage.k8s.io/persistentvolumeclaims", quantity::from_units(1));
    }
  }
  return out;
}

bool in_scope(const json::value& quota, const schema::resource& res, const json::value& o) {
  const auto& scopes = jq::arr(quota, {"spec", "scopes"});
  if (scopes.empty()) return true;
  if (res.store_key != "pods") return false;
  const bool best = kinds::pod_qos_class(o) == "BestEffort";
  const bool terminating = jq::find(o, {"spec", "activeDeadlineSeconds"}) != nullptr;
  for (const auto& s : scopes) {
    if (s == "BestEffort" && !best) return false;
    if (s == "NotBestEffort" && best) return false;
    if (s == "Terminating" && !terminating) return false;
    if (s == "NotTerminating" && terminating) return false;
  }
  return true;
}

std::string list_of(const amounts& all, const std::vector<std::string>& names) {
  std::string out;
  for (const auto& n : names) {
    auto it = all.find(n);
    out.append(out.empty() ? "" : ",").append(n).append("=").append(it == all.end() ? "0" : it->second.to_string());
  }
  return out;
}

/// The containers that leave out what the quota counts, as the refusal names them.
std::string lacking(const json::value& pod, const json::object& hard) {
  std::string out;
  for (const auto& kv : hard) {
    const std::string name{jq::view(kv.key())};
    const bool limit = name.rfind("limits.", 0) == 0;
    const bool request = name == "cpu" || name == "memory" || name == "requests.cpu" || name == "requests.memory";
    if (!limit && !request) continue;
    const auto resource = limit ? name.substr(7) : name.rfind("requests.", 0) == 0 ? name.substr(9) : name;
    std::string who;
    for (const auto& c : jq::arr(pod, {"spec", "containers"}))
      if (!jq::find(c, {"resources", limit ? "limits" : "requests", resource}))
        who.append(who.empty() ? "" : ",").append(jq::str(c, {"name"}));
    if (!who.empty()) out.append(out.empty() ? "" : "; ").append(name + " for: " + who);
  }
  return out;
}

result<void> charge(admission_context& c, const store::object& o, json::value& quota, const json::value& obj) {
  const auto asked = usage_of(c.res, obj);
  const auto& hard = jq::obj(quota, {"spec", "hard"});
  std::vector<std::string> counted;
  for (const auto& kv : hard)
    if (asked.count(jq::view(kv.key()))) counted.emplace_back(jq::view(kv.key()));
  const auto refused = [&](const std::string& why) {
    return errors::forbidden(c.about(), jq::str(obj, {"metadata", "name"}), why);
  };
  if (c.res.store_key == "pods")
    if (const auto who = lacking(obj, hard); !who.empty())
      return refused("failed quota: " + o.name + ": must specify " + who);
  if (counted.empty()) return {};
  amounts used, limited;
  c.e.state.scan(c.res.store_key, c.e.req.ns, [&](const store::object_ptr& each) {
    const auto doc = each->parse();
    if (in_scope(quota, c.res, doc))
      for (const auto& [name, q] : usage_of(c.res, doc))
        add(used, name, q);
    return true;
  });
  std::vector<std::string> exceeded;
  for (const auto& n : counted) {
    const auto bound = quantity::parse_or_zero(hard.if_contains(n));
    limited.emplace(n, bound);
    const auto now = used.count(n) ? used.at(n) : quantity{};
    if (now + asked.at(n) > bound) exceeded.push_back(n);
  }
  if (!exceeded.empty())
    return refused("exceeded quota: " + o.name + ", requested: " + list_of(asked, exceeded) +
                   ", used: " + list_of(used, exceeded) + ", limited: " + list_of(limited, exceeded));
  for (const auto& n : counted) {
    const auto now = used.count(n) ? used.at(n) : quantity{};
    jq::at(quota, {"status", "hard", n}) = limited.at(n).to_string();
    jq::at(quota, {"status", "used", n}) = (now + asked.at(n)).to_string();
  }
  if (c.e.dry_run) return {};
  const auto* res = schema::registry::get().find("", "v1", "resourcequotas");
  return add_put(c.plan.change, *res, quota, o.mod);
}

} // namespace

result<void> resource_quota(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create || c.e.state.count("resourcequotas", {}) == 0) return {};
  std::vector<store::object_ptr> quotas;
  c.e.state.scan("resourcequotas", c.e.req.ns, [&](const store::object_ptr& o) {
    quotas.push_back(o);
    return true;
  });
  for (const auto& o : quotas) {
    auto quota = o->parse();
    if (!in_scope(quota, c.res, obj)) continue;
    if (auto r = charge(c, *o, quota, obj); !r) return r;
  }
  return {};
}

} // namespace troupe::apiserver::plugins

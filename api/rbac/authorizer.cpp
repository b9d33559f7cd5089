#include "api/rbac/authorizer.hpp"

#include "api/meta/object_meta.hpp"
#include "api/rbac/policy_rule.hpp"

#include <algorithm>
#include <map>
#include <unordered_map>

namespace troupe::rbac {

namespace {

constexpr std::string_view superuser_group = "system:masters";
constexpr std::string_view account_prefix = "system:serviceaccount:";

struct sv_hash {
  using is_transparent = void;
  std::size_t operator()(std::string_view s) const noexcept { return std::hash<std::string_view>{}(s); }
};
template <class T>
using by_name = std::unordered_map<std::string, T, sv_hash, std::equal_to<>>;

struct role {
  std::string name;
  bool cluster = false;
  std::vector<compiled_rule> rules;
};

struct subject {
  std::string kind, name, ns;
};

/// A binding of one subject, resolved to its role.
struct grant {
  std::string ns; // empty: everywhere
  std::string binding;
  std::shared_ptr<const role> of;
  subject to;
};

std::string scoped(std::string_view ns, std::string_view name) { return std::string{ns}.append("/").append(name); }

std::shared_ptr<const role> make_role(const json::value& o, bool cluster) {
  auto r = std::make_shared<role>();
  r->name = meta::name(o);
  r->cluster = cluster;
  for (const auto& rule : jq::arr(o, {"rules"}))
    r->rules.emplace_back(policy_rule::from_json(rule));
  return r;
}

} // namespace

/// Grants by subject: a decision looks at the grants of the user and of each group, and at no others.
struct rbac_rules::impl {
  by_name<std::shared_ptr<const role>> roles; // `ns/name`, cluster roles as `/name`
  by_name<std::vector<grant>> users, groups;

  void bind(const json::value& o, bool cluster) {
    const auto kind = jq::str(o, {"roleRef", "kind"});
    const std::string ns{cluster ? std::string_view{} : meta::ns(o)};
    const auto it = roles.find(
        scoped(kind == "ClusterRole" ? std::string_view{} : std::string_view{ns}, jq::str(o, {"roleRef", "name"})));
    if (it == roles.end()) return;
    for (const auto& s : jq::arr(o, {"subjects"})) {
      subject to{std::string{jq::str(s, {"kind"})}, std::string{jq::str(s, {"name"})},
                 std::string{jq::str(s, {"namespace"})}};
      if (to.ns.empty()) to.ns = ns;
      grant g{ns, std::string{meta::name(o)}, it->second, to};
      if (to.kind == "Group")
        groups[to.name].push_back(std::move(g));
      else if (to.kind == "User")
        users[to.name].push_back(std::move(g));
      else if (to.kind == "ServiceAccount")
        users[std::string{account_prefix} + to.ns + ":" + to.name].push_back(std::move(g));
    }
  }

  /// Calls `f(grant)` for each grant of `who` in `ns`, cluster-wide ones first, until it returns true.
  template <class F>
  bool any_grant(const identity& who, std::string_view ns, F&& f) const {
    for (const bool everywhere : {true, false}) {
      if (!everywhere && ns.empty()) break;
      const auto look = [&](const by_name<std::vector<grant>>& table, std::string_view subject_name) {
        const auto it = table.find(subject_name);
        if (it == table.end()) return false;
        return std::any_of(it->second.begin(), it->second.end(),
                           [&](const grant& g) { return (everywhere ? g.ns.empty() : g.ns == ns) && f(g); });
      };
      if (look(users, who.user)) return true;
      for (const auto& g : who.groups)
        if (look(groups, g)) return true;
    }
    return false;
  }

  const grant* find(const attributes& a, const identity& who) const {
    const auto bit = verb_bit(a.verb);
    // `plural/sub` on the stack: a decision does not allocate.
    char buffer[256];
    std::string_view combined = a.resource;
    std::string large;
    if (!a.subresource.empty()) {
      const auto size = a.resource.size() + 1 + a.subresource.size();
      if (size <= sizeof buffer) {
        auto* p = std::copy(a.resource.begin(), a.resource.end(), buffer);
        *p++ = '/';
        std::copy(a.subresource.begin(), a.subresource.end(), p);
        combined = {buffer, size};
      } else {
        combined = large = std::string{a.resource}.append("/").append(a.subresource);
      }
    }
    const grant* found = nullptr;
    any_grant(who, a.path.empty() ? a.ns : std::string_view{}, [&](const grant& g) {
      const auto& rules = g.of->rules;
      if (std::none_of(rules.begin(), rules.end(), [&](const compiled_rule& r) { return r.allows(a, bit, combined); }))
        return false;
      found = &g;
      return true;
    });
    return found;
  }
};

rbac_rules::rbac_rules() : impl_(std::make_unique<impl>()) {}
rbac_rules::~rbac_rules() = default;

bool rbac_rules::allows(const attributes& a, const identity& who) const noexcept {
  return who.in_group(superuser_group) || impl_->find(a, who) != nullptr;
}

decision rbac_rules::authorize(const attributes& a, const identity& who) const {
  if (who.in_group(superuser_group)) return {true, {}};
  const auto* g = impl_->find(a, who);
  if (!g) return {false, {}};
  std::string to = "\"" + g->to.name + (g->to.kind == "ServiceAccount" ? "/" + g->to.ns : "") + "\"";
  std::string binding =
      g->ns.empty() ? "ClusterRoleBinding \"" + g->binding + "\"" : "RoleBinding \"" + g->binding + "/" + g->ns + "\"";
  return {true, "RBAC: allowed by " + binding + " of " + (g->of->cluster ? "ClusterRole" : "Role") + " \"" +
                    g->of->name + "\" to " + g->to.kind + " " + to};
}

std::vector<policy_rule> rbac_rules::rules_for(const identity& who, std::string_view ns) const {
  std::vector<policy_rule> out;
  if (who.in_group(superuser_group)) {
    out.push_back({{"*"}, {"*"}, {"*"}, {}, {}});
    out.push_back({{"*"}, {}, {}, {}, {"*"}});
  }
  impl_->any_grant(who, ns, [&](const grant& g) {
    for (const auto& r : g.of->rules)
      out.push_back(r.rule);
    return false;
  });
  return out;
}

std::vector<policy_rule> rbac_rules::uncovered(const identity& who, std::string_view ns,
                                               std::span<const policy_rule> wanted) const {
  std::vector<policy_rule> out;
  if (who.in_group(superuser_group)) return out;
  const auto held = rules_for(who, ns);
  for (const auto& w : wanted)
    if (!covers(held, w)) out.push_back(w);
  return out;
}

std::optional<std::vector<policy_rule>> rbac_rules::role_rules(std::string_view ns, std::string_view kind,
                                                               std::string_view name) const {
  const auto it = impl_->roles.find(scoped(kind == "ClusterRole" ? std::string_view{} : ns, name));
  if (it == impl_->roles.end()) return std::nullopt;
  std::vector<policy_rule> out;
  for (const auto& r : it->second->rules)
    out.push_back(r.rule);
  return out;
}

struct rbac_table::impl {
  std::map<std::string, std::shared_ptr<const role>> roles;
  std::map<std::string, json::value> bindings; // `ns/name`, cluster-wide ones as `/name`
  std::shared_ptr<const rbac_rules> current;
};

rbac_table::rbac_table() : impl_(std::make_unique<impl>()) {}
rbac_table::rbac_table(rbac_table&&) noexcept = default;
rbac_table& rbac_table::operator=(rbac_table&&) noexcept = default;
rbac_table::~rbac_table() = default;

void rbac_table::upsert(const json::value& o) {
  const auto kind = meta::kind(o);
  const bool cluster = kind.starts_with("Cluster");
  const auto key = scoped(cluster ? std::string_view{} : meta::ns(o), meta::name(o));
  if (kind == "Role" || kind == "ClusterRole")
    impl_->roles[key] = make_role(o, cluster);
  else if (kind == "RoleBinding" || kind == "ClusterRoleBinding")
    impl_->bindings[key] = o;
  else
    return;
  impl_->current.reset();
}

void rbac_table::erase(std::string_view kind, std::string_view ns, std::string_view name) {
  const auto key = scoped(kind.starts_with("Cluster") ? std::string_view{} : ns, name);
  const bool changed = kind.ends_with("Binding") ? impl_->bindings.erase(key) != 0 : impl_->roles.erase(key) != 0;
  if (changed) impl_->current.reset();
}

std::shared_ptr<const rbac_rules> rbac_table::snapshot() {
  if (impl_->current) return impl_->current;
  auto rules = std::make_shared<rbac_rules>();
  for (const auto& [key, r] : impl_->roles)
    rules->impl_->roles.emplace(key, r);
  for (const auto& [key, b] : impl_->bindings)
    rules->impl_->bind(b, key.starts_with('/'));
  impl_->current = std::move(rules);
  return impl_->current;
}

std::string denial(const attributes& a, const identity& who) {
  std::string out = "User " + json::serialize(json::string(who.user)) + " cannot " + std::string{a.verb};
  if (!a.path.empty()) return out.append(" path \"").append(a.path).append("\"");
  out.append(" resource \"").append(a.resource);
  if (!a.subresource.empty()) out.append("/").append(a.subresource);
  out.append("\" in API group \"").append(a.group).append("\"");
  if (a.ns.empty()) return out + " at the cluster scope";
  return out.append(" in the namespace \"").append(a.ns).append("\"");
}

namespace {
/// `{APIGroups:[""], Resources:["pods"], Verbs:["get"]}`
std::string compact(const policy_rule& r) {
  std::vector<std::string> parts;
  const auto put = [&](std::string_view key, const std::vector<std::string>& list) {
    if (list.empty()) return;
    std::string s{key};
    s += ":[";
    for (std::size_t i = 0; i < list.size(); ++i)
      s.append(i ? ", \"" : "\"").append(list[i]).append("\"");
    parts.push_back(s + "]");
  };
  put("APIGroups", r.api_groups);
  put("Resources", r.resources);
  put("NonResourceURLs", r.non_resource_urls);
  put("ResourceNames", r.resource_names);
  put("Verbs", r.verbs);
  std::string out = "{";
  for (std::size_t i = 0; i < parts.size(); ++i)
    out.append(i ? ", " : "").append(parts[i]);
  return out + "}";
}
} // namespace

std::string escalation_denial(const identity& who, std::span<const policy_rule> missing) {
  json::array groups;
  for (const auto& g : who.groups)
    groups.push_back(json::string(g));
  std::string list;
  for (std::size_t i = 0; i < groups.size(); ++i)
    list.append(i ? " " : "").append(json::serialize(groups[i]));
  std::vector<std::string> texts;
  for (const auto& r : missing)
    texts.push_back(compact(r));
  std::sort(texts.begin(), texts.end());
  std::string out = "user " + json::serialize(json::string(who.user)) + " (groups=[" + list +
                    "]) is attempting to grant RBAC permissions not currently held:";
  for (const auto& t : texts)
    out.append("\n").append(t);
  return out;
}

} // namespace troupe::rbac

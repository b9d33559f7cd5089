#include "actors/apiserver/authorize.hpp"

#include "actors/apiserver/node_authorizer.hpp"
#include "api/meta/selector.hpp"

namespace troupe::apiserver {

rbac::attributes attributes_of(const request& r, std::string_view verb_word) {
  rbac::attributes a;
  a.verb = verb_word;
  a.group = r.group;
  a.resource = r.plural;
  a.subresource = r.subresource;
  a.name = r.name;
  a.ns = r.plural == "namespaces" && r.group.empty() ? std::string_view(r.name) : std::string_view(r.ns);
  return a;
}

rbac::decision decide(const services& s, const rbac::attributes& a, const identity& who, const store::view& state,
                      const request* whole) {
  if (who.in_group("system:masters")) return {true, ""};
  const auto rules = s.rbac->rules();
  if (who.in_group("system:nodes")) {
    auto d = node_authorizer(*rules, a, who, state, whole);
    if (d.allowed) return d;
  }
  return rules->authorize(a, who);
}

namespace {

/// resourceNames limit a list or watch only when the field selector pins the name.
std::string pinned_name(const request& r) {
  const auto text = r.param("fieldSelector");
  if (text.empty()) return {};
  const auto parsed = field_selector::parse(text);
  if (!parsed) return {};
  const auto name = parsed->pinned("metadata.name");
  return name ? std::string(*name) : std::string{};
}

} // namespace

result<void> authorize(const services& s, const request& r, std::string_view verb_word, const store::view& state) {
  if (r.who.in_group("system:masters")) return {};
  auto a = attributes_of(r, verb_word);
  std::string name;
  if (a.name.empty() && (r.what == verb::list || r.what == verb::watch || r.what == verb::deletecollection)) {
    name = pinned_name(r);
    a.name = name;
  }
  const auto rules = s.rbac->rules();
  if (r.who.in_group("system:nodes") && node_authorizer(*rules, a, r.who, state, &r).allowed) return {};
  if (rules->allows(a, r.who)) return {};
  return errors::forbidden({r.group, r.plural}, r.name, rbac::denial(a, r.who));
}

result<void> authorize_path(const services& s, const identity& who, std::string_view method, std::string_view path) {
  if (who.in_group("system:masters")) return {};
  rbac::attributes a;
  std::string word{method};
  for (auto& c : word)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  a.verb = word;
  a.path = path;
  if (s.rbac->rules()->allows(a, who)) return {};
  // Probes work before the rules are there, and without credentials.
  if (s.options.anonymous && word == "get" &&
      (path == "/healthz" || path == "/livez" || path == "/readyz" || path == "/version"))
    return {};
  return errors::forbidden({}, {}, rbac::denial(a, who));
}

namespace {

bool same_text(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i)
    if ((a[i] | 32) != (b[i] | 32)) return false;
  return true;
}

bool begins(std::string_view a, std::string_view with) {
  return a.size() >= with.size() && same_text(a.substr(0, with.size()), with);
}

struct wanted_attribute {
  std::string group, resource, subresource, ns, name;
};

void want_user(std::vector<wanted_attribute>& out, std::string_view user) {
  constexpr std::string_view account = "system:serviceaccount:";
  if (user.substr(0, account.size()) == account) {
    const auto rest = user.substr(account.size());
    const auto colon = rest.find(':');
    if (colon != std::string_view::npos) {
      out.push_back(
          {"", "serviceaccounts", "", std::string(rest.substr(0, colon)), std::string(rest.substr(colon + 1))});
      return;
    }
  }
  out.push_back({"", "users", "", "", std::string(user)});
}

void add_implied_groups(identity& who) {
  constexpr std::string_view account = "system:serviceaccount:";
  if (who.user.rfind(account, 0) == 0 && who.groups.empty()) {
    const auto rest = who.user.substr(account.size());
    who.groups = {"system:serviceaccounts", "system:serviceaccounts:" + rest.substr(0, rest.find(':'))};
  }
  if (who.user == "system:anonymous") {
    if (!who.in_group("system:unauthenticated")) who.groups.emplace_back("system:unauthenticated");
  } else if (!who.in_group("system:authenticated") && !who.in_group("system:unauthenticated")) {
    who.groups.emplace_back("system:authenticated");
  }
}

} // namespace

result<std::shared_ptr<const identity>>
impersonate(const services& s, const identity& who,
            const std::vector<std::pair<std::string_view, std::string_view>>& headers, const store::view& state) {
  auto as = std::make_shared<identity>();
  std::vector<wanted_attribute> wanted;
  bool asked = false;
  for (const auto& [name, value] : headers) {
    if (!begins(name, "impersonate-")) continue;
    asked = true;
    const auto what = name.substr(12);
    if (same_text(what, "user")) {
      as->user = value;
      want_user(wanted, value);
    } else if (same_text(what, "group")) {
      as->groups.emplace_back(value);
      wanted.push_back({"", "groups", "", "", std::string(value)});
    } else if (same_text(what, "uid")) {
      as->uid = value;
      wanted.push_back({"authentication.k8s.io", "uids", "", "", std::string(value)});
    } else if (begins(what, "extra-")) {
      std::string key;
      for (char c : what.substr(6))
        key.push_back(c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c);
      as->extra[key].emplace_back(value);
      wanted.push_back({"authentication.k8s.io", "userextras", key, "", std::string(value)});
    }
  }
  if (!asked) return std::shared_ptr<const identity>{};
  if (as->user.empty())
    return errors::internal("requested [{UserInfo  }] without impersonating a user: Impersonate-User is missing");
  for (const auto& w : wanted) {
    rbac::attributes a;
    a.verb = "impersonate";
    a.group = w.group;
    a.resource = w.resource;
    a.subresource = w.subresource;
    a.ns = w.ns;
    a.name = w.name;
    if (!decide(s, a, who, state).allowed)
      return errors::forbidden({w.group, w.resource}, w.name, rbac::denial(a, who));
  }
  add_implied_groups(*as);
  return std::shared_ptr<const identity>{std::move(as)};
}

} // namespace troupe::apiserver

#include "actors/apiserver/authenticate.hpp"

namespace troupe::apiserver {

namespace {

const identity_ptr& anonymous() {
  static const identity_ptr who = [] {
    auto i = std::make_shared<identity>();
    i->user = "system:anonymous";
    i->groups = {"system:unauthenticated"};
    return i;
  }();
  return who;
}

bool alive(const store::view& state, std::string_view table, std::string_view ns, const json::value& ref) {
  const auto o = state.get(table, ns, jq::str(ref, {"name"}));
  return o && o->meta().uid == jq::str(ref, {"uid"});
}

bool has_audience(const json::value& claims, std::string_view wanted) {
  const auto* aud = jq::find(claims, {"aud"});
  if (!aud) return false;
  if (const auto* s = aud->if_string()) return jq::view(*s) == wanted;
  for (const auto& a : jq::arr(claims, {"aud"}))
    if (a.is_string() && jq::view(a.get_string()) == wanted) return true;
  return false;
}

void add_extra(identity& who, const char* key, std::string_view value) {
  if (!value.empty()) who.extra[key] = {std::string(value)};
}

} // namespace

result<identity_ptr> identity_of_token(const services& s, std::string_view token, const store::view& state,
                                       std::chrono::system_clock::time_point now, std::vector<std::string>* audiences) {
  auto checked = s.tokens->verify(token, now);
  if (!checked) return checked.error();
  const auto& claims = **checked;
  if (audiences) {
    for (const auto& a : jq::arr(claims, {"aud"}))
      if (a.is_string()) audiences->emplace_back(jq::view(a.get_string()));
  } else if (!has_audience(claims, api_audience)) {
    return errors::unauthorized();
  }
  const json::value* k = jq::find(claims, {"kubernetes.io"});
  const json::value* account = k ? jq::find(*k, {"serviceaccount"}) : nullptr;
  if (!account) return errors::unauthorized();
  const auto ns = jq::str(*k, {"namespace"});
  if (!alive(state, "serviceaccounts", ns, *account)) return errors::unauthorized();
  const auto* pod = jq::find(*k, {"pod"});
  if (pod && !alive(state, "pods", ns, *pod)) return errors::unauthorized();
  const auto* secret = jq::find(*k, {"secret"});
  if (secret && !alive(state, "secrets", ns, *secret)) return errors::unauthorized();
  auto who = std::make_shared<identity>();
  const std::string space{ns};
  who->user = "system:serviceaccount:" + space + ":" + std::string(jq::str(*account, {"name"}));
  who->uid = jq::str(*account, {"uid"});
  who->groups = {"system:serviceaccounts", "system:serviceaccounts:" + space, "system:authenticated"};
  if (const auto id = jq::str(claims, {"jti"}); !id.empty())
    add_extra(*who, "authentication.kubernetes.io/credential-id", "JTI=" + std::string(id));
  if (pod) {
    add_extra(*who, "authentication.kubernetes.io/pod-name", jq::str(*pod, {"name"}));
    add_extra(*who, "authentication.kubernetes.io/pod-uid", jq::str(*pod, {"uid"}));
  }
  if (const auto* node = jq::find(*k, {"node"})) {
    add_extra(*who, "authentication.kubernetes.io/node-name", jq::str(*node, {"name"}));
    add_extra(*who, "authentication.kubernetes.io/node-uid", jq::str(*node, {"uid"}));
  }
  return identity_ptr{std::move(who)};
}

result<identity_ptr> authenticate(const services& s, const identity_ptr& certificate, std::string_view authorization,
                                  const store::view& state, std::chrono::system_clock::time_point now) {
  if (certificate) return certificate;
  if (!authorization.empty()) {
    constexpr std::string_view scheme = "bearer ";
    if (authorization.size() <= scheme.size()) return errors::unauthorized();
    for (std::size_t i = 0; i < scheme.size(); ++i)
      if ((authorization[i] | 32) != (scheme[i] | 32)) return errors::unauthorized();
    auto token = authorization.substr(scheme.size());
    while (!token.empty() && token.front() == ' ')
      token.remove_prefix(1);
    auto who = identity_of_token(s, token, state, now);
    if (!who) return errors::unauthorized();
    return who;
  }
  if (!s.options.anonymous) return errors::unauthorized();
  return anonymous();
}

} // namespace troupe::apiserver

#include "actors/apiserver/bootstrap.hpp"

#include "actors/apiserver/limits.hpp"
#include "actors/apiserver/write.hpp"
#include "api/meta/object_meta.hpp"
#include "api/schema/conform.hpp"
#include "api/schema/defaulting.hpp"

namespace troupe::apiserver {

namespace {

constexpr std::size_t objects_per_txn = 400;
constexpr std::string_view mark_table = "troupe.allocations";
constexpr std::string_view mark_name = "bootstrap";
constexpr const char* autoupdate = "rbac.authorization.kubernetes.io/autoupdate";

const schema::resource* resource_of(const json::value& doc) {
  const auto api_version = jq::str(doc, {"apiVersion"});
  const auto slash = api_version.find('/');
  const auto group = slash == std::string_view::npos ? std::string_view{} : api_version.substr(0, slash);
  const auto version = slash == std::string_view::npos ? api_version : api_version.substr(slash + 1);
  return schema::registry::get().find_by_kind(group, version, jq::str(doc, {"kind"}));
}

/// Adds the elements of a default list that are missing; what people added stays. True when something changed.
bool complete_list(json::value& have, const json::value& wanted, const char* list) {
  bool changed = false;
  for (const auto& w : jq::arr(wanted, {list})) {
    auto& all = jq::at(have, {list});
    if (!all.is_array()) all = json::array{};
    bool found = false;
    for (const auto& h : all.get_array())
      found = found || h == w;
    if (found) continue;
    all.get_array().push_back(w);
    changed = true;
  }
  return changed;
}

bool reconcile_rbac(json::value& have, const json::value& wanted) {
  if (meta::annotation(have, autoupdate) != "true") return false;
  if (jq::find(have, {"aggregationRule"})) return false;
  const bool rules = complete_list(have, wanted, "rules");
  return complete_list(have, wanted, "subjects") || rules;
}

/// The api server's own address may be another one after a restart.
bool reconcile_endpoints(json::value& have, const json::value& wanted, const char* list) {
  const auto* w = jq::find(wanted, {list});
  const auto* h = jq::find(have, {list});
  if (!w || (h && *h == *w)) return false;
  jq::at(have, {list}) = *w;
  return true;
}

bool reconcile(const schema::resource& res, json::value& have, const json::value& wanted) {
  if (res.group == "rbac.authorization.k8s.io") return reconcile_rbac(have, wanted);
  if (res.plural == "endpoints") return reconcile_endpoints(have, wanted, "subsets");
  if (res.plural == "endpointslices") {
    const bool endpoints = reconcile_endpoints(have, wanted, "endpoints");
    return reconcile_endpoints(have, wanted, "ports") || endpoints;
  }
  if (res.plural == "configmaps") return reconcile_endpoints(have, wanted, "data");
  return false;
}

/// Adds what makes `doc` exist in the state, nothing when it does.
result<void> add_object(store::txn& change, const store::view& state, json::value& doc, kinds::write_context& ctx) {
  const auto* res = resource_of(doc);
  if (!res) return errors::internal("no kind for a bootstrap object " + std::string(jq::str(doc, {"kind"})));
  if (auto w = schema::conform(doc, *res->body, schema::field_validation::strict); !w) return w.error();
  schema::apply_defaults(doc, *res->body);
  if (const auto was = state.get(res->store_key, meta::ns(doc), meta::name(doc))) {
    auto have = was->parse();
    if (!reconcile(*res, have, doc)) return {};
    schema::reorder(have, *res->body);
    return add_put(change, *res, have, was->mod);
  }
  auto st = jq::find(doc, {"status"}) ? *jq::find(doc, {"status"}) : json::value(nullptr);
  if (auto r = kinds::prepare_create(*res, doc, ctx); !r) return r.error();
  if (res->plural == "apiservices" && st.is_object()) jq::at(doc, {"status"}) = std::move(st);
  return add_put(change, *res, doc, 0);
}

bool is_empty(const store::txn& t) { return t.puts.empty() && t.erases.empty(); }

} // namespace

result<std::vector<store::txn>> plan_bootstrap(const services& s, const store::view& state, sys_micros now,
                                               random_source& random) {
  std::vector<store::txn> out(1);
  kinds::write_context ctx;
  ctx.now = now;
  ctx.random = &random;
  for (auto& doc : bootstrap_objects(s, now, master_addresses(s, state, {}))) {
    if (out.back().compares.size() >= objects_per_txn) out.emplace_back();
    if (auto r = add_object(out.back(), state, doc, ctx); !r) return r.error();
  }
  if (!s.options.founders.empty() && list_masters(state).empty()) {
    for (const auto& m : s.options.founders)
      put_master(out.back(), state, m);
    note_member_ids(out.back(), state, s.options.founders);
  }
  if (is_empty(out.back())) out.pop_back();
  return out;
}

result<store::txn> plan_own_endpoints(const services& s, const store::view& state, sys_micros now,
                                      random_source& random, const std::set<store::member_id>& down) {
  store::txn out;
  kinds::write_context ctx;
  ctx.now = now;
  ctx.random = &random;
  const auto up = master_addresses(s, state, down);
  if (up.empty()) return out; // the one that writes this is up: the directory knows nobody yet
  for (auto& doc : own_service_objects(s, up))
    if (auto r = add_object(out, state, doc, ctx); !r) return r.error();
  erase_old_slices(out, state, up);
  return out;
}

bool bootstrapped(const store::view& state) { return state.get(mark_table, "", mark_name) != nullptr; }

store::txn plan_mark() {
  store::txn out;
  const store::object_key key{std::string(mark_table), "", std::string(mark_name)};
  out.compares.push_back({key, 0});
  out.puts.push_back({key, R"({"metadata":{"name":"bootstrap"}})"});
  return out;
}

store::txn plan_own_row(const services& s, const store::view& state) {
  store::txn out;
  const auto& self = s.options.self;
  if (self.name.empty()) return out;
  const auto known = find_master(state, self.name);
  if (!known || known->id != self.id) return out;
  auto right = *known; // what the group wants of it is not its own to say
  right.address = self.address;
  right.api_port = self.api_port;
  right.actors_port = self.actors_port;
  right.priority = self.priority;
  if (*known != right) put_master(out, state, right);
  return out;
}

std::set<store::member_id> members_down(const json::value& doc) {
  std::set<store::member_id> out;
  if (jq::str(doc, {"role"}) != "leader") return out;
  for (const auto& m : jq::arr(doc, {"members"}))
    if (jq::num(m, {"lastContactMs"}) > limits::master_contact_max.count())
      out.insert(store::member_id{static_cast<std::uint64_t>(jq::num(m, {"id"}))});
  return out;
}

} // namespace troupe::apiserver

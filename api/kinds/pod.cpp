#include "api/kinds/rules.hpp"

#include "api/meta/quantity.hpp"
#include "api/patch/patch.hpp"

#include <algorithm>

namespace troupe::kinds {

namespace {

/// Paths at which two documents differ, with both values: what the message of a refused pod update shows.
void differences(const json::value* now, const json::value* old, const std::string& path, std::string& out) {
  if (!differ(now, old)) return;
  const auto* a = now ? now->if_object() : nullptr;
  const auto* b = old ? old->if_object() : nullptr;
  if (a && b) {
    for (const auto& [k, v] : *b)
      differences(a->if_contains(k), &v, path + "." + std::string{jq::view(k)}, out);
    for (const auto& [k, v] : *a)
      if (!b->contains(k)) differences(&v, nullptr, path + "." + std::string{jq::view(k)}, out);
    return;
  }
  const auto* x = now ? now->if_array() : nullptr;
  const auto* y = old ? old->if_array() : nullptr;
  if (x && y && x->size() == y->size()) {
    for (std::size_t i = 0; i < x->size(); ++i)
      differences(&(*x)[i], &(*y)[i], index(path, i), out);
    return;
  }
  if (old) out += "- " + path + ": " + json::serialize(*old) + "\n";
  if (now) out += "+ " + path + ": " + json::serialize(*now) + "\n";
}

void keep_images(json::value& spec, const json::value& old, std::string_view list) {
  auto* mine = jq::find(spec, {list});
  auto* a = mine ? mine->if_array() : nullptr;
  const auto& theirs = jq::arr(old, {list});
  for (std::size_t i = 0; a && i < a->size() && i < theirs.size(); ++i)
    if (const auto* image = jq::find(theirs[i], {"image"})) jq::at((*a)[i], {"image"}) = *image;
}

void keep_member(json::value& spec, const json::value& old, std::string_view member) {
  if (const auto* v = jq::find(old, {member}))
    jq::at(spec, {member}) = *v;
  else
    jq::erase(spec, {member});
}

bool same_toleration(json::value a, json::value b) {
  jq::erase(a, {"tolerationSeconds"});
  jq::erase(b, {"tolerationSeconds"});
  return a == b;
}

/// Every stored toleration must still be there; only its tolerationSeconds may change.
void check_added_tolerations(field_errors& e, const json::value& spec, const json::value& old) {
  const auto& now = jq::arr(spec, {"tolerations"});
  for (const auto& t : jq::arr(old, {"tolerations"}))
    if (std::none_of(now.begin(), now.end(), [&](const json::value& n) { return same_toleration(n, t); })) {
      e.push_back(
          field::forbidden("spec.tolerations", "existing toleration can not be modified except its tolerationSeconds"));
      return;
    }
}

void check_deadline(field_errors& e, const json::value& spec, const json::value& old) {
  const auto was = jq::maybe_num(old, {"activeDeadlineSeconds"});
  const auto now = jq::maybe_num(spec, {"activeDeadlineSeconds"});
  if (!was) return;
  if (!now)
    e.push_back(
        field::invalid("spec.activeDeadlineSeconds", nullptr, "must not update from a positive integer to nil value"));
  else if (*now > *was)
    e.push_back(field::invalid("spec.activeDeadlineSeconds", *now, "must be less than or equal to previous value"));
}

/// While a pod is gated, gates may go and the node selector may get narrower.
void check_gated(field_errors& e, json::value& spec, const json::value& old) {
  const auto& gates = jq::arr(old, {"schedulingGates"});
  for (const auto& g : jq::arr(spec, {"schedulingGates"}))
    if (std::find(gates.begin(), gates.end(), g) == gates.end())
      e.push_back(field::forbidden("spec.schedulingGates", "only deletion is allowed, but found new scheduling gate '" +
                                                               std::string{jq::str(g, {"name"})} + "'"));
  if (!gates.empty()) {
    const auto& now = jq::obj(spec, {"nodeSelector"});
    const auto& was = jq::obj(old, {"nodeSelector"});
    const bool narrower = std::all_of(was.begin(), was.end(), [&](const auto& kv) {
      const auto* v = now.if_contains(kv.key());
      return v && *v == kv.value();
    });
    if (narrower) keep_member(spec, old, "nodeSelector");
  }
  keep_member(spec, old, "schedulingGates");
}

/// Ephemeral containers are only ever added.
void check_ephemeral(field_errors& e, const json::value& spec, const json::value& old) {
  const auto& now = jq::arr(spec, {"ephemeralContainers"});
  for (const auto& was : jq::arr(old, {"ephemeralContainers"})) {
    const auto name = jq::str(was, {"name"});
    const auto same =
        std::find_if(now.begin(), now.end(), [&](const json::value& c) { return jq::str(c, {"name"}) == name; });
    const auto quoted = json::serialize(text(name));
    if (same == now.end())
      e.push_back(field::forbidden("spec.ephemeralContainers",
                                   "existing ephemeral containers " + quoted + " may not be removed\n"));
    else if (*same != was)
      e.push_back(field::forbidden("spec.ephemeralContainers",
                                   "existing ephemeral containers " + quoted + " may not be changed\n"));
  }
}

bool has_resource(const json::object& list, std::string_view name) {
  const auto* v = list.if_contains(name);
  return v && !quantity::parse_or_zero(v).is_zero();
}

} // namespace

std::string_view pod_qos_class(const json::value& pod) {
  bool any = false, guaranteed = true;
  for (auto list : {"containers", "initContainers"})
    for (const auto& c : jq::arr(pod, {"spec", list})) {
      const auto& limits = jq::obj(c, {"resources", "limits"});
      const auto& requests = jq::obj(c, {"resources", "requests"});
      for (auto name : {"cpu", "memory"}) {
        const bool limited = has_resource(limits, name), requested = has_resource(requests, name);
        any = any || limited || requested;
        // Requests that are absent take the value of the limit.
        const bool equal = limited && (!requested || quantity::parse_or_zero(limits.if_contains(name)) ==
                                                         quantity::parse_or_zero(requests.if_contains(name)));
        guaranteed = guaranteed && equal;
      }
    }
  return !any ? "BestEffort" : guaranteed ? "Guaranteed" : "Burstable";
}

void check_pod_update(field_errors& e, const json::value& obj, const json::value& old) {
  const auto& stored = at(old, {"spec"});
  auto spec = at(obj, {"spec"});
  bool same_shape = true;
  for (auto list : {"containers", "initContainers"}) {
    if (jq::arr(spec, {list}).size() == jq::arr(stored, {list}).size()) continue;
    e.push_back(field::forbidden(std::string{"spec."} + list, "pod updates may not add or remove containers"));
    same_shape = false;
  }
  if (!same_shape) return;
  check_deadline(e, spec, stored);
  check_added_tolerations(e, spec, stored);
  check_ephemeral(e, spec, stored);
  // What may change is put back; whatever still differs may not.
  keep_images(spec, stored, "containers");
  keep_images(spec, stored, "initContainers");
  keep_member(spec, stored, "activeDeadlineSeconds");
  keep_member(spec, stored, "tolerations");
  keep_member(spec, stored, "ephemeralContainers");
  check_gated(e, spec, stored);
  if (jq::num(stored, {"terminationGracePeriodSeconds"}) < 0 && jq::num(spec, {"terminationGracePeriodSeconds"}) == 1)
    keep_member(spec, stored, "terminationGracePeriodSeconds");
  std::string diff;
  differences(&spec, &stored, "spec", diff);
  if (diff.empty()) return;
  e.push_back(field::forbidden(
      "spec", "pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
              "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
              "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)\n" +
                  diff));
}

} // namespace troupe::kinds

// PersistentVolume, PersistentVolumeClaim, StorageClass and the CSI kinds.
#include "api/kinds/rules.hpp"

#include "api/meta/quantity.hpp"

#include <set>

namespace troupe::kinds {

namespace {

void phase_on_create(json::value& obj, const write_context&) { jq::at(obj, {"status", "phase"}) = "Pending"; }

void check_positive(field_errors& e, const json::value* v, const std::string& path) {
  if (!v) return;
  const auto q = quantity::parse(*v);
  if (q && q->sign() <= 0) e.push_back(field::invalid(path, *v, "must be greater than zero"));
}

void check_modes(field_errors& e, const json::value& spec) {
  const auto& modes = jq::arr(spec, {"accessModes"});
  if (modes.empty()) e.push_back(field::required("spec.accessModes", "at least 1 access mode is required"));
  bool once_pod = false;
  for (const auto& m : modes)
    once_pod |= m.is_string() && m.get_string() == "ReadWriteOncePod";
  if (once_pod && modes.size() > 1)
    e.push_back(field::forbidden("spec.accessModes", "may not use ReadWriteOncePod with other access modes"));
}

void check_claim(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  check_selector(e, jq::find(spec, {"selector"}), "spec.selector");
  check_modes(e, spec);
  const auto* storage = jq::find(spec, {"resources", "requests", "storage"});
  if (!storage)
    e.push_back(field::required("spec.resources[storage]"));
  else
    check_positive(e, storage, "spec.resources[storage]");
  if (const auto c = jq::str(spec, {"storageClassName"}); !c.empty())
    check_name(e, "spec.storageClassName", c, names::dns1123_subdomain(c));
}

void check_claim_update(field_errors& e, const json::value& obj, const json::value& old) {
  auto now = at(obj, {"spec"});
  auto was = at(old, {"spec"});
  const auto size = quantity::parse_or_zero(jq::find(now, {"resources", "requests", "storage"}));
  const auto size_before = quantity::parse_or_zero(jq::find(was, {"resources", "requests", "storage"}));
  const bool bound = jq::str(old, {"status", "phase"}) == "Bound";
  // A claim without a volume may still be bound to one; growth is for bound claims.
  if (jq::str(was, {"volumeName"}).empty()) jq::erase(now, {"volumeName"});
  if (bound) {
    if (size < size_before)
      e.push_back(field::forbidden("spec.resources.requests.storage", "field can not be less than previous value"));
    jq::erase(now, {"resources", "requests", "storage"});
    jq::erase(was, {"resources", "requests", "storage"});
  }
  for (auto* s : {&now, &was})
    jq::erase(*s, {"volumeAttributesClassName"});
  if (jq::str(was, {"storageClassName"}).empty() && !bound) {
    jq::erase(now, {"storageClassName"});
    jq::erase(was, {"storageClassName"});
  }
  if (differ(&now, &was))
    e.push_back(field::forbidden("spec", "spec is immutable after creation except resources.requests and "
                                         "volumeAttributesClassName for bound claims"));
}

std::vector<std::string> volume_sources(const json::value& spec) {
  static const std::set<std::string_view> others{
      "capacity",     "accessModes", "claimRef",     "persistentVolumeReclaimPolicy", "storageClassName",
      "mountOptions", "volumeMode",  "nodeAffinity", "volumeAttributesClassName"};
  std::vector<std::string> out;
  if (const auto* o = spec.if_object())
    for (const auto& [k, v] : *o)
      if (!v.is_null() && !others.contains(jq::view(k))) out.emplace_back(jq::view(k));
  return out;
}

void check_volume(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  check_modes(e, spec);
  const auto* storage = jq::find(spec, {"capacity", "storage"});
  const auto& capacity = jq::obj(spec, {"capacity"});
  if (capacity.empty())
    e.push_back(field::required("spec.capacity"));
  else if (!storage || capacity.size() > 1)
    e.push_back(field::not_supported("spec.capacity", capacity, {"storage"}));
  check_positive(e, storage, "spec.capacity[storage]");
  const auto sources = volume_sources(spec);
  for (std::size_t i = 1; i < sources.size(); ++i)
    e.push_back(field::forbidden("spec." + sources[i], "may not specify more than 1 volume type"));
  if (sources.empty()) e.push_back(field::required("spec", "must specify a volume type"));
  if (const auto* affinity = jq::find(spec, {"nodeAffinity"}); affinity && !affinity->is_null()) {
    if (const auto* r = jq::find(*affinity, {"required"}))
      check_node_selector(e, *r, "spec.nodeAffinity.required");
    else
      e.push_back(field::required("spec.nodeAffinity.required", "must specify required node constraints"));
  } else if (jq::find(spec, {"local"})) {
    e.push_back(field::required("spec.nodeAffinity", "Local volume requires node affinity"));
  }
}

void check_volume_update(field_errors& e, const json::value& obj, const json::value& old) {
  auto sources = volume_sources(at(old, {"spec"}));
  for (auto& s : volume_sources(at(obj, {"spec"})))
    sources.push_back(std::move(s));
  for (const auto& s : sources)
    if (differ(jq::find(obj, {"spec", s}), jq::find(old, {"spec", s}))) {
      e.push_back(
          field::forbidden("spec.persistentvolumesource", "spec.persistentvolumesource is immutable after creation"));
      break;
    }
  check_immutable(e, obj, old, {"spec", "volumeMode"});
  if (const auto* was = jq::find(old, {"spec", "nodeAffinity"}); was && !was->is_null())
    check_immutable(e, obj, old, {"spec", "nodeAffinity"});
}

void check_storage_class(field_errors& e, const json::value& obj) {
  constexpr std::size_t parameters_max = 512;
  if (const auto n = jq::obj(obj, {"parameters"}).size(); n > parameters_max)
    e.push_back(field::too_many("parameters", n, parameters_max));
  const auto provisioner = jq::str(obj, {"provisioner"});
  if (!provisioner.empty()) check_name(e, "provisioner", provisioner, names::qualified(names::lower(provisioner)));
}

void check_csi_node(field_errors& e, const json::value& obj) {
  std::set<std::string_view> seen;
  const auto& drivers = jq::arr(obj, {"spec", "drivers"});
  for (std::size_t i = 0; i < drivers.size(); ++i)
    if (const auto n = jq::str(drivers[i], {"name"}); !n.empty() && !seen.insert(n).second)
      e.push_back(field::duplicate(index("spec.drivers", i) + ".name", text(n)));
}

void check_csi_node_update(field_errors& e, const json::value& obj, const json::value& old) {
  for (const auto& was : jq::arr(old, {"spec", "drivers"}))
    for (const auto& now : jq::arr(obj, {"spec", "drivers"}))
      if (jq::str(now, {"name"}) == jq::str(was, {"name"}) && now != was)
        e.push_back(field::invalid("spec.drivers", now, "field is immutable"));
}

constexpr kind_rule rules[] = {
    {"", "PersistentVolumeClaim", phase_on_create, nullptr, check_claim, check_claim_update},
    {"", "PersistentVolume", phase_on_create, nullptr, check_volume, check_volume_update},
    {"storage.k8s.io", "StorageClass", nullptr, nullptr, check_storage_class},
    {"storage.k8s.io", "CSINode", nullptr, nullptr, check_csi_node, check_csi_node_update},
};

} // namespace

std::span<const kind_rule> storage_kinds() { return rules; }

} // namespace troupe::kinds

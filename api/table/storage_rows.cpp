#include "api/meta/object_meta.hpp"
#include "api/table/cells.hpp"

namespace troupe::table {

namespace {

std::string_view phase(const json::value& o) {
  return meta::deleting(o) ? std::string_view{"Terminating"} : jq::str(o, {"status", "phase"});
}

std::string_view storage_class(const json::value& o) {
  const auto old = meta::annotation(o, "volume.beta.kubernetes.io/storage-class");
  return old.empty() ? jq::str(o, {"spec", "storageClassName"}) : old;
}

std::string_view setting(const json::value& o, std::string_view f) {
  return or_else(jq::str(o, {"spec", f}), "<unset>");
}

void volume_row(row& r, const json::value& o) {
  std::string claim;
  if (const auto* c = jq::find(o, {"spec", "claimRef"}))
    claim = std::string{jq::str(*c, {"namespace"})}.append("/").append(jq::str(*c, {"name"}));
  r.name(o)
      .text(or_else(jq::str(o, {"spec", "capacity", "storage"}), "0"))
      .text(access_modes_text(jq::arr(o, {"spec", "accessModes"})))
      .text(jq::str(o, {"spec", "persistentVolumeReclaimPolicy"}))
      .text(phase(o))
      .text(claim)
      .text(storage_class(o))
      .text(setting(o, "volumeAttributesClassName"))
      .text(jq::str(o, {"status", "reason"}))
      .age(o)
      .text(setting(o, "volumeMode"));
}

void claim_row(row& r, const json::value& o) {
  const bool bound = !jq::str(o, {"spec", "volumeName"}).empty();
  r.name(o)
      .text(phase(o))
      .text(jq::str(o, {"spec", "volumeName"}))
      .text(bound ? or_else(jq::str(o, {"status", "capacity", "storage"}), "0") : "")
      .text(bound ? access_modes_text(jq::arr(o, {"status", "accessModes"})) : "")
      .text(storage_class(o))
      .text(setting(o, "volumeAttributesClassName"))
      .age(o)
      .text(setting(o, "volumeMode"));
}

void storage_class_row(row& r, const json::value& o) {
  std::string name{meta::name(o)};
  if (meta::annotation(o, "storageclass.kubernetes.io/is-default-class") == "true" ||
      meta::annotation(o, "storageclass.beta.kubernetes.io/is-default-class") == "true")
    name += " (default)";
  r.text(name)
      .text(jq::str(o, {"provisioner"}))
      .text(or_else(jq::str(o, {"reclaimPolicy"}), "Delete"))
      .text(or_else(jq::str(o, {"volumeBindingMode"}), "Immediate"))
      .boolean(jq::flag(o, {"allowVolumeExpansion"}))
      .age(o);
}

void attachment_row(row& r, const json::value& o) {
  r.name(o)
      .text(jq::str(o, {"spec", "attacher"}))
      .text(jq::str(o, {"spec", "source", "persistentVolumeName"}))
      .text(jq::str(o, {"spec", "nodeName"}))
      .boolean(jq::flag(o, {"status", "attached"}))
      .age(o);
}

void csi_node_row(row& r, const json::value& o) {
  r.name(o).number(std::int64_t(jq::arr(o, {"spec", "drivers"}).size())).age(o);
}

void csi_driver_row(row& r, const json::value& o) {
  const auto audiences = join(strings(jq::arr(o, {"spec", "tokenRequests"}), "audience"), ",");
  const auto modes = join(strings(jq::arr(o, {"spec", "volumeLifecycleModes"})), ",");
  r.name(o)
      .boolean(jq::flag(o, {"spec", "attachRequired"}, true))
      .boolean(jq::flag(o, {"spec", "podInfoOnMount"}))
      .boolean(jq::flag(o, {"spec", "storageCapacity"}))
      .text(jq::arr(o, {"spec", "tokenRequests"}).empty() ? "<unset>" : audiences)
      .boolean(jq::flag(o, {"spec", "requiresRepublish"}))
      .text(or_else(modes, "<none>"))
      .age(o);
}

void csi_capacity_row(row& r, const json::value& o) {
  r.name(o).text(jq::str(o, {"storageClassName"})).text(or_else(jq::str(o, {"capacity"}), "<unset>"));
}

constexpr row_rule rules[] = {
    {"", "persistentvolumes", volume_row},
    {"", "persistentvolumeclaims", claim_row},
    {"storage.k8s.io", "storageclasses", storage_class_row},
    {"storage.k8s.io", "volumeattachments", attachment_row},
    {"storage.k8s.io", "csinodes", csi_node_row},
    {"storage.k8s.io", "csidrivers", csi_driver_row},
    {"storage.k8s.io", "csistoragecapacities", csi_capacity_row},
};

} // namespace

std::span<const row_rule> storage_rows() { return rules; }

} // namespace troupe::table

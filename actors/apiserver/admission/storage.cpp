// DefaultStorageClass and StorageObjectInUseProtection.
#include "actors/apiserver/admission/admission.hpp"
#include "api/meta/object_meta.hpp"

namespace troupe::apiserver::plugins {

result<void> storage(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create) return {};
  const bool claim = c.is("", "persistentvolumeclaims");
  meta::add_finalizer(obj, claim ? "kubernetes.io/pvc-protection" : "kubernetes.io/pv-protection");
  if (!claim || jq::find(obj, {"spec", "storageClassName"}) ||
      jq::find(obj, {"metadata", "annotations", "volume.beta.kubernetes.io/storage-class"}))
    return {};
  std::string chosen;
  store::revision newest = 0;
  c.e.state.scan("storageclasses.storage.k8s.io", {}, [&](const store::object_ptr& o) {
    const auto doc = o->parse();
    const bool is_default = meta::annotation(doc, "storageclass.kubernetes.io/is-default-class") == "true" ||
                            meta::annotation(doc, "storageclass.beta.kubernetes.io/is-default-class") == "true";
    if (is_default && o->created >= newest) {
      newest = o->created;
      chosen = o->name;
    }
    return true;
  });
  if (!chosen.empty()) jq::at(obj, {"spec", "storageClassName"}) = chosen;
  return {};
}

} // namespace troupe::apiserver::plugins

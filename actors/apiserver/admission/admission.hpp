// admission: what the cluster adds to or refuses of a change: one function per plugin, in Kubernetes' order.
// Owner:  -; pure over its arguments.
// Units:  -
// Errors: mostly 403 with the texts kube-apiserver's plugins give.
// Source: k8s API section 12.
#pragma once

#include "actors/apiserver/write.hpp"

namespace troupe::apiserver {

enum class admission_op : unsigned char { create, update, remove };

struct admission_context {
  const write_env& e;
  const schema::resource& res; // the stored version
  admission_op op;
  const json::value* old; // null on create
  write_plan& plan;       // plugins may add compares and puts that belong to the change, and warnings

  bool is(std::string_view group, std::string_view plural) const { return res.group == group && res.plural == plural; }
  bool main() const { return e.req.subresource.empty(); }
  resource_name about() const { return {res.group, res.plural}; }
};

/// Mutating plugins, before validation.
result<void> admit(admission_context& c, json::value& obj);
/// Plugins that count or allocate, after validation.
result<void> admit_validated(admission_context& c, json::value& obj);
result<void> admit_delete(admission_context& c, std::string_view name);

namespace plugins {
result<void> namespace_lifecycle(admission_context& c, json::value& obj);
result<void> service_account(admission_context& c, json::value& obj);
result<void> limit_ranger(admission_context& c, json::value& obj);
result<void> default_tolerations(admission_context& c, json::value& obj);
result<void> taint_nodes(admission_context& c, json::value& obj);
result<void> priority(admission_context& c, json::value& obj);
result<void> storage(admission_context& c, json::value& obj);
result<void> runtime_class(admission_context& c, json::value& obj);
result<void> node_restriction(admission_context& c, json::value& obj);
result<void> rbac_escalation(admission_context& c, json::value& obj);
result<void> service_addresses(admission_context& c, json::value& obj);
result<void> resource_quota(admission_context& c, json::value& obj);
} // namespace plugins
} // namespace troupe::apiserver

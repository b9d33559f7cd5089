// strategy: what the server itself does to an object on create and update, and what it refuses.
// Owner:  nobody; pure functions. Time, ids and randomness come in write_context.
// Units:  -
// Errors: prepare_* returns a status (409, 422, 500); validate_* returns field errors for errors::invalid.
// Source: k8s API sections 9, 10, 11 (create and update strategies of each kind).
#pragma once

#include "api/identity.hpp"
#include "api/meta/names.hpp"
#include "api/meta/time.hpp"
#include "api/schema/registry.hpp"
#include "api/status.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::kinds {

struct write_context {
  sys_micros now;
  random_source* random = nullptr; // not null
  std::string_view user;
  const identity* who = nullptr;    // who asks, recorded by signing requests; null: only `user` is known
  bool keep_generated_name = false; // metadata.name was made from generateName by an earlier try
};

/// Order of a create: decode, default, prepare_create, admission, validate_create, store.
/// Fixes name, uid and creationTimestamp, drops what only the server sets (status, deletionTimestamp, …), and fills
/// the fields that depend on other fields (Job selector, Secret stringData, Pod qosClass, Service defaults).
result<void> prepare_create(const schema::resource& r, json::value& obj, const write_context& ctx);

/// Order of an update: decode, default, prepare_update, admission, validate_update, store.
/// `subresource` is empty, "status", "finalize", "approval", "ephemeralcontainers" or "resize".
/// Checks uid and resourceVersion of `obj` against `old`, keeps what the request may not change, counts generation.
result<void> prepare_update(const schema::resource& r, json::value& obj, const json::value& old,
                            std::string_view subresource, const write_context& ctx);

field_errors validate_create(const schema::resource& r, const json::value& obj);
field_errors validate_update(const schema::resource& r, const json::value& obj, const json::value& old,
                             std::string_view subresource = {});

/// True when a prepared update changes nothing that is stored (metadata.managedFields times are ignored).
bool same_object(const json::value& obj, const json::value& old);

/// Marks the object as being deleted: deletionTimestamp = now + grace, deletionGracePeriodSeconds, generation + 1.
void mark_deleted(const schema::resource& r, json::value& obj, std::int64_t grace_s, sys_micros now);

/// `Guaranteed`, `Burstable` or `BestEffort`.
std::string_view pod_qos_class(const json::value& pod);

/// warnings the server adds to a create or update (Warning headers), e.g. deprecated fields.
std::vector<std::string> warnings(const schema::resource& r, const json::value& obj);

} // namespace troupe::kinds

// registry: every type, resource and rule of the Kubernetes 1.32 API, read once from the embedded data.
// Owner:  process-wide immutable value made on first use; safe on any thread.
// Units:  -
// Errors: the embedded data is checked by a unit test; a fault in it aborts at start.
// Source: api/schema/data/*.json.
#pragma once

#include "api/json.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::schema {

struct type;

/// How the JSON value of a field (or list element, or map value) looks.
enum class form : std::uint8_t {
  string,
  boolean,
  int32,
  int64,
  number,    // double
  bytes,     // base64 string
  any,       // any JSON value
  object,    // any JSON object
  structure, // a type with fields
  quantity,
  int_or_string,
  time,
  microtime,
  duration,
  json_object, // RawExtension, FieldsV1, Patch
  schema_or_array,
  schema_or_bool,
  schema_or_strings,
};

enum class shape : std::uint8_t { single, list, map };
enum class list_kind : std::uint8_t { atomic, set, map };

struct field {
  std::string name;
  shape how = shape::single;
  form what = form::string;
  const type* ref = nullptr; // the named type, scalar ones too; only a structure has fields
  bool required = false;
  bool pointer = false;   // nil differs from the zero value
  bool emit = false;      // printed even when zero
  bool gated_off = false; // a feature gate that is off: the server drops the field
  bool deprecated = false;
  bool map_atomic = false;
  list_kind list = list_kind::atomic;
  std::vector<std::string> keys; // of list kind map
  bool patch_merge = false;      // strategic merge patch
  bool patch_retain_keys = false;
  bool patch_replace = false; // a struct that strategic merge never merges
  std::string merge_key;
  std::optional<json::value> fallback; // static default
  json::object fallback_if;            // condition -> value, in words (data for per-kind code)
  std::vector<std::string> one_of;     // closed set of strings
  int pb = 0;
  std::vector<std::pair<std::string, int>> pb_inline; // see data README: message, number, ...
  bool pb_wrap = false;
  bool map_of_lists = false; // shape::map whose values are lists of `what` (only strings so)
};

struct gvk {
  std::string group, version, kind;
  friend bool operator==(const gvk&, const gvk&) = default;
};

struct type {
  std::string name; // OpenAPI definition name
  form what = form::structure;
  std::vector<field> fields; // in printing order
  std::vector<gvk> kinds;
  bool any_group = false; // option types of every group
  bool map_atomic = false;
  json::value raw; // the entry as data without its fields (unions and the like)
  const field* find(std::string_view name) const noexcept;
  /// Position in `fields`, or -1.
  int index_of(std::string_view name) const noexcept;

  // Facts worked out once, for the walkers.
  std::string go_name;             // `DeploymentSpec`, as Go prints it in errors
  std::vector<std::uint8_t> slots; // open hash of field positions + 1; 0 is empty
  std::uint64_t emit_mask = 0;     // bit i: fields[i] is printed even when zero
  std::uint32_t id = 0;            // position in registry::types()
};

struct subresource {
  std::string name, group, version, kind;
  const type* body = nullptr;
  std::vector<std::string> verbs;
  bool connect = false;
};

struct resource {
  std::string group, version, kind, plural, singular, list_kind;
  std::vector<std::string> short_names, categories, verbs, field_selectors, immutable;
  bool namespaced = true;
  const type* body = nullptr;
  bool stored = false; // has storage; reviews and token requests do not
  std::string storage_group, storage_version;
  std::string storage_version_hash;
  std::string name_rule; // dns1123subdomain, dns1123label, dns1035label, pathsegment
  bool counts_generation = false;
  bool create_on_update = false;
  bool unconditional_update = false;
  bool delete_returns_object = false;
  bool graceful_delete = false;
  bool has_status = false; // has a status subresource
  std::string default_propagation = "Background";
  std::vector<subresource> subresources;
  /// Key of the table in the store: `pods`, `deployments.apps`; shared by all versions of one stored kind.
  std::string store_key;
  /// `v1` or `apps/v1`.
  std::string api_version;

  bool allows(std::string_view verb) const noexcept;
  const subresource* sub(std::string_view name) const noexcept;
};

struct group {
  std::string name;
  std::string preferred;
  std::vector<std::string> versions;
};

class registry {
public:
  static const registry& get();

  const type* find_type(std::string_view name) const noexcept;
  const type* find_kind(std::string_view group, std::string_view version, std::string_view kind) const noexcept;
  const resource* find(std::string_view group, std::string_view version, std::string_view plural) const noexcept;
  const resource* find_by_kind(std::string_view group, std::string_view version, std::string_view kind) const noexcept;
  /// The resource of the preferred version for a name as people type it: plural, singular, short name or
  /// `plural.group`.
  const resource* find_by_name(std::string_view name) const noexcept;
  std::span<const resource> resources() const noexcept;
  /// The named groups in discovery order; core (`""`, preferred v1) is not among them.
  std::span<const group> groups() const noexcept;
  std::span<const type* const> types() const noexcept;
  /// The raw documents, for printers and RBAC bootstrap.
  const json::value& printers() const noexcept;
  const json::value& rbac() const noexcept;

  ~registry();

private:
  registry();
  struct impl;
  std::unique_ptr<impl> impl_;
};

} // namespace troupe::schema

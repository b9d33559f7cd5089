// rules: what each kind adds to the common strategy, one line per kind in the tables of this folder.
// Owner:  inside api/kinds only.
// Units:  documents went through schema::conform and schema::apply_defaults, so zero values are absent; required
//         fields and closed sets are checked by schema::check_schema and not again here.
// Errors: field errors are appended; nothing is thrown.
// Source: k8s API sections 9, 10, 11.
#pragma once

#include "api/kinds/strategy.hpp"
#include "api/meta/object_meta.hpp"

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace troupe::kinds {

using create_hook = void (*)(json::value& obj, const write_context& ctx);
using update_hook = void (*)(json::value& obj, const json::value& old, const write_context& ctx);
using create_check = void (*)(field_errors& e, const json::value& obj);
using update_check = void (*)(field_errors& e, const json::value& obj, const json::value& old);

struct kind_rule {
  std::string_view group, kind;
  create_hook on_create = nullptr;
  update_hook on_update = nullptr; // main resource only
  create_check check = nullptr;    // on create and on update
  update_check check_update = nullptr;
  bool keeps_status = false;        // the client may send status on create
  create_check check_new = nullptr; // on create only
};

std::span<const kind_rule> core_kinds();
std::span<const kind_rule> config_kinds();
std::span<const kind_rule> workload_kinds();
std::span<const kind_rule> batch_kinds();
std::span<const kind_rule> network_kinds();
std::span<const kind_rule> storage_kinds();
std::span<const kind_rule> policy_kinds();
std::span<const kind_rule> access_kinds();
std::span<const kind_rule> extension_kinds();
/// nullptr when the kind adds nothing.
const kind_rule* find_kind(std::string_view group, std::string_view kind) noexcept;

/// Fields of `type` that are printed even when zero.
json::object emitted_zero(const schema::type& type);

// ---- common checks -------------------------------------------------------------------------------------------------
void check_metadata(field_errors& e, const schema::resource& r, const json::value& obj);
void check_metadata_content(field_errors& e, const json::value& obj);
void check_metadata_update(field_errors& e, const json::value& obj, const json::value& old);
void check_labels(field_errors& e, const json::object& labels, const std::string& path);
void check_annotations(field_errors& e, const json::object& annotations, const std::string& path);
/// A LabelSelector; null is fine.
void check_selector(field_errors& e, const json::value* selector, const std::string& path);
/// Appends one `Invalid value` per fault.
void check_name(field_errors& e, std::string path, std::string_view value, names::faults faults);
void check_not_negative(field_errors& e, const json::value& o, std::initializer_list<std::string_view> fields,
                        const std::string& path);
void check_port(field_errors& e, std::int64_t port, std::string path);
/// A port number or the name of one.
void check_port_or_name(field_errors& e, const json::value* v, std::string path);
/// `Invalid value …: field is immutable` when the values at the path differ (absent equals null).
void check_immutable(field_errors& e, const json::value& obj, const json::value& old,
                     std::initializer_list<std::string_view> path, std::string_view detail = "field is immutable");
bool differ(const json::value* a, const json::value* b);
const json::value& at(const json::value& v, std::initializer_list<std::string_view> path) noexcept;
inline std::string index(const std::string& path, std::size_t i) { return path + "[" + std::to_string(i) + "]"; }
inline json::string text(std::string_view s) { return json::string(s); }

// ---- shared between kinds
// --------------------------------------------------------------------------------------------
enum class pod_spec_use : std::uint8_t { pod, template_ };
void check_pod_spec(field_errors& e, const json::value& spec, const std::string& path, pod_spec_use use);
void check_pod_template(field_errors& e, const json::value& tmpl, const std::string& path);
void check_scheduling(field_errors& e, const json::value& spec, const std::string& path);
void check_volumes(field_errors& e, const json::value& spec, const std::string& path);
void check_containers(field_errors& e, const json::value& spec, const std::string& path);
void check_resources(field_errors& e, const json::value& resources, const std::string& path);
void check_tolerations(field_errors& e, const json::array& tolerations, const std::string& path);
void check_node_selector(field_errors& e, const json::value& selector, const std::string& path);
/// serviceAccount mirrors serviceAccountName in every pod spec.
void mirror_service_account(json::value& pod_spec);
void service_on_create(json::value& obj, const write_context& ctx);
void service_on_update(json::value& obj, const json::value& old, const write_context& ctx);
void check_service(field_errors& e, const json::value& obj);
void check_service_update(field_errors& e, const json::value& obj, const json::value& old);
void check_pod_update(field_errors& e, const json::value& obj, const json::value& old);
bool valid_cron_schedule(std::string_view schedule, std::string& why);

} // namespace troupe::kinds

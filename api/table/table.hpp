// table: objects as the rows and columns people know from `kubectl get`.
// Owner:  nobody; a table_writer is used by one thread.
// Units:  ages are relative to options::now.
// Errors: none; absent fields print as their column's rule says.
// Source: api/schema/data/printers.json.
#pragma once

#include "api/meta/time.hpp"
#include "api/schema/registry.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace troupe::table {

enum class include_object : std::uint8_t { none, metadata, object };
/// Query value `includeObject`: empty or Metadata, Object, None; nullopt for another.
std::optional<include_object> parse_include_object(std::string_view text) noexcept;

struct options {
  sys_micros now;
  include_object include = include_object::metadata;
  std::string_view api_version = "meta.k8s.io/v1"; // or v1beta1 as asked
  bool with_columns = true;                        // false for all but the first event of a watch
};

struct list_meta {
  std::string resource_version, continue_token;
  std::optional<std::int64_t> remaining;
};

/// Writes one Table document row by row; parsed objects need not be kept.
class table_writer {
public:
  table_writer(const schema::resource& r, options o);
  ~table_writer();
  table_writer(table_writer&&) noexcept;
  /// `bytes` is the object's JSON when the caller has it (saves serializing under include_object::object).
  void add(const json::value& object, std::string_view bytes = {});
  std::string finish(const list_meta& m);

private:
  struct impl;
  std::unique_ptr<impl> impl_;
};

std::string render_table(const schema::resource& r, std::span<const json::value> items, const options& o,
                         const list_meta& m);
/// One object (a get or one watch event): metadata.resourceVersion is that of the object.
std::string render_row(const schema::resource& r, const json::value& object, const options& o,
                       std::string_view bytes = {});
/// A Status as a Table, as a watch with Table asked for reports errors of a get.
std::string render_status(const json::value& status, const options& o);
/// The Scale subresource as a Table.
std::string render_scale(const json::value& scale, const options& o);

struct text_options {
  bool wide = false;
  bool headers = true;
  bool with_namespace = false;  // first column NAMESPACE, from rows[].object.metadata
  std::string_view name_prefix; // `pod/` when several kinds are shown
  /// Column widths so far, kept by the caller while rows arrive one by one: columns never grow narrower.
  std::vector<std::size_t>* widths = nullptr;
};
/// A Table document as aligned text, as kubectl prints it.
std::string to_text(const json::value& table, const text_options& o);

} // namespace troupe::table

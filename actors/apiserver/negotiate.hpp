// negotiate: in which form a client wants its answer.
// Owner:  -; pure.
// Units:  -
// Errors: 406.
// Source: k8s API section 2.
#pragma once

#include "api/status.hpp"

#include <string_view>

namespace troupe::apiserver {

struct wanted_form {
  enum class shape : unsigned char { plain, table, partial } what = shape::plain;
  std::string_view meta_version = "meta.k8s.io/v1"; // of tables and partial metadata
  bool yaml = false;                                // the same text: JSON is YAML
  std::string_view content_type() const { return yaml ? "application/yaml" : "application/json"; }
};
/// The first clause that can be served. `tables` false: Table clauses are passed over.
result<wanted_form> negotiate(std::string_view accept, bool tables = true);

} // namespace troupe::apiserver

// selection: which objects a list, watch or deletecollection is about.
// Owner:  -; immutable, any thread.
// Units:  -
// Errors: 400 for selectors that cannot be read or fields that cannot be selected by.
// Source: k8s API section 7.
#pragma once

#include "api/meta/selector.hpp"
#include "api/request.hpp"
#include "api/schema/registry.hpp"
#include "store/object.hpp"

namespace troupe::apiserver {

class selection {
public:
  static result<selection> read(const request& r, const schema::resource& asked, const schema::resource& stored);

  bool matches(const store::object& o) const;
  bool everything() const { return labels_.matches_everything() && fields_.matches_everything(); }
  bool has_selectors() const { return !everything(); }
  /// The one name that can match, when the field selector pins it.
  std::optional<std::string> pinned_name() const;
  const std::string& ns() const { return ns_; }

private:
  bool fields_match(const store::object& o) const;
  std::string ns_; // empty: all
  label_selector labels_;
  field_selector fields_;
  const schema::resource* asked_ = nullptr;
  const schema::resource* stored_ = nullptr;
};

} // namespace troupe::apiserver

// read: GET of an object and LIST, straight from a view, on the caller's thread.
// Owner:  -; pure over (services, request, view, now).
// Units:  -
// Errors: 404, 406, 410, 422, 504 as the API says.
// Source: k8s API sections 13 and 19.
#pragma once

#include "actors/apiserver/negotiate.hpp"
#include "actors/apiserver/route.hpp"
#include "actors/apiserver/services.hpp"
#include "api/meta/time.hpp"

namespace troupe::apiserver {

struct read_env {
  services& s;
  const request& req;
  target t;
  store::view_ptr state;
  sys_micros now;
};

/// `authorize` has said yes before.
result<response> read_object(const read_env& e);
result<response> read_list(const read_env& e);

/// One stored object in the form asked for; used for answers of writes too.
result<response> show(const schema::resource& res, const schema::resource& stored, const store::object_ptr& o,
                      const wanted_form& form, const request& req, sys_micros now);
/// `{"kind":"PartialObjectMetadata",…}` of a parsed object.
json::value partial_metadata(const json::value& doc, std::string_view meta_version);
/// The kinds that are computed: componentstatuses.
result<response> read_component_statuses(const read_env& e);

/// A continue token: where the next page starts and in which snapshot (0: none, go on with the newest).
struct page_token {
  store::revision rev = 0;
  std::string ns, name;
  std::string encode() const;
  static result<page_token> decode(std::string_view text);
};

/// Parses resourceVersion; 400 when it is no number.
result<store::revision> parse_revision(std::string_view text);
/// 504 for a revision that is ahead of the store.
status too_new(store::revision asked, store::revision now);

} // namespace troupe::apiserver

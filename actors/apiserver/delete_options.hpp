// delete_options: how a delete is asked for, from body and query.
// Owner:  -; pure.
// Units:  grace in seconds.
// Errors: 400 and 422.
// Source: k8s API section 18.
#pragma once

#include "actors/apiserver/write.hpp"

#include <optional>

namespace troupe::apiserver {

struct delete_options {
  std::optional<std::int64_t> grace_s;
  std::string propagation; // Background, Foreground, Orphan or empty
  std::optional<std::string> uid, resource_version;
  bool dry_run = false;
  bool orphans_refused = false; // orphanDependents=false: a delete that has to wait is answered 202

  static result<delete_options> read(const request& r);
  static result<delete_options> from_json(const json::value& doc);
};

/// What deleting one object means.
struct delete_step {
  bool erase = false;
  bool put = false; // marked: deletionTimestamp, finalizers
  json::value doc;  // the marked document when put
};
result<delete_step> step_delete(const write_env& e, const schema::resource& res, const store::object& o,
                                const delete_options& options);

} // namespace troupe::apiserver

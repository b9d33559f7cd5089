// write: every change as a function of (request, view, now, randomness): in comes a request, out goes a transaction
// and how to answer once it is applied.
// Owner:  -; pure over its arguments; the api actor proposes and answers.
// Units:  -
// Errors: the Status a client gets; nothing is stored then.
// Source: k8s API sections 9 to 19.
//
// When a compare of the transaction fails at apply, the same function runs again on a newer view: a create then finds
// the object and says AlreadyExists, a conditional update finds another resourceVersion and says Conflict, a patch is
// computed anew. So no caller has a rule of its own for conflicts.
#pragma once

#include "actors/apiserver/route.hpp"
#include "actors/apiserver/services.hpp"
#include "api/kinds/strategy.hpp"

namespace troupe::apiserver {

struct write_env {
  services& s;
  const request& req;
  target t;
  const store::view& state;
  sys_micros now;
  random_source& random;
  bool dry_run = false;
  int attempt = 0;
};

/// How an applied change is answered.
enum class answer : unsigned char {
  fixed,         // plan.fixed as it is
  written,       // the object of the first put
  written_scale, // the Scale of the object of the first put
  collected,     // the list of a deletecollection
};

struct write_plan {
  store::txn change; // without puts and erases: nothing to do, answer at once
  answer how = answer::fixed;
  int code = 200;
  response fixed;
  std::vector<std::string> warnings;
  bool more = false;                        // run again after this one is applied
  std::vector<store::object_ptr> collected; // deletecollection: what this step removed or marked

  bool empty() const { return change.puts.empty() && change.erases.empty(); }
};

/// Picks the function for the request's verb and subresource.
result<write_plan> plan_write(const write_env& e);

result<write_plan> plan_create(const write_env& e);
result<write_plan> plan_update(const write_env& e);
result<write_plan> plan_patch(const write_env& e);
result<write_plan> plan_delete(const write_env& e);
result<write_plan> plan_delete_collection(const write_env& e);
result<write_plan> plan_scale(const write_env& e); // update and patch
result<write_plan> plan_binding(const write_env& e);
result<write_plan> plan_eviction(const write_env& e);
result<write_plan> plan_token(const write_env& e);
result<write_plan> plan_review(const write_env& e);

/// What follows once an updated document is known: prepare, admit, validate, encode. `obj` in the version of the
/// request; `was` the stored object.
result<write_plan> finish_update(const write_env& e, const store::object_ptr& was, const json::value& old,
                                 json::value obj, std::vector<std::string> warnings);
/// The same for a document that is to be created (also by PUT where that may create).
result<write_plan> finish_create(const write_env& e, json::value obj, std::vector<std::string> warnings);

/// A decoded body of the request's kind: conformed and defaulted.
struct document {
  json::value value;
  std::vector<std::string> warnings;
};
result<document> read_document(const write_env& e);
/// The body as it was sent, for kinds that are not stored and for options; null value when empty.
result<json::value> read_plain(const request& r, const schema::type* expected);

/// Adds a put of `doc` with a compare on `mod`; 413 when it is too large.
result<void> add_put(store::txn& change, const schema::resource& stored, json::value& doc, store::revision mod);
store::object_key key_of(const schema::resource& stored, std::string_view ns, std::string_view name);

write_plan fixed_answer(int code, json::value body);
/// A document as the answer of a dry run or of an update that changed nothing.
write_plan document_answer(const write_env& e, int code, const json::value& doc);
json::value success_status();

} // namespace troupe::apiserver

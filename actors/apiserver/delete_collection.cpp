// deletecollection: DELETE on a collection, in steps of bounded size.
#include "actors/apiserver/delete_options.hpp"
#include "actors/apiserver/limits.hpp"
#include "actors/apiserver/selection.hpp"

namespace troupe::apiserver {

result<write_plan> plan_delete_collection(const write_env& e) {
  auto options = delete_options::read(e.req);
  if (!options) return options.error();
  auto which = selection::read(e.req, *e.t.res, *e.t.stored);
  if (!which) return which.error();
  write_plan p;
  p.how = answer::collected;
  status failed;
  failed.code = 0;
  const bool dry = e.dry_run || options->dry_run;
  e.state.scan(e.t.stored->store_key, e.req.ns, [&](const store::object_ptr& o) {
    if (!which->matches(*o)) return true;
    if (p.change.compares.size() >= limits::delete_batch) {
      p.more = true;
      return false;
    }
    auto step = step_delete(e, *e.t.stored, *o, *options);
    if (!step) {
      failed = step.error();
      return false;
    }
    if (dry) {
      p.collected.push_back(o);
      return true;
    }
    const auto key = key_of(*e.t.stored, o->ns, o->name);
    if (step->erase) {
      p.change.compares.push_back({key, o->mod});
      p.change.erases.push_back({key});
    } else if (step->put) {
      if (auto r = add_put(p.change, *e.t.stored, step->doc, o->mod); !r) failed = r.error();
    }
    // What is already on its way shows in the answer of the first step only.
    if (step->erase || step->put || e.attempt == 0) p.collected.push_back(o);
    return failed.code == 0;
  });
  if (failed.code != 0) return failed;
  return p;
}

} // namespace troupe::apiserver

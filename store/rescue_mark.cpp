#include "store/rescue_mark.hpp"

namespace troupe::store {

revision rescued_at(const view& v) {
  const auto mark = v.get(rescue_table, {}, rescue_name);
  return mark ? mark->created : 0;
}

object_ptr rescue_mark(revision at) {
  auto o = std::make_shared<object>();
  o->name = rescue_name;
  o->bytes = "{}";
  o->mod = o->created = at;
  return o;
}

revision revision_after_rescue(revision last, std::chrono::system_clock::time_point now) {
  const auto since = std::chrono::duration_cast<std::chrono::microseconds>(now.time_since_epoch()).count();
  const auto clock = since > 0 ? static_cast<revision>(since) : 0;
  return clock > last ? clock : last + revision_bump;
}

} // namespace troupe::store

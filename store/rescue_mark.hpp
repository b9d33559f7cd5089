// rescue_mark: since which revision the state is the present one: troupe restore and troupe recover begin another
//              history, and whoever saw a revision of before may have seen what is no part of this one.
// Owner:  free functions; the mark is an object of the state, so every member, snapshot and backup carries it.
// Units:  revisions; time is an argument.
// Errors: -
// Source: etcd's `snapshot restore --bump-revision --mark-compacted`; ours.
#pragma once

#include "store/view.hpp"

#include <chrono>
#include <string_view>

namespace troupe::store {

/// Without namespace, one object. Not a resource of the API.
inline constexpr std::string_view rescue_table = "rescue.troupe.io";
inline constexpr std::string_view rescue_name = "last";

/// Skipped where the clock is of no use.
inline constexpr revision revision_bump = 1'000'000'000;

/// The first revision of the present history; 0: it is the cluster's first.
revision rescued_at(const view& v);
object_ptr rescue_mark(revision at);

/// Where a state goes on that was put back at `last`: no revision of a former history is as high while the clock does
/// not go back. It is the number of microseconds since 1970, because no history writes in each of them. A fixed
/// distance would lead through the same revisions twice when one backup is restored twice.
revision revision_after_rescue(revision last, std::chrono::system_clock::time_point now);

} // namespace troupe::store

// past_view: one table as it was at an earlier revision: the newest view with the changes since taken back.
// Owner:  -; made for one request, immutable.
// Units:  reaches back as far as the watch window of the table (store/limits.hpp); costs one walk over the table.
// Errors: 410 when the window has forgotten the revision; 429 when the hub has not caught up with the view yet.
// Source: ours: each event carries the state before it, so that the first event behind a revision tells what was there.
//
// Worked example, table at revision 5, now 9: events 6 (a modified), 7 (b added), 8 (a deleted), 9 (c deleted). First
// events behind 5: a -> its state before 6, b -> absent, c -> its state before 9; everything else is as it is now.
// Rejected: reading versions from the disk, which lags behind the view by the group that is being written.
#pragma once

#include "api/status.hpp"
#include "store/view.hpp"
#include "store/watch_hub.hpp"

namespace troupe::apiserver {

/// `rev` is not beyond `now`. The view answers for `table` only and must not be shared with other requests.
result<store::view_ptr> view_at(const store::watch_hub& hub, const store::view_ptr& now, const std::string& table,
                                store::revision rev);

} // namespace troupe::apiserver

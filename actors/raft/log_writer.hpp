// log_writer: does the synced writes of the Raft actor, one job after the other, in the order they were sent.
// Owner:  the Raft actor, to which it is linked; detached, because a sync blocks.
// Units:  one job is one synced RocksDB batch.
// Errors: write_done::error; nothing of a failed job is durable as far as its sender may rely on.
// Source: ours.
#pragma once

#include "store/member_disk.hpp"

#include <caf/allowed_unsafe_message_type.hpp>
#include <caf/fwd.hpp>
#include <caf/replies_to.hpp>
#include <caf/typed_actor.hpp>

#include <chrono>
#include <memory>
#include <optional>

namespace troupe {

struct write_job {
  store::write_group group;
  bool of_core = false; // a persist effect of the core, as opposed to an idle flush
  bool aside = false;   // term and vote, beside a group that the disk refuses
  bool close = false;   // after it, close the store
};
using write_job_ptr = std::shared_ptr<write_job>; // the writer only reads it; the sender gets it back

struct write_done {
  write_job_ptr job;
  std::optional<status> error;
  std::chrono::nanoseconds took{0};
};
using write_done_ptr = std::shared_ptr<const write_done>;

using write_sink_actor = caf::typed_actor<caf::reacts_to<write_done_ptr>>;
using log_writer_actor = caf::typed_actor<caf::reacts_to<write_job_ptr, write_sink_actor>>;

/// Spawned by the Raft actor only: as a linked, detached child.
log_writer_actor::behavior_type log_writer(log_writer_actor::pointer self, std::shared_ptr<store::member_disk> disk);

} // namespace troupe

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::write_job_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(troupe::write_done_ptr)

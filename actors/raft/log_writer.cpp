#include "actors/raft/log_writer.hpp"

#include "actors/support/scheduling.hpp"

#include <caf/event_based_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

namespace troupe {

namespace {

std::optional<status> run(store::member_disk& disk, const write_job& job) {
  try {
    auto r = disk.write(job.group);
    if (r && job.close) r = disk.close();
    if (!r) return r.error();
    return std::nullopt;
  } catch (const std::exception& e) {
    return errors::internal(std::string("the store failed: ") + e.what());
  }
}

} // namespace

log_writer_actor::behavior_type log_writer(log_writer_actor::pointer self, std::shared_ptr<store::member_disk> disk) {
  return {[self, disk = std::move(disk)](write_job_ptr& job, const write_sink_actor& sink) {
    const auto started = self->clock().now();
    auto done = std::make_shared<write_done>();
    done->error = run(*disk, *job);
    done->took = self->clock().now() - started;
    done->job = std::move(job);
    const run_here turn; // nothing is to be written before the Raft actor has had its turn
    caf::anon_send(sink, write_done_ptr(std::move(done)));
  }};
}

} // namespace troupe

// power_cut: turns a directory into one of those that its machine could find after it lost its power.
// Owner:  whoever killed the processes that worked in it, all of them.
// Units:  sectors of 512 bytes: each reaches the disk whole or not at all.
// Errors: std::runtime_error when the record (power_record.hpp) and the directory do not fit together.
// Source: ours; ALICE (Pillai et al., OSDI 2014) for the states worth showing.
//
// What was not synced is drawn from the seed. Of a file: as it was at its last sync, as the process left it, or of each
// sector the one or the other, where what never reached the disk behind the old end is zeros. Of names: all changes,
// none, those up to one of them, or any that do not rest on one that is missing: what was renamed must have been made
// before, under that name. A rename or an exchange is there as a whole or not at all.
#pragma once

#include <cstdint>
#include <string>

namespace troupe::disk_fault {

struct cut_report {
  std::size_t names_pending = 0, names_lost = 0; // changes of names that were not synced; those that are gone
  std::size_t files_changed = 0;                 // that are not as the process left them
};

/// The directory and its record, which then says that all of this is durable. The same seed and record, the same state.
cut_report cut_power(const std::string& directory, std::uint64_t seed);

} // namespace troupe::disk_fault

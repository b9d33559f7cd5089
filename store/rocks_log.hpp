// rocks_log: what RocksDB tells of itself: warnings and errors, into the file LOG of its directory, bounded.
// Owner:  the database it was given to; any of its threads writes.
// Units:  -
// Errors: none: a line that cannot be written is lost.
// Source: ours. Rejected: RocksDB's own log file (7.8): the line after one that did not fit on a full disk fails an
//         assertion, which ends the process; and it opens with some 40 KiB of options each time.
#pragma once

#include <rocksdb/env.h>

#include <memory>
#include <string>

namespace troupe::store {

std::shared_ptr<rocksdb::Logger> rocks_log(const std::string& dir);

} // namespace troupe::store

// rocks_wal: the files RocksDB works on; its write-ahead logs grow ahead of what is written to them.
// Owner:  rocks_db, which keeps the Env as long as its database.
// Units:  a log is followed by zeros, up to limits::wal_ahead_bytes_max of them; closing cuts them off.
// Errors: as RocksDB's own files; a log with damage inside is not opened for reading, and the place is told.
// Source: RocksDB 7.8, FileSystem; etcd preallocates its log likewise. docs/decisions/0010-log-grows-ahead.md.
//
// Why: a sync that finds the file longer than at the last one commits its size and blocks to the file system's journal.
// One that finds bytes replaced writes these bytes. Blocks that are only reserved (fallocate) do not count as written.
#pragma once

#include <rocksdb/env.h>

#include <memory>

namespace troupe::store {

std::unique_ptr<rocksdb::Env> env_with_grown_logs();

} // namespace troupe::store

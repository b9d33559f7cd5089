// layer_unpacker: one layer of an image → a directory that overlayfs can use as a lower directory.
// Owner:  image_store, under its import; any thread.
// Units:  bytes; limits::layer_*.
// Errors: 400 for content that is malformed, hostile or not what its digest says; 507 on a full disk; 403 without
//         the privilege to make devices, owners or opaque marks.
// Source: OCI image spec, layer.md (whiteouts); kernel overlayfs document (0/0 devices, trusted.overlay.opaque).
//
// No name in a layer can reach outside of the target: parents are opened with RESOLVE_IN_ROOT, so a link that an
// earlier entry made resolves as in a chroot, and the last component is never followed. `a -> /etc` followed by
// `a/passwd` writes TARGET/etc/passwd. Entries with ".." are refused, whatever they would resolve to.
#pragma once

#include "api/status.hpp"

#include <cstdint>
#include <string>

namespace troupe::runtime::image {

struct unpacked_layer {
  std::string diff_id;     // of the uncompressed tar
  std::string digest;      // of the file as it was
  std::uint64_t bytes = 0; // of regular files
};

/// `file`: a tar, plain or compressed with gzip, zstd, bzip2 or xz. `target`: an empty directory.
result<unpacked_layer> unpack_layer(const std::string& file, const std::string& target);

} // namespace troupe::runtime::image

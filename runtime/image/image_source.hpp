// image_source: an archive or directory from outside → the images in it, with verified configs and located layers.
// Owner:  image_store, under its import; any thread.
// Units:  limits::archive_*, limits::image_*.
// Errors: 400 for what is malformed, hostile, for another platform only, or does not match its digest; 507 disk full.
// Source: OCI image layout and image spec 1.0; Docker image spec 1.2 (`docker save`: manifest.json).
#pragma once

#include "runtime/engine.hpp"

#include <string>
#include <vector>

namespace troupe::runtime::image {

struct layer_source {
  std::string file;    // blob on disk
  std::string digest;  // expected of the file; empty: not stated
  std::string diff_id; // expected of the uncompressed tar
};
struct found_image {
  std::string id; // digest of the config
  image_config config;
  std::vector<std::string> references; // normalised
  std::vector<std::string> digests;    // of manifests
  std::vector<layer_source> layers;    // lowest first
};

/// Copies the files of a tar (plain or compressed) below `target`; links between them are resolved, nothing escapes.
result<void> stage_archive(const std::string& file, const std::string& target);
/// Reads an OCI layout or an unpacked `docker save`. `architecture` in Go's naming: amd64, arm64, …
result<std::vector<found_image>> read_images(const std::string& dir, const std::string& architecture);
/// Reads what `skopeo copy … dir:DIR` wrote: the manifest as the registry has it, blobs by their digits.
result<found_image> read_copied(const std::string& dir);
std::string host_architecture();

} // namespace troupe::runtime::image

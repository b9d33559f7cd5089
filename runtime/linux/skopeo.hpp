// skopeo: fetching an image into a directory.
// Owner:  image_store; any thread, blocks for the length of the transfer.
// Units:  -
// Errors: 404 no such image, 403 refused by the registry, 503 not reachable, 500 otherwise; with skopeo's last line.
// Source: skopeo-copy(1), containers-transports(5).
#pragma once

#include "api/status.hpp"

#include <string>

namespace troupe::runtime::linux_host {

/// `source` with its transport: "docker://…". Leaves `target` as skopeo's `dir:` format. `auth_json` may be empty; it
/// is written to `scratch`/auth.json (0600) for the time of the transfer and never printed.
result<void> skopeo_copy(const std::string& source, const std::string& target, const std::string& auth_json,
                         const std::string& scratch);

} // namespace troupe::runtime::linux_host

// files: reading and making the files of the PKI, for the sources of this folder only.
// Owner:  -; blocking calls, made at start.
// Units:  -
// Errors: the path and the system's reason.
// Source: ours.
#pragma once

#include "net/tls/pki.hpp"

namespace troupe::tls::detail {

result<std::string> read_file(const std::string& path);
bool exists(const std::string& path);
/// Parents 0755, the directory itself 0700.
result<void> make_private_dir(const std::string& path);

} // namespace troupe::tls::detail

// nft: nftables commands run in this process through libnftables; each text is one kernel transaction.
// Owner:  one at a time per process (libnftables keeps process-wide state): a mutex inside serializes calls.
// Units:  -
// Errors: status with the loader's words (line and text of the rule at fault); nothing is loaded then.
// Source: libnftables(3).
#pragma once

#include "api/status.hpp"

#include <string>

namespace troupe::net::nft {

/// Runs commands atomically in the network namespace of the calling thread.
result<void> run(const std::string& commands);
/// Runs one list command and returns its JSON; reading "nftables" array. A missing table or chain is an error.
result<json::value> list(const std::string& command);
/// Whether the kernel answers nf_tables requests in this namespace.
bool available();

} // namespace troupe::net::nft

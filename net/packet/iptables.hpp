// iptables: save and restore of packet rules through the host's iptables tools, in the backend the host uses.
// Owner:  -; blocks for milliseconds.
// Units:  restore waits at most 10 s for the tables' lock.
// Errors: status with the tool's words and line; 501 when iptables is not installed.
// Source: iptables-restore(8); backend choice as the kubernetes-sigs iptables-wrappers: where the rules are.
#pragma once

#include "api/status.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace troupe::net::iptables {

enum class backend { nft, legacy };
std::string_view to_string(backend b) noexcept;

/// Backends that hold rules of anyone now; may be empty.
std::vector<backend> in_use();
/// The backend to load our rules into: the one that holds more rules, else the host's default.
result<backend> pick();
/// Text of one table (`nat`, `filter`), as iptables-save prints it.
result<std::string> save(backend b, std::string_view table);
/// Loads with --noflush: only chains named in the text change.
result<void> restore(backend b, const std::string& text);
/// Lines of a save that belong to chains with the prefix or jump to them, turned into a restore text that removes
/// them; empty when there is nothing to remove.
std::string removal_of(const std::string& saved, std::string_view table, std::string_view prefix);
/// Removes every chain with the prefix from the tables nat and filter of all backends in use.
result<void> remove_prefix(std::string_view prefix);

} // namespace troupe::net::iptables

// rocks_meta: records of the meta family as bytes, and the sentences of a damaged store.
// Owner:  store/rocks_*; free functions.
// Units:  varints, in the order of the members.
// Errors: decoders return false for anything malformed.
// Source: ours.
#pragma once

#include "api/status.hpp"
#include "store/bytes.hpp"
#include "store/member_disk.hpp"

#include <string>
#include <string_view>

namespace troupe::store {

constexpr std::string_view damage_reason = "StoreDamaged";

/// Something on disk is not what was written there.
status damaged(const std::string& where, std::string_view what);
inline bool is_damage(const status& s) { return s.reason == damage_reason; }

/// A directory of somebody else: 409.
status not_ours(std::string message);

std::string encode_mark(const applied_mark& m);
bool decode_mark(std::string_view s, applied_mark& m);
std::string encode_position(const log_position& p);
bool decode_position(std::string_view s, log_position& p);
std::string encode_hard(const hard_state& h);
bool decode_hard(std::string_view s, hard_state& h);

} // namespace troupe::store

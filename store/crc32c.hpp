// crc32c: the Castagnoli checksum that guards log records.
// Owner:  -; free function.
// Units:  32 bits, final value (inverted), as in iSCSI.
// Errors: -
// Source: RFC 3720 appendix B.4; uses the SSE 4.2 instruction where the processor has it.
#pragma once

#include <cstdint>
#include <string_view>

namespace troupe::store {

std::uint32_t crc32c(std::string_view bytes, std::uint32_t before = 0);

} // namespace troupe::store

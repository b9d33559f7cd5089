// parcel_codec: a parcel as bytes, and back.
// Owner:  free functions; any thread.
// Units:  first byte is the version; decoding shares nothing with the input.
// Errors: false for anything that is not one whole, well-formed parcel; never more memory than the input's size times
//         a small constant.
// Source: ours.
#pragma once

#include "actors/raft/parcel.hpp"

#include <string>
#include <string_view>

namespace troupe::raft {

std::string encode_parcel(const parcel& p);
bool decode_parcel(std::string_view bytes, parcel& out);

} // namespace troupe::raft

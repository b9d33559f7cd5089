// image_record: an image as it is kept on disk, one JSON file each.
// Owner:  image_store; plain value.
// Units:  -
// Errors: decoding answers nothing for anything malformed.
// Source: ours.
#pragma once

#include "runtime/engine.hpp"

#include <optional>

namespace troupe::runtime::image {

std::string encode(const image_info& image);
std::optional<image_info> decode_image(std::string_view bytes);

} // namespace troupe::runtime::image

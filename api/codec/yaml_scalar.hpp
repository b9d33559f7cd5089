// yaml_scalar: what a plain YAML scalar means.
// Owner:  nobody; pure function.
// Units:  -
// Errors: nullopt for what JSON cannot hold (.inf, .nan).
// Source: sigs.k8s.io/yaml, which reads YAML 1.1 as go-yaml v2 does: yes/no/on/off are booleans, 0644 is octal,
//         1_000 is a number, dates stay strings.
#pragma once

#include "api/json.hpp"

#include <optional>
#include <string_view>

namespace troupe::codec {

std::optional<json::value> plain_scalar(std::string_view text);

} // namespace troupe::codec

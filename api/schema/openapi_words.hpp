// openapi_words: descriptions of types and fields, made from their names and rules.
// Owner:  nobody; pure functions.
// Units:  -
// Errors: -
// Source: ours; the data carries no prose, so what a reader needs is said from the facts it does carry.
#pragma once

#include "api/schema/registry.hpp"

#include <string>

namespace troupe::schema {

/// `Restart policy. One of Always, OnFailure, Never. Default: Always.`
std::string describe(const type& owner, const field& f);
std::string describe(const type& t);

} // namespace troupe::schema

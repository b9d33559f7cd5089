// accept: the clauses of an Accept header, in the order the client gave them.
// Owner:  nobody; views the header.
// Units:  at most clauses_max clauses are read.
// Errors: malformed clauses never match.
// Source: k8s API level 1.32, section 2: the first clause that can be served wins; quality factors are not weighed.
#pragma once

#include <cstddef>
#include <string_view>
#include <vector>

namespace troupe::schema {

inline constexpr std::size_t accept_clauses_max = 32;

struct accept_clause {
  std::string_view type; // application/json
  std::string_view as, g, v;
};

std::vector<accept_clause> accept_clauses(std::string_view header);
/// Plain JSON is among what the clause takes: `application/json`, `application/*`, `*/*` without a conversion.
bool takes_json(const accept_clause& c) noexcept;

} // namespace troupe::schema

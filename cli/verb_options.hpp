// verb_options: how a verb of `troupe` reads its words: options, --help, and operands, the same for all.
// Owner:  main thread of a verb.
// Units:  -
// Errors: wrong usage is told as one sentence that names `troupe VERB --help`.
// Source: Boost.Program_options.
#pragma once

#include "cli/verbs.hpp"

#include <boost/program_options/options_description.hpp>

#include <optional>
#include <string>
#include <vector>

namespace troupe::cli {

/// Fills what `shown` (printed by --help) points to, and `operands` where the verb takes any (null: it takes none).
/// The exit status when that already settled it: 0 after --help, 2 for wrong usage.
std::optional<int> parse_words(const std::string& verb, const args& words,
                               boost::program_options::options_description& shown,
                               std::vector<std::string>* operands = nullptr);

} // namespace troupe::cli

// verbs: the verbs of the `troupe` program, one function each in cli/verbs/<name>.cpp.
// Owner:  main thread.
// Units:  the return value is the process's exit status: 0 done, 1 failed, 2 wrong usage or config.
// Errors: told on standard error as one sentence that says what to do.
// Source: design section 6, outer contract.
#pragma once

#include <string>
#include <vector>

namespace troupe::cli {

using args = std::vector<std::string>;

int verb_up(const args&);
int verb_down(const args&);
int verb_image(const args&);
int verb_master(const args&);
int verb_backup(const args&);
int verb_restore(const args&);
int verb_recover(const args&);
int verb_version(const args&);

/// /var/lib/troupe for root, $XDG_DATA_HOME/troupe (or ~/.local/share/troupe) otherwise.
std::string default_data_dir();
/// Prints `troupe: <sentence>` to standard error and returns `code`.
int complain(const std::string& sentence, int code = 1);

} // namespace troupe::cli

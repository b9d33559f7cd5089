// process: runs one short program with a text on its standard input and returns what it printed.
// Owner:  -; blocks the calling thread until the program ends.
// Units:  output at most limits::child_output_bytes_max; time in seconds, the child is killed when it runs over.
// Errors: status with the program's own words; 501 when the program is not installed.
// Source: ours; only for iptables-save, iptables-restore and modprobe, which have no library.
#pragma once

#include "api/status.hpp"

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

namespace troupe::net {

/// `argv[0]` is looked up in PATH and the usual sbin folders. An exit status other than 0 is an error.
result<std::string> run_program(const std::vector<std::string>& argv, std::string_view input,
                                std::chrono::seconds time_max = std::chrono::seconds{30});
/// Path of a program, or empty.
std::string find_program(std::string_view name);

} // namespace troupe::net

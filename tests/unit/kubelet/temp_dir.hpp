// temp_dir: a directory of one test, removed with everything in it.
// Owner:  one test.
// Units:  -
// Errors: -
// Source: ours.
#pragma once

#include "actors/kubelet/volume/tmpfs_backend.hpp"

#include <cstdlib>
#include <filesystem>
#include <string>

namespace troupe::kubelet::test {

struct temp_dir {
  std::string path;
  temp_dir() {
    char name[] = "/tmp/troupe-kubelet-test-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~temp_dir() {
    (void)unmount_below(path);
    std::error_code ec;
    std::filesystem::remove_all(path, ec);
  }
  temp_dir(const temp_dir&) = delete;
};

} // namespace troupe::kubelet::test

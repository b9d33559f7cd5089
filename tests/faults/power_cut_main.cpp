// power_cut DIRECTORY SEED: the program form of power_cut.hpp, for tests/faults/disk.py. Prints what was lost.
#include "tests/faults/power_cut.hpp"

#include <cstdlib>
#include <exception>
#include <iostream>

int main(int argc, char** argv) {
  if (argc != 3) {
    std::cerr << "usage: power_cut DIRECTORY SEED\n";
    return 2;
  }
  try {
    const auto r = troupe::disk_fault::cut_power(argv[1], std::strtoull(argv[2], nullptr, 10));
    std::cout << r.names_lost << " of " << r.names_pending << " changes of names that were not synced are gone, "
              << r.files_changed << " files are not as they were\n";
  } catch (const std::exception& e) {
    std::cerr << e.what() << "\n";
    return 1;
  }
}

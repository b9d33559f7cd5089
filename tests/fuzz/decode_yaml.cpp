#include "tests/fuzz/whole_path.hpp"

#include <cstddef>
#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  troupe::test::whole_path({reinterpret_cast<const char*>(data), size}, "application/yaml");
  return 0;
}

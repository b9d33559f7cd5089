// Input: options in the first bytes, then a container's log file, fed whole and in pieces; both must tell the same.
#include "actors/kubelet/stream/log_reader.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 3) return 0;
  kubelet::log_options options;
  options.timestamps = data[0] & 1;
  if (data[0] & 2) options.bytes_max = data[1];
  if (data[0] & 4) options.since_ns = 1'767'225'600'000'000'000;
  const std::size_t piece = data[2] + 1u;
  const auto raw = test::text_of(data + 3, size - 3);
  kubelet::log_formatter whole{options}, parts{options};
  std::string told;
  for (std::size_t at = 0; at < raw.size(); at += piece)
    told += parts.feed(raw.substr(at, piece));
  test::must(whole.feed(raw) == told);
  kubelet::parse_log_line(raw);
  return 0;
}

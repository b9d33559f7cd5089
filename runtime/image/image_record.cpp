// image_record: an image as it is kept on disk, one JSON file each.
#include "runtime/image/image_record.hpp"

namespace troupe::runtime::image {
namespace {

json::array list(const std::vector<std::string>& in) {
  json::array out;
  for (const auto& s : in)
    out.emplace_back(s);
  return out;
}

std::vector<std::string> texts(const json::value& v, std::initializer_list<std::string_view> path) {
  std::vector<std::string> out;
  for (const auto& e : jq::arr(v, path))
    if (e.is_string()) out.emplace_back(jq::view(e.as_string()));
  return out;
}

} // namespace

std::string encode(const image_info& i) {
  return json::serialize(json::object{{"id", i.id},
                                      {"references", list(i.references)},
                                      {"digests", list(i.digests)},
                                      {"bytes", i.bytes},
                                      {"layers", list(i.layers)},
                                      {"config", json::object{{"entrypoint", list(i.config.entrypoint)},
                                                              {"cmd", list(i.config.cmd)},
                                                              {"env", list(i.config.env)},
                                                              {"workingDir", i.config.working_dir},
                                                              {"user", i.config.user},
                                                              {"stopSignal", i.config.stop_signal}}}});
}

std::optional<image_info> decode_image(std::string_view bytes) {
  json::error_code ec;
  const auto v = json::parse({bytes.data(), bytes.size()}, ec);
  if (ec) return std::nullopt;
  image_info out;
  out.id = std::string(jq::str(v, {"id"}));
  out.references = texts(v, {"references"});
  out.digests = texts(v, {"digests"});
  out.bytes = static_cast<std::uint64_t>(jq::num(v, {"bytes"}));
  out.layers = texts(v, {"layers"});
  out.config.entrypoint = texts(v, {"config", "entrypoint"});
  out.config.cmd = texts(v, {"config", "cmd"});
  out.config.env = texts(v, {"config", "env"});
  out.config.working_dir = std::string(jq::str(v, {"config", "workingDir"}));
  out.config.user = std::string(jq::str(v, {"config", "user"}));
  out.config.stop_signal = std::string(jq::str(v, {"config", "stopSignal"}));
  if (out.id.empty() || out.layers.empty()) return std::nullopt;
  return out;
}

} // namespace troupe::runtime::image

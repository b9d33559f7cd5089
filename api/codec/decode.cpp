#include "api/codec/json_decode.hpp"

#include <algorithm>

namespace troupe::codec {

namespace {

constexpr std::string_view accepted = "application/json, application/yaml, application/vnd.kubernetes.protobuf";

std::string_view trimmed(std::string_view s) noexcept {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t'))
    s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t'))
    s.remove_suffix(1);
  return s;
}

bool same_word(std::string_view a, std::string_view lower) noexcept {
  return std::equal(a.begin(), a.end(), lower.begin(), lower.end(),
                    [](char x, char y) { return (x >= 'A' && x <= 'Z' ? static_cast<char>(x - 'A' + 'a') : x) == y; });
}

} // namespace

media media_of(std::string_view content_type) noexcept {
  const auto type = trimmed(content_type.substr(0, content_type.find(';')));
  if (type.empty() || type == "*/*") return media::json;
  if (same_word(type, "application/json")) return media::json;
  if (same_word(type, "application/yaml")) return media::yaml;
  if (same_word(type, "application/vnd.kubernetes.protobuf")) return media::protobuf;
  return media::other;
}

result<decoded> decode_body(std::string_view bytes, std::string_view content_type, const schema::type* expected) {
  switch (media_of(content_type)) {
  case media::json: return parse_json(bytes);
  case media::yaml: return parse_yaml(bytes);
  case media::protobuf: return parse_protobuf(bytes, expected);
  case media::other: break;
  }
  return errors::unsupported_media_type(accepted);
}

} // namespace troupe::codec

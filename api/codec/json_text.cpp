#include "api/codec/tree_builder.hpp"

#include <boost/json/basic_parser_impl.hpp>

namespace troupe::codec {

namespace {

using error = boost::system::error_code;

/// What Boost.JSON's parser calls; strings arrive in parts when they carry escapes.
struct handler {
  static constexpr std::size_t max_array_size = ~std::size_t{0};
  static constexpr std::size_t max_object_size = ~std::size_t{0};
  static constexpr std::size_t max_string_size = ~std::size_t{0};
  static constexpr std::size_t max_key_size = ~std::size_t{0};

  tree_builder tree;
  std::string part;

  bool deep(bool ok, error& ec) {
    if (!ok) ec = json::error::too_deep;
    return ok;
  }
  bool on_document_begin(error&) { return true; }
  bool on_document_end(error&) { return true; }
  bool on_object_begin(error& ec) { return deep(tree.begin_object(), ec); }
  bool on_object_end(std::size_t, error&) { return tree.end(), true; }
  bool on_array_begin(error& ec) { return deep(tree.begin_array(), ec); }
  bool on_array_end(std::size_t, error&) { return tree.end(), true; }
  bool on_key_part(json::string_view s, std::size_t, error&) { return part.append(s.data(), s.size()), true; }
  bool on_key(json::string_view s, std::size_t, error&) {
    if (part.empty()) return tree.key(jq::view(s)), true;
    part.append(s.data(), s.size());
    tree.key(part);
    part.clear();
    return true;
  }
  bool on_string_part(json::string_view s, std::size_t, error&) { return part.append(s.data(), s.size()), true; }
  bool on_string(json::string_view s, std::size_t, error&) {
    if (part.empty()) return tree.text(jq::view(s)), true;
    part.append(s.data(), s.size());
    tree.text(part);
    part.clear();
    return true;
  }
  bool on_number_part(json::string_view, error&) { return true; }
  bool on_int64(std::int64_t v, json::string_view, error&) { return tree.scalar(v), true; }
  bool on_uint64(std::uint64_t v, json::string_view, error&) { return tree.scalar(v), true; }
  bool on_double(double v, json::string_view, error&) { return tree.scalar(v), true; }
  bool on_bool(bool v, error&) { return tree.scalar(v), true; }
  bool on_null(error&) { return tree.scalar(nullptr), true; }
  bool on_comment_part(json::string_view, error&) { return true; }
  bool on_comment(json::string_view, error&) { return true; }
};

std::string where(std::string_view text, std::size_t offset) {
  std::size_t line = 1;
  std::size_t column = 1;
  for (std::size_t i = 0; i < offset && i < text.size(); ++i) {
    if (text[i] == '\n') {
      ++line;
      column = 1;
    } else {
      ++column;
    }
  }
  return "line " + std::to_string(line) + ", column " + std::to_string(column);
}

} // namespace

result<decoded> parse_json(std::string_view text) {
  json::parse_options options;
  options.max_depth = limits::depth_max;
  json::basic_parser<handler> parser(options);
  error ec;
  const auto used = parser.write_some(false, text.data(), text.size(), ec);
  if (!ec && used < text.size()) ec = json::error::extra_data;
  if (ec == json::error::incomplete || (!ec && !parser.done()))
    return errors::bad_request("json parse error: unexpected end of JSON input");
  if (ec) return errors::bad_request("json parse error: " + ec.message() + " at " + where(text, used));
  auto& tree = parser.handler().tree;
  return decoded{std::move(tree.root()), std::move(tree.duplicates())};
}

} // namespace troupe::codec

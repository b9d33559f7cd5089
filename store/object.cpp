#include "store/object.hpp"

#include "store/txn.hpp"

#include <algorithm>
#include <charconv>

namespace troupe::store {

const std::string* object_meta::label(std::string_view key) const noexcept {
  auto it = std::lower_bound(labels.begin(), labels.end(), key,
                             [](const auto& l, std::string_view k) { return l.first < k; });
  return it != labels.end() && it->first == key ? &it->second : nullptr;
}

object_meta make_meta(const json::value& doc) {
  object_meta m;
  m.uid = jq::str(doc, {"metadata", "uid"});
  for (const auto& [k, v] : jq::obj(doc, {"metadata", "labels"}))
    if (const auto* s = v.if_string()) m.labels.emplace_back(jq::view(k), jq::view(*s));
  std::sort(m.labels.begin(), m.labels.end());
  for (const auto& ref : jq::arr(doc, {"metadata", "ownerReferences"}))
    if (auto uid = jq::str(ref, {"uid"}); !uid.empty()) m.owner_uids.emplace_back(uid);
  const auto* deleted = jq::find(doc, {"metadata", "deletionTimestamp"});
  m.deleting = deleted && !deleted->is_null();
  m.node_name = jq::str(doc, {"spec", "nodeName"});
  return m;
}

const object_meta& object::meta() const {
  std::call_once(once_, [this] {
    unsigned char stack[8192];
    json::monotonic_resource arena(stack, sizeof stack);
    boost::system::error_code ec;
    auto doc = json::parse({bytes.data(), bytes.size()}, ec, &arena, {.max_depth = 256});
    meta_ = std::make_unique<const object_meta>(ec ? object_meta{} : make_meta(doc));
  });
  return *meta_;
}

json::value object::parse() const {
  boost::system::error_code ec;
  auto doc = json::parse({bytes.data(), bytes.size()}, ec, {}, {.max_depth = 256});
  return ec ? json::value{} : doc;
}

namespace {

constexpr std::string_view rv_key = "\"resourceVersion\":\"";

std::size_t skip_string(std::string_view s, std::size_t i) {
  for (++i; i < s.size() && s[i] != '"'; ++i)
    if (s[i] == '\\') ++i;
  return i + 1;
}

/// Offset behind `"resourceVersion":"` at depth 2 inside metadata, in compact JSON; npos when there is none.
std::size_t find_revision_digits(std::string_view s) {
  int depth = 0;
  bool in_metadata = false;
  for (std::size_t i = 0; i < s.size();) {
    const char c = s[i];
    if (c == '"') {
      const bool is_key = i > 0 && (s[i - 1] == '{' || s[i - 1] == ',');
      if (is_key && depth == 1) in_metadata = s.substr(i).starts_with("\"metadata\":{");
      if (is_key && depth == 2 && in_metadata && s.substr(i).starts_with(rv_key)) return i + rv_key.size();
      i = skip_string(s, i);
      continue;
    }
    if (c == '{' || c == '[') ++depth;
    if (c == '}' || c == ']') --depth;
    ++i;
  }
  return std::string_view::npos;
}

} // namespace

std::pair<std::string, std::size_t> encode_for_put(json::value& doc) {
  if (!doc.is_object()) return {json::serialize(doc), std::string::npos};
  auto& meta = jq::at(doc, {"metadata"});
  if (!meta.is_object()) meta = json::object(doc.storage());
  meta.as_object()["resourceVersion"] = "";
  thread_local std::string buffer;
  buffer.clear();
  json::serializer out;
  out.reset(&doc);
  char chunk[16 * 1024];
  while (!out.done()) {
    auto piece = out.read(chunk, sizeof chunk);
    buffer.append(piece.data(), piece.size());
  }
  std::string bytes(buffer);
  if (buffer.capacity() > (1u << 20)) std::string().swap(buffer);
  const auto offset = find_revision_digits(bytes);
  return {std::move(bytes), offset};
}

namespace {
struct digits_of {
  explicit digits_of(revision rev) : end(std::to_chars(text, text + sizeof text, rev).ptr) {}
  operator std::string_view() const { return {text, end}; }
  char text[24];
  const char* end;
};
} // namespace

exact_text splice_revision(std::string_view bytes, std::size_t offset, revision rev) {
  if (offset >= bytes.size()) return bytes;
  return {bytes.substr(0, offset), digits_of(rev), bytes.substr(offset)};
}

exact_text respliced(const object& last, revision rev) {
  const std::string_view bytes = last.bytes;
  const auto end = last.rv_offset < bytes.size() ? bytes.find('"', last.rv_offset) : std::string_view::npos;
  if (end == std::string_view::npos) return bytes;
  return {bytes.substr(0, last.rv_offset), digits_of(rev), bytes.substr(end)};
}

} // namespace troupe::store

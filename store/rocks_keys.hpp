// rocks_keys: how keys and values of the column families look.
// Owner:  store/rocks_backend; free functions.
// Units:  log: BE64(index) -> crc32c(4, little endian) varint(term) kind payload
//         objects: table 0 ns 0 name 0 BE64(~revision) -> flag varint(created) varint(rv_offset + 1) document
//         history: BE64(revision) -> per change: type, table, ns, name, varint(previous revision)
// Errors: decoders return false for anything malformed.
// Source: ours; newest version first, so that one seek finds the state at a revision.
#pragma once

#include "store/bytes.hpp"
#include "store/crc32c.hpp"
#include "store/log_entry.hpp"
#include "store/state_machine.hpp"

#include <string>
#include <string_view>

namespace troupe::store::rocks {

constexpr char live = 0, gone = 1;

inline std::string object_prefix(std::string_view table, std::string_view ns, std::string_view name) {
  std::string k;
  k.reserve(table.size() + ns.size() + name.size() + 11);
  k.append(table).push_back('\0');
  k.append(ns).push_back('\0');
  k.append(name).push_back('\0');
  return k;
}
inline std::string object_key(std::string_view table, std::string_view ns, std::string_view name, revision rev) {
  auto k = object_prefix(table, ns, name);
  put_be64(k, ~rev);
  return k;
}
struct object_key_ref {
  std::string_view prefix; // up to and with the third NUL
  std::string_view table, ns, name;
  revision rev = 0;
};
inline bool parse_object_key(std::string_view k, object_key_ref& out) {
  if (k.size() < 11) return false;
  out.prefix = k.substr(0, k.size() - 8);
  out.rev = ~get_be64(k.substr(k.size() - 8));
  const auto a = out.prefix.find('\0');
  const auto b = a == std::string_view::npos ? a : out.prefix.find('\0', a + 1);
  if (b == std::string_view::npos || out.prefix.back() != '\0' || b + 1 >= out.prefix.size()) return false;
  out.table = out.prefix.substr(0, a);
  out.ns = out.prefix.substr(a + 1, b - a - 1);
  out.name = out.prefix.substr(b + 1, out.prefix.size() - b - 2);
  return true;
}

/// What stands before the document.
inline std::string object_head(const object& o, bool deleted) {
  std::string v(1, deleted ? gone : live);
  put_varint(v, o.created);
  put_varint(v, o.rv_offset + 1);
  return v;
}
/// Null and true for a deletion.
inline bool parse_object(const object_key_ref& k, std::string_view v, object_ptr& out) {
  byte_reader in(v);
  const auto flag = in.byte();
  auto o = std::make_shared<object>();
  o->created = in.varint();
  o->rv_offset = static_cast<std::size_t>(in.varint()) - 1;
  if (in.bad() || flag > gone) return false;
  out = nullptr;
  if (flag == gone) return true;
  o->ns = k.ns;
  o->name = k.name;
  o->mod = k.rev;
  o->bytes = in.rest();
  out = std::move(o);
  return true;
}

inline std::string log_key(log_index i) {
  std::string k;
  put_be64(k, i.v);
  return k;
}
inline std::string log_head(const log_entry& e) {
  std::string head;
  put_varint(head, e.term.v);
  head.push_back(static_cast<char>(e.kind));
  auto crc = crc32c(head, crc32c(log_key(e.index)));
  if (e.payload) crc = crc32c(*e.payload, crc);
  std::string out(4, '\0');
  for (int i = 0; i < 4; ++i)
    out[static_cast<std::size_t>(i)] = static_cast<char>(crc >> (8 * i));
  return out + head;
}
inline bool parse_log(log_index index, std::string_view v, log_entry& out) {
  if (v.size() < 6) return false;
  std::uint32_t want = 0;
  for (std::size_t i = 0; i < 4; ++i)
    want |= static_cast<std::uint32_t>(static_cast<unsigned char>(v[i])) << (8 * i);
  if (crc32c(v.substr(4), crc32c(log_key(index))) != want) return false;
  byte_reader in(v.substr(4));
  out.index = index;
  out.term = log_term{in.varint()};
  const auto kind = in.byte();
  if (in.bad() || kind > static_cast<std::uint8_t>(entry_kind::check)) return false;
  out.kind = static_cast<entry_kind>(kind);
  out.payload = in.rest().empty() ? nullptr : std::make_shared<const std::string>(in.rest());
  return true;
}

} // namespace troupe::store::rocks

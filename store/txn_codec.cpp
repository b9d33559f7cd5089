#include "store/txn_codec.hpp"

#include "store/bytes.hpp"
#include "store/limits.hpp"

#include <algorithm>
#include <set>
#include <tuple>

namespace troupe::store {

namespace {

constexpr char format_version = 1;
constexpr char framed_version = write_frame_mark;

void put_key(std::string& out, const object_key& k) {
  put_text(out, k.table);
  put_text(out, k.ns);
  put_text(out, k.name);
}

key_ref get_key(byte_reader& in) {
  key_ref k;
  k.table = in.text();
  k.ns = in.text();
  k.name = in.text();
  return k;
}

std::size_t encoded_bytes(const txn& t) {
  auto key = [](const object_key& k) { return k.table.size() + k.ns.size() + k.name.size() + 12; };
  std::size_t n = 32;
  for (const auto& c : t.compares)
    n += key(c.key) + 10;
  for (const auto& p : t.puts)
    n += key(p.key) + p.bytes.size() + 16;
  for (const auto& e : t.erases)
    n += key(e.key);
  return n;
}

bool valid_part(std::string_view s) {
  return s.size() <= limits::key_part_bytes_max && s.find('\0') == std::string_view::npos;
}

} // namespace

std::string encode_txn(const txn& t) {
  std::string out;
  out.reserve(encoded_bytes(t));
  out.push_back(format_version);
  put_varint(out, t.fence_term);
  put_varint(out, t.compares.size());
  for (const auto& c : t.compares) {
    put_key(out, c.key);
    put_varint(out, c.mod);
  }
  put_varint(out, t.puts.size());
  for (const auto& p : t.puts) {
    put_key(out, p.key);
    put_varint(out, p.rv_offset + 1); // npos becomes 0
    put_text(out, p.bytes);
  }
  put_varint(out, t.erases.size());
  for (const auto& e : t.erases)
    put_key(out, e.key);
  return out;
}

bool decode_txn(std::string_view bytes, txn_ref& out) {
  out.compares.clear();
  out.puts.clear();
  out.erases.clear();
  byte_reader in(bytes);
  auto version = in.byte();
  if (version == framed_version) { // a write id stands before it
    in.take(8);
    in.varint();
    version = in.byte();
  }
  if (version != format_version) return false;
  out.fence_term = in.varint();
  for (auto n = in.varint(); n > 0 && !in.bad(); --n) {
    auto& c = out.compares.emplace_back();
    c.key = get_key(in);
    c.mod = in.varint();
  }
  for (auto n = in.varint(); n > 0 && !in.bad(); --n) {
    auto& p = out.puts.emplace_back();
    p.key = get_key(in);
    p.rv_offset = static_cast<std::size_t>(in.varint()) - 1;
    p.bytes = in.text();
  }
  for (auto n = in.varint(); n > 0 && !in.bad(); --n)
    out.erases.push_back(get_key(in));
  return in.done();
}

result<void> check(const txn& t) {
  if (t.compares.size() + t.puts.size() + t.erases.size() > limits::txn_ops_max)
    return errors::too_large("a transaction holds at most " + std::to_string(limits::txn_ops_max) + " operations");
  if (encoded_bytes(t) > limits::txn_bytes_max)
    return errors::too_large("a transaction holds at most " + std::to_string(limits::txn_bytes_max >> 20) + " MiB");
  auto bad_key = [](const object_key& k) {
    return k.table.empty() || k.name.empty() || !valid_part(k.table) || !valid_part(k.ns) || !valid_part(k.name);
  };
  for (const auto& c : t.compares)
    if (bad_key(c.key)) return errors::bad_request("a compared key is empty, too long or holds a NUL byte");
  for (const auto& p : t.puts) {
    if (bad_key(p.key)) return errors::bad_request("a written key is empty, too long or holds a NUL byte");
    if (p.bytes.size() > limits::object_bytes_max)
      return errors::too_large("an object holds at most " + std::to_string(limits::object_bytes_max) + " bytes");
    if (p.rv_offset != std::string::npos && p.rv_offset >= p.bytes.size())
      return errors::bad_request("the place of the resourceVersion lies outside the object");
  }
  for (const auto& e : t.erases)
    if (bad_key(e.key)) return errors::bad_request("an erased key is empty, too long or holds a NUL byte");
  if (t.puts.size() + t.erases.size() < 2) return {};
  std::set<std::tuple<std::string_view, std::string_view, std::string_view>> seen;
  auto twice = [&](const object_key& k) { return !seen.emplace(k.table, k.ns, k.name).second; };
  const bool again = std::any_of(t.puts.begin(), t.puts.end(), [&](const put& p) { return twice(p.key); }) ||
                     std::any_of(t.erases.begin(), t.erases.end(), [&](const erase& e) { return twice(e.key); });
  if (again) return errors::bad_request("a transaction writes the same key twice");
  return {};
}

} // namespace troupe::store

#include "actors/raft/parcel_codec.hpp"

#include "store/bytes.hpp"
#include "store/rocks_backend.hpp"

namespace troupe::raft {

namespace {

using store::byte_reader;
using store::put_text;
using store::put_varint;

constexpr std::uint8_t version = 3;

// One overload of `put` and `get` per type; the order of fields is the format.

void put(std::string& out, std::uint64_t v) { put_varint(out, v); }
void put(std::string& out, bool v) { out.push_back(v ? 1 : 0); }
template <class Tag>
void put(std::string& out, store::tagged<Tag> v) {
  put_varint(out, v.v);
}
void put(std::string& out, const log_position& p) {
  put(out, p.index);
  put(out, p.term);
}
void put(std::string& out, const bytes_ptr& p) { put_text(out, p ? std::string_view(*p) : std::string_view()); }
void put(std::string& out, const write_id& id) {
  store::put_be64(out, id.life);
  put(out, id.number);
}
void put(std::string& out, const log_entry& e) {
  put(out, e.term);
  out.push_back(static_cast<char>(e.kind));
  put(out, e.payload);
}

bool get_bool(byte_reader& in) { return in.byte() != 0; }
template <class T>
T get_id(byte_reader& in) {
  return T{in.varint()};
}
log_position get_position(byte_reader& in) {
  const auto index = get_id<log_index>(in);
  return {index, get_id<log_term>(in)};
}
bytes_ptr get_bytes(byte_reader& in) {
  const auto s = in.text();
  return s.empty() ? nullptr : std::make_shared<const std::string>(s);
}

// ---------------------------------------------------------------- bodies, tagged by their place in the variant

struct body_writer {
  std::string& out;
  void operator()(const vote_request& r) {
    put(out, r.last);
    put(out, r.pre);
    put(out, r.transfer);
  }
  void operator()(const vote_reply& r) {
    put(out, r.granted);
    put(out, r.pre);
  }
  void operator()(const append_request& r) {
    put(out, r.prev);
    put(out, r.commit);
    put(out, r.tells);
    put(out, std::uint64_t{r.entries.size()});
    for (const auto& e : r.entries) // indexes run on from prev
      put(out, e);
  }
  void operator()(const append_reply& r) {
    put(out, r.ok);
    put(out, r.match);
    put(out, r.hint);
    put(out, r.lost);
    put(out, r.held);
  }
  void operator()(const heartbeat& r) {
    put(out, r.commit);
    put(out, r.round);
  }
  void operator()(const heartbeat_reply& r) { put(out, r.round); }
  void operator()(const snapshot_chunk& r) {
    put(out, r.meta.at);
    put_text(out, store::encode_config(r.meta.config));
    put(out, r.offset);
    put(out, r.data);
    put(out, r.last);
  }
  void operator()(const snapshot_reply& r) {
    put(out, r.at);
    put(out, r.next_offset);
  }
  void operator()(const timeout_now&) {}
  void operator()(const read_request& r) { put(out, r.id); }
  void operator()(const read_reply& r) {
    put(out, r.id);
    put(out, r.index);
    put(out, r.ok);
  }
};

bool get(byte_reader& in, vote_request& r) {
  r.last = get_position(in);
  r.pre = get_bool(in);
  r.transfer = get_bool(in);
  return true;
}
bool get(byte_reader& in, vote_reply& r) {
  r.granted = get_bool(in);
  r.pre = get_bool(in);
  return true;
}
bool get(byte_reader& in, append_request& r) {
  r.prev = get_position(in);
  r.commit = get_id<log_index>(in);
  r.tells = get_bool(in);
  auto at = r.prev.index;
  for (auto n = in.varint(); n > 0 && !in.bad(); --n) {
    log_entry e;
    e.index = at = at.next();
    e.term = get_id<log_term>(in);
    const auto kind = in.byte();
    if (kind > static_cast<std::uint8_t>(entry_kind::check)) return false;
    e.kind = static_cast<entry_kind>(kind);
    e.payload = get_bytes(in);
    if (!in.bad()) r.entries.push_back(std::move(e));
  }
  return true;
}
bool get(byte_reader& in, append_reply& r) {
  r.ok = get_bool(in);
  r.match = get_id<log_index>(in);
  r.hint = get_position(in);
  r.lost = get_bool(in);
  r.held = get_bool(in);
  return true;
}
bool get(byte_reader& in, heartbeat& r) {
  r.commit = get_id<log_index>(in);
  r.round = in.varint();
  return true;
}
bool get(byte_reader& in, heartbeat_reply& r) {
  r.round = in.varint();
  return true;
}
bool get(byte_reader& in, snapshot_chunk& r) {
  r.meta.at = get_position(in);
  if (!store::decode_config(in.text(), r.meta.config)) return false;
  r.offset = in.varint();
  r.data = get_bytes(in);
  r.last = get_bool(in);
  return true;
}
bool get(byte_reader& in, snapshot_reply& r) {
  r.at = get_position(in);
  r.next_offset = in.varint();
  return true;
}
bool get(byte_reader&, timeout_now&) { return true; }
bool get(byte_reader& in, read_request& r) {
  r.id = in.varint();
  return true;
}
bool get(byte_reader& in, read_reply& r) {
  r.id = in.varint();
  r.index = get_id<log_index>(in);
  r.ok = get_bool(in);
  return true;
}

template <std::size_t I = 0>
bool get_body(byte_reader& in, std::size_t which, message_body& out) {
  if constexpr (I < std::variant_size_v<message_body>) {
    if (which != I) return get_body<I + 1>(in, which, out);
    return get(in, out.emplace<I>());
  }
  return false;
}

write_id get_write_id(byte_reader& in) {
  const auto life = store::get_be64(in.take(8));
  return {life, in.varint()};
}

/// Calls `one` for each of the announced elements, as long as the input lasts.
template <class Fn>
bool each(byte_reader& in, Fn one) {
  for (auto n = in.varint(); n > 0; --n)
    if (in.bad() || !one()) return false;
  return !in.bad();
}

} // namespace

std::string encode_parcel(const parcel& p) {
  std::string out(1, static_cast<char>(version));
  put(out, p.from);
  put(out, p.to);
  put(out, std::uint64_t{p.messages.size()});
  for (const auto& m : p.messages) {
    put(out, m.term);
    out.push_back(static_cast<char>(m.body.index()));
    std::visit(body_writer{out}, m.body);
  }
  put(out, std::uint64_t{p.forwards.size()});
  for (const auto& f : p.forwards) {
    put(out, f.term);
    put(out, f.batch);
    put(out, std::uint64_t{f.payloads.size()});
    for (const auto& b : f.payloads)
      put(out, b);
  }
  put(out, std::uint64_t{p.refusals.size()});
  for (const auto& r : p.refusals) {
    put(out, r.term);
    out.push_back(static_cast<char>(r.why));
    put(out, r.batch);
    put(out, std::uint64_t{r.ids.size()});
    for (const auto& id : r.ids)
      put(out, id);
  }
  put(out, std::uint64_t{p.hashes.size()});
  for (const auto& h : p.hashes) {
    put(out, h.at);
    store::put_be64(out, h.hash);
  }
  put(out, std::uint64_t{p.verdicts.size()});
  for (const auto& v : p.verdicts) {
    put(out, v.at);
    store::put_be64(out, v.expected);
    store::put_be64(out, v.found);
  }
  return out;
}

bool decode_parcel(std::string_view bytes, parcel& out) {
  byte_reader in(bytes);
  out = {};
  if (in.byte() != version) return false;
  out.from = get_id<member_id>(in);
  out.to = get_id<member_id>(in);
  const bool whole = each(in,
                          [&] {
                            auto& m = out.messages.emplace_back();
                            m.from = out.from;
                            m.to = out.to;
                            m.term = get_id<log_term>(in);
                            const auto which = in.byte();
                            return get_body(in, which, m.body);
                          }) &&
                     each(in,
                          [&] {
                            auto& f = out.forwards.emplace_back();
                            f.term = get_id<log_term>(in);
                            f.batch = get_write_id(in);
                            return each(in, [&] {
                              f.payloads.push_back(get_bytes(in));
                              return f.payloads.back() != nullptr;
                            });
                          }) &&
                     each(in,
                          [&] {
                            auto& r = out.refusals.emplace_back();
                            r.term = get_id<log_term>(in);
                            const auto why = in.byte();
                            if (why > static_cast<std::uint8_t>(refusal::no_space)) return false;
                            r.why = static_cast<refusal>(why);
                            r.batch = get_write_id(in);
                            return each(in, [&] {
                              r.ids.push_back(get_write_id(in));
                              return true;
                            });
                          }) &&
                     each(in,
                          [&] {
                            auto& h = out.hashes.emplace_back();
                            h.at = get_id<log_index>(in);
                            h.hash = store::get_be64(in.take(8));
                            return true;
                          }) &&
                     each(in, [&] {
                       auto& v = out.verdicts.emplace_back();
                       v.at = get_id<log_index>(in);
                       v.expected = store::get_be64(in.take(8));
                       v.found = store::get_be64(in.take(8));
                       return true;
                     });
  return whole && in.done();
}

} // namespace troupe::raft

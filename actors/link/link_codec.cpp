#include "actors/link/link_codec.hpp"

#include "actors/link/link_limits.hpp"
#include "store/bytes.hpp"

#include <array>

namespace troupe::link {

using store::byte_reader;
using store::put_text;
using store::put_varint;

namespace {

struct type_facts {
  std::string_view name;
  std::size_t bytes_max;
  bool by_client, by_master;
};

constexpr std::size_t small = limits::link::frame_bytes_max, big = limits::link::object_frame_bytes_max;
constexpr std::array<type_facts, std::variant_size_v<message>> facts{{
    {"hello", small, false, false},
    {"welcome", limits::link::welcome_bytes_max, false, false},
    {"refused", limits::link::welcome_bytes_max, false, false},
    {"bye", small, true, true},
    {"masters", small, false, true},
    {"master state", small, false, true},
    {"call", big, true, false},
    {"answer", big, false, true},
    {"subscribe", small, true, false},
    {"unsubscribe", small, true, false},
    {"credit", small, true, false},
    {"feed begin", small, false, true},
    {"table begin", small, false, true},
    {"table objects", big, false, true},
    {"table end", small, false, true},
    {"feed events", big, false, true},
    {"feed commit", small, false, true},
    {"ping", small, true, true},
    {"pong", small, true, true},
    {"stream open", small, false, true},
    {"stream answer", small, true, false},
    {"stream piece", small, true, false},
    {"stream next", small, false, true},
    {"stream input", small, false, true},
    {"stream drained", small, true, false},
    {"stream close input", small, false, true},
    {"stream close", small, true, true},
    {"stats question", small, false, true},
    {"stats answer", big, true, false},
    {"start over", small, false, true},
}};

// ---------------------------------------------------------------- writing

void put_flag(std::string& out, bool b) { out.push_back(b ? 1 : 0); }

/// Signed numbers as zigzag: -1 stays one byte.
void put_signed(std::string& out, std::int64_t v) {
  put_varint(out, (static_cast<std::uint64_t>(v) << 1) ^ static_cast<std::uint64_t>(v >> 63));
}

void put_object(std::string& out, const store::object& o) {
  put_text(out, o.ns);
  put_text(out, o.name);
  put_varint(out, o.mod);
  put_varint(out, o.created);
  put_varint(out, o.rv_offset == std::string::npos ? 0 : o.rv_offset + 1);
  put_text(out, o.bytes);
}

void put_status(std::string& out, const status& s) {
  put_signed(out, s.code);
  for (const auto* t : {&s.reason, &s.message, &s.name, &s.group, &s.kind, &s.uid, &s.continue_token})
    put_text(out, *t);
  put_signed(out, s.retry_after_s);
  put_varint(out, s.causes.size());
  for (const auto& c : s.causes) {
    put_text(out, c.reason);
    put_text(out, c.message);
    put_text(out, c.field);
  }
}

void put_pairs(std::string& out, const std::vector<std::pair<std::string, std::string>>& pairs) {
  put_varint(out, pairs.size());
  for (const auto& [k, v] : pairs) {
    put_text(out, k);
    put_text(out, v);
  }
}

void put_masters(std::string& out, const std::vector<master_address>& all) {
  put_varint(out, all.size());
  for (const auto& m : all) {
    put_text(out, m.name);
    put_text(out, m.address);
    put_varint(out, m.port);
  }
}

void put_request(std::string& out, const request& r) {
  out.push_back(static_cast<char>(r.what));
  for (const auto* t : {&r.group, &r.version, &r.plural, &r.ns, &r.name, &r.subresource})
    put_text(out, *t);
  put_pairs(out, r.query);
  for (const auto* t : {&r.content_type, &r.accept, &r.user_agent})
    put_text(out, *t);
  put_flag(out, !std::holds_alternative<std::monostate>(r.body));
  if (auto* text = std::get_if<std::string>(&r.body))
    put_text(out, *text);
  else if (auto* doc = std::get_if<std::shared_ptr<const json::value>>(&r.body))
    put_text(out, json::serialize(**doc));
}

void put_response(std::string& out, const response& r) {
  put_signed(out, r.code);
  put_text(out, r.content_type);
  put_pairs(out, r.headers);
  put_flag(out, r.object != nullptr);
  if (r.object)
    put_object(out, *r.object);
  else
    put_text(out, r.body);
  put_flag(out, r.error != nullptr);
  if (r.error) put_status(out, *r.error);
}

void put_wish(std::string& out, const open_stream& w) {
  out.push_back(static_cast<char>(w.what));
  for (const auto* t : {&w.ns, &w.pod, &w.container})
    put_text(out, *t);
  put_varint(out, w.command.size());
  for (const auto& c : w.command)
    put_text(out, c);
  for (bool b : {w.in, w.out, w.err, w.tty, w.follow, w.previous, w.timestamps})
    put_flag(out, b);
  for (auto n : {w.tail_lines, w.limit_bytes, w.since_seconds})
    put_signed(out, n);
  put_text(out, w.since_time);
  put_varint(out, w.port);
}

struct writer {
  std::string& out;

  void operator()(const hello& m) {
    put_varint(out, m.protocol);
    for (const auto* t : {&m.cluster_id, &m.name, &m.version})
      put_text(out, *t);
    put_varint(out, m.life);
  }
  void operator()(const master_state& m) {
    put_flag(out, m.serving);
    put_text(out, m.why);
    put_varint(out, m.rev);
  }
  void operator()(const welcome& m) {
    put_varint(out, m.protocol);
    for (const auto* t : {&m.cluster_id, &m.master, &m.version})
      put_text(out, *t);
    (*this)(m.state);
    put_masters(out, m.masters);
  }
  void operator()(const refused& m) { put_text(out, m.why); }
  void operator()(const bye& m) { put_text(out, m.why); }
  void operator()(const masters_list& m) { put_masters(out, m.masters); }
  void operator()(const call& m) {
    put_varint(out, m.id);
    out.push_back(static_cast<char>(m.as));
    put_request(out, *m.req);
  }
  void operator()(const answer& m) {
    put_varint(out, m.id);
    put_response(out, *m.res);
  }
  void operator()(const subscribe& m) {
    put_varint(out, m.epoch);
    put_varint(out, m.cursor);
    put_varint(out, m.tables);
    put_signed(out, m.credit);
  }
  void operator()(const credit& m) { put_signed(out, m.bytes); }
  void operator()(const feed_begin& m) {
    put_varint(out, m.epoch);
    put_varint(out, m.tables);
  }
  void operator()(const table_begin& m) { put_text(out, m.table); }
  void operator()(const table_objects& m) {
    put_varint(out, m.objects.size());
    for (const auto& o : m.objects)
      put_object(out, *o);
  }
  void operator()(const feed_events& m) {
    put_varint(out, m.events.size());
    for (const auto& e : m.events) {
      out.push_back(static_cast<char>(e.type));
      put_text(out, e.table);
      put_varint(out, e.rev);
      put_object(out, *e.object);
    }
  }
  void operator()(const feed_commit& m) { put_varint(out, m.upto); }
  void operator()(const start_over& m) {
    for (const auto n : {m.epoch, m.since, m.now})
      put_varint(out, n);
  }
  void operator()(const unsubscribe&) {}
  void operator()(const table_end&) {}
  void operator()(const ping&) {}
  void operator()(const pong&) {}
  void operator()(const stream_open& m) {
    put_varint(out, m.stream);
    put_wish(out, m.what);
  }
  void operator()(const stream_answer& m) {
    put_varint(out, m.stream);
    put_flag(out, m.error != nullptr);
    if (m.error) put_status(out, *m.error);
  }
  void operator()(const stream_piece& m) {
    put_varint(out, m.stream);
    put_signed(out, m.chunk.channel);
    put_flag(out, m.chunk.end);
    put_text(out, m.chunk.bytes);
  }
  void operator()(const stream_next& m) {
    put_varint(out, m.stream);
    put_varint(out, m.chunks);
  }
  void operator()(const stream_input& m) {
    put_varint(out, m.stream);
    put_signed(out, m.channel);
    put_text(out, m.bytes);
  }
  void operator()(const stream_drained& m) {
    put_varint(out, m.stream);
    put_varint(out, m.bytes);
  }
  void operator()(const stream_close_input& m) { put_varint(out, m.stream); }
  void operator()(const stream_close& m) { put_varint(out, m.stream); }
  void operator()(const stats_question& m) { put_varint(out, m.id); }
  void operator()(const stats_answer& m) {
    put_varint(out, m.id);
    put_text(out, m.text);
  }
};

} // namespace

bool may_send(side from, std::uint8_t type) noexcept {
  if (type == 0 || type > facts.size()) return false;
  return from == side::client ? facts[type - 1u].by_client : facts[type - 1u].by_master;
}

std::size_t payload_bytes_max(std::uint8_t type) noexcept {
  return type == 0 || type > facts.size() ? 0 : facts[type - 1u].bytes_max;
}

std::string_view name_of(std::uint8_t type) noexcept {
  return type == 0 || type > facts.size() ? "unknown" : facts[type - 1u].name;
}

std::string encode_payload(const message& m) {
  std::string out(1, static_cast<char>(m.index() + 1));
  std::visit(writer{out}, m);
  return out;
}

std::string encode_frame(const message& m) {
  std::string out(5, '\0');
  out[4] = static_cast<char>(m.index() + 1);
  std::visit(writer{out}, m);
  const auto n = out.size() - 4;
  for (unsigned i = 0; i < 4; ++i)
    out[i] = static_cast<char>(n >> (24 - 8 * i));
  return out;
}

} // namespace troupe::link

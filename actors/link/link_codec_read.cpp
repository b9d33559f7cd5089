// The reading half of link_codec: everything here faces bytes of a stranger.
#include "actors/link/link_codec.hpp"
#include "actors/link/link_limits.hpp"
#include "store/bytes.hpp"

#include <limits>

namespace troupe::link {

namespace {

/// A bounds-checked reader that also refuses what is well-formed but out of range.
class reader {
public:
  explicit reader(std::string_view s) : in_(s) {}

  bool good() const { return in_.done() && !wrong_; }
  bool bad() const { return wrong_ || in_.bad(); }

  std::uint64_t number(std::uint64_t most = std::numeric_limits<std::uint64_t>::max()) {
    const auto v = in_.varint();
    if (v > most) wrong_ = true;
    return wrong_ ? 0 : v;
  }
  std::uint32_t word() { return static_cast<std::uint32_t>(number(std::numeric_limits<std::uint32_t>::max())); }
  std::int64_t signed_number() {
    const auto v = in_.varint();
    return static_cast<std::int64_t>(v >> 1) ^ -static_cast<std::int64_t>(v & 1);
  }
  int small_number() {
    const auto v = signed_number();
    if (v < -1'000'000 || v > 1'000'000) wrong_ = true;
    return wrong_ ? 0 : static_cast<int>(v);
  }
  bool flag() {
    const auto b = in_.byte();
    if (b > 1) wrong_ = true;
    return b == 1;
  }
  template <class E>
  E choice(E last) {
    const auto b = in_.byte();
    if (b > static_cast<std::uint8_t>(last)) wrong_ = true;
    return wrong_ ? last : static_cast<E>(b);
  }
  std::string text() { return std::string(in_.text()); }
  std::string name() {
    const auto t = in_.text();
    if (t.size() > limits::link::name_bytes_max) wrong_ = true;
    return std::string(t.substr(0, limits::link::name_bytes_max));
  }
  /// How many items follow, each of at least `least` bytes: what cannot fit is refused before room is made for it.
  std::size_t count(std::size_t most, std::size_t least) {
    const auto n = number(most);
    if (n * least > in_.rest().size()) wrong_ = true;
    return wrong_ ? 0 : static_cast<std::size_t>(n);
  }

private:
  store::byte_reader in_;
  bool wrong_ = false;
};

std::vector<std::pair<std::string, std::string>> read_pairs(reader& in) {
  std::vector<std::pair<std::string, std::string>> out(in.count(limits::link::list_items_max, 2));
  for (auto& [k, v] : out) {
    k = in.name();
    v = in.text();
  }
  return out;
}

std::vector<master_address> read_masters(reader& in) {
  std::vector<master_address> out(in.count(limits::link::masters_max, 3));
  for (auto& m : out) {
    m.name = in.name();
    m.address = in.name();
    m.port = static_cast<std::uint16_t>(in.number(65535));
  }
  return out;
}

store::object_ptr read_object(reader& in) {
  auto o = std::make_shared<store::object>();
  o->ns = in.name();
  o->name = in.name();
  o->mod = in.number();
  o->created = in.number();
  const auto offset = in.number();
  o->bytes = in.text();
  o->rv_offset = offset == 0 || offset > o->bytes.size() ? std::string::npos : offset - 1;
  return o;
}

std::shared_ptr<const status> read_status(reader& in) {
  auto s = std::make_shared<status>();
  s->code = in.small_number();
  for (auto* t : {&s->reason, &s->message, &s->name, &s->group, &s->kind, &s->uid, &s->continue_token})
    *t = in.text();
  s->retry_after_s = in.small_number();
  s->causes.resize(in.count(limits::link::list_items_max, 3));
  for (auto& c : s->causes) {
    c.reason = in.text();
    c.message = in.text();
    c.field = in.text();
  }
  return s;
}

request_ptr read_request(reader& in) {
  auto r = std::make_shared<request>();
  r->what = in.choice(verb::connect);
  for (auto* t : {&r->group, &r->version, &r->plural, &r->ns, &r->name, &r->subresource})
    *t = in.name();
  r->query = read_pairs(in);
  for (auto* t : {&r->content_type, &r->accept, &r->user_agent})
    *t = in.name();
  if (in.flag()) r->body = in.text();
  return r;
}

response_ptr read_response(reader& in) {
  auto r = std::make_shared<response>();
  r->code = in.small_number();
  r->content_type = in.name();
  r->headers = read_pairs(in);
  if (in.flag())
    r->object = read_object(in);
  else
    r->body = in.text();
  if (in.flag()) r->error = read_status(in);
  return r;
}

open_stream read_wish(reader& in) {
  open_stream w;
  w.what = in.choice(open_stream::kind::port_forward);
  for (auto* t : {&w.ns, &w.pod, &w.container})
    *t = in.name();
  w.command.resize(in.count(limits::link::list_items_max, 1));
  for (auto& c : w.command)
    c = in.text();
  for (bool* b : {&w.in, &w.out, &w.err, &w.tty, &w.follow, &w.previous, &w.timestamps})
    *b = in.flag();
  for (auto* n : {&w.tail_lines, &w.limit_bytes, &w.since_seconds})
    *n = in.signed_number();
  w.since_time = in.name();
  w.port = static_cast<std::uint16_t>(in.number(65535));
  return w;
}

// One overload per message; the tag says which.
void read(reader& in, hello& m) {
  m.protocol = in.word();
  for (auto* t : {&m.cluster_id, &m.name, &m.version})
    *t = in.name();
  m.life = in.number();
}
void read(reader& in, master_state& m) {
  m.serving = in.flag();
  m.why = in.text();
  m.rev = in.number();
}
void read(reader& in, welcome& m) {
  m.protocol = in.word();
  for (auto* t : {&m.cluster_id, &m.master, &m.version})
    *t = in.name();
  read(in, m.state);
  m.masters = read_masters(in);
}
void read(reader& in, refused& m) { m.why = in.text(); }
void read(reader& in, bye& m) { m.why = in.text(); }
void read(reader& in, masters_list& m) { m.masters = read_masters(in); }
void read(reader& in, call& m) {
  m.id = in.number();
  m.as = in.choice(component::dns);
  m.req = read_request(in);
}
void read(reader& in, answer& m) {
  m.id = in.number();
  m.res = read_response(in);
}
void read(reader& in, subscribe& m) {
  m.epoch = in.number();
  m.cursor = in.number();
  m.tables = in.word();
  m.credit = in.signed_number();
}
void read(reader&, unsubscribe&) {}
void read(reader& in, credit& m) { m.bytes = in.signed_number(); }
void read(reader& in, feed_begin& m) {
  m.epoch = in.number();
  m.tables = in.word();
}
void read(reader& in, table_begin& m) { m.table = in.name(); }
void read(reader& in, table_objects& m) {
  m.objects.resize(in.count(limits::link::object_frame_bytes_max, 6));
  for (auto& o : m.objects)
    o = read_object(in);
}
void read(reader&, table_end&) {}
void read(reader& in, feed_events& m) {
  m.events.resize(in.count(limits::link::object_frame_bytes_max, 9));
  for (auto& e : m.events) {
    e.type = in.choice(store::event_type::deleted);
    e.table = in.name();
    e.rev = in.number();
    e.object = read_object(in);
  }
}
void read(reader& in, feed_commit& m) { m.upto = in.number(); }
void read(reader& in, start_over& m) {
  m.epoch = in.number();
  m.since = in.number();
  m.now = in.number();
}
void read(reader&, ping&) {}
void read(reader&, pong&) {}
void read(reader& in, stream_open& m) {
  m.stream = in.number();
  m.what = read_wish(in);
}
void read(reader& in, stream_answer& m) {
  m.stream = in.number();
  if (in.flag()) m.error = read_status(in);
}
void read(reader& in, stream_piece& m) {
  m.stream = in.number();
  m.chunk.channel = in.small_number();
  m.chunk.end = in.flag();
  m.chunk.bytes = in.text();
}
void read(reader& in, stream_next& m) {
  m.stream = in.number();
  m.chunks = static_cast<std::uint32_t>(in.number(limits::link::stream_chunks));
}
void read(reader& in, stream_input& m) {
  m.stream = in.number();
  m.channel = in.small_number();
  m.bytes = in.text();
}
void read(reader& in, stream_drained& m) {
  m.stream = in.number();
  m.bytes = in.number();
}
void read(reader& in, stream_close_input& m) { m.stream = in.number(); }
void read(reader& in, stream_close& m) { m.stream = in.number(); }
void read(reader& in, stats_question& m) { m.id = in.number(); }
void read(reader& in, stats_answer& m) {
  m.id = in.number();
  m.text = in.text();
}

template <std::size_t I = 0>
result<message> read_as(std::size_t index, reader& in) {
  if constexpr (I < std::variant_size_v<message>) {
    if (index != I) return read_as<I + 1>(index, in);
    std::variant_alternative_t<I, message> m{};
    read(in, m);
    if (!in.good())
      return errors::bad_request("malformed " + std::string(name_of(static_cast<std::uint8_t>(I + 1))) + " message");
    return message{std::move(m)};
  } else {
    return errors::bad_request("unknown message type");
  }
}

} // namespace

result<message> decode_payload(std::string_view payload) {
  if (payload.empty()) return errors::bad_request("empty message");
  const auto type = static_cast<std::uint8_t>(payload.front());
  const auto most = payload_bytes_max(type);
  if (most == 0) return errors::bad_request("unknown message type " + std::to_string(type));
  if (payload.size() > most)
    return errors::bad_request("a " + std::string(name_of(type)) + " message of " + std::to_string(payload.size()) +
                               " bytes; at most " + std::to_string(most) + " are accepted");
  reader in{payload.substr(1)};
  return read_as(type - 1u, in);
}

} // namespace troupe::link

#include "store/snapshot_codec.hpp"

#include "store/bytes.hpp"
#include "store/crc32c.hpp"
#include "store/rocks_backend.hpp"

#include <optional>
#include <tuple>

namespace troupe::store {

namespace {

constexpr std::string_view magic{"TRPSNAP\x01", 8}; // the last byte is the version
constexpr std::size_t front_bytes = 8, crc_bytes = 4;
constexpr char kind_head = 'H', kind_records = 'R', kind_end = 'E';

void set_le32(char* to, std::uint32_t v) {
  for (int i = 0; i < 4; ++i)
    to[i] = static_cast<char>(v >> (8 * i));
}
std::uint32_t get_le32(const char* from) {
  std::uint32_t v = 0;
  for (int i = 0; i < 4; ++i)
    v |= static_cast<std::uint32_t>(static_cast<unsigned char>(from[i])) << (8 * i);
  return v;
}

/// Appends blocks to a string and carries the checksum along.
class block_maker {
public:
  void begin(std::string& out) {
    start_ = out.size();
    out.append(front_bytes, '\0');
  }
  std::size_t payload(const std::string& out) const { return out.size() - start_ - front_bytes; }
  void end(std::string& out, char kind) {
    char* front = out.data() + start_;
    set_le32(front, static_cast<std::uint32_t>(payload(out)));
    front[3] = kind;
    crc_ = crc32c({front, 4}, crc_);
    set_le32(front + 4, crc_);
    crc_ = crc32c({front + front_bytes, payload(out)}, crc_);
    char tail[crc_bytes];
    set_le32(tail, crc_);
    out.append(tail, crc_bytes);
  }

private:
  std::size_t start_ = 0;
  std::uint32_t crc_ = crc32c(magic);
};

} // namespace

// ---------------------------------------------------------------- writer

struct snapshot_writer::impl {
  snapshot_head head;
  std::shared_ptr<const state_view> view;

  block_maker blocks;
  std::string ahead;          // made, not yet behind the reader
  std::uint64_t ahead_at = 0; // offset of its first byte
  std::size_t table = 0;
  object_ptr last; // of the table under way
  std::uint64_t objects = 0;
  enum { at_start, at_records, at_end } stage = at_start;

  void rewind() {
    blocks = {};
    ahead.clear();
    ahead_at = 0;
    table = 0;
    last = nullptr;
    objects = 0;
    stage = at_start;
  }
  void make_more() {
    if (stage == at_start) {
      ahead.append(magic);
      blocks.begin(ahead);
      put_text(ahead, head.cluster_id);
      put_varint(ahead, head.mark.at.index.v);
      put_varint(ahead, head.mark.at.term.v);
      put_varint(ahead, head.mark.rev);
      put_text(ahead, encode_config(head.mark.config));
      blocks.end(ahead, kind_head);
      stage = at_records;
    } else if (!records()) {
      blocks.begin(ahead);
      put_varint(ahead, objects);
      blocks.end(ahead, kind_end);
      stage = at_end;
    }
  }
  /// One block of one table; false when nothing is left.
  bool records() {
    const auto& roots = view->roots();
    while (table < roots.size()) {
      blocks.begin(ahead);
      put_text(ahead, *roots[table].name);
      const auto before = objects;
      bool full = false;
      roots[table].objects.visit(last ? last->ns : std::string_view{}, last ? last->name : std::string_view{},
                                 last != nullptr, [&](const object_ptr& o) {
                                   add(*o);
                                   full = blocks.payload(ahead) >= limits::snapshot_block_bytes;
                                   if (full) last = o;
                                   return !full;
                                 });
      if (!full) {
        last = nullptr;
        ++table;
      }
      if (objects != before) {
        blocks.end(ahead, kind_records);
        return true;
      }
      ahead.resize(ahead.size() - blocks.payload(ahead) - front_bytes);
    }
    return false;
  }
  void add(const object& o) {
    put_text(ahead, o.ns);
    put_text(ahead, o.name);
    put_varint(ahead, o.mod);
    put_varint(ahead, o.created);
    put_varint(ahead, o.rv_offset + 1); // npos becomes 0
    put_text(ahead, o.bytes);
    ++objects;
  }
  void skip_to(std::uint64_t offset) {
    if (offset < ahead_at || offset > ahead_at + ahead.size() + limits::snapshot_block_bytes) rewind();
    while (ahead_at + ahead.size() < offset && stage != at_end) {
      ahead_at += ahead.size();
      ahead.clear();
      make_more();
    }
    const auto behind = std::min<std::uint64_t>(offset - ahead_at, ahead.size());
    ahead.erase(0, behind);
    ahead_at += behind;
  }
};

snapshot_writer::snapshot_writer(snapshot_head head, std::shared_ptr<const state_view> view)
    : impl_(std::make_unique<impl>()) {
  impl_->head = std::move(head);
  impl_->view = std::move(view);
}
snapshot_writer::~snapshot_writer() = default;
snapshot_writer::snapshot_writer(snapshot_writer&&) noexcept = default;

const snapshot_head& snapshot_writer::head() const noexcept { return impl_->head; }

snapshot_writer::piece snapshot_writer::at(std::uint64_t offset, std::size_t bytes_max) {
  auto& m = *impl_;
  m.skip_to(offset);
  while (m.ahead.size() < bytes_max && m.stage != impl::at_end)
    m.make_more();
  const bool all = m.stage == impl::at_end && m.ahead.size() <= bytes_max;
  const bool behind_end = m.ahead_at != offset;
  return {std::make_shared<const std::string>(m.ahead, 0, behind_end ? 0 : bytes_max), all};
}

// ---------------------------------------------------------------- reader

struct snapshot_reader::impl {
  std::optional<snapshot_head> head;
  object_sink sink; // empty: into the machine
  std::unique_ptr<state_machine> machine;
  std::vector<object_ptr> gathered; // of `table`, not in the machine yet
  std::string rest;                 // of a block that is not whole yet
  std::uint64_t taken = 0;          // bytes given
  std::uint64_t at = 0;             // offset of the first byte not yet understood
  std::uint32_t crc = crc32c(magic);
  std::uint64_t objects = 0;
  std::string table, ns, name; // of the last record
  bool done = false;
  std::optional<status> bad;

  status refuse(std::uint64_t offset, const std::string& what) {
    bad = errors::bad_request("the snapshot is damaged at byte " + std::to_string(offset) + ": " + what);
    return *bad;
  }
  /// Eats whole blocks from the front of `in`.
  result<void> eat(std::string_view& in);
  result<void> block(char kind, std::string_view payload);
  result<void> head_block(std::string_view payload);
  result<void> records_block(std::string_view payload);
  bool fine(const object& o, std::string_view in_table) const;
  void load_gathered() {
    if (!gathered.empty()) machine->load_sorted(table, std::exchange(gathered, {}));
  }
};

result<void> snapshot_reader::impl::eat(std::string_view& in) {
  auto forward = [&](std::size_t n) {
    in.remove_prefix(n);
    at += n;
  };
  if (at == 0) {
    const auto known = std::min(in.size(), magic.size() - 1);
    if (in.substr(0, known) != magic.substr(0, known)) return refuse(0, "it does not begin like a snapshot of troupe");
    if (in.size() < magic.size()) return {};
    if (in[known] != magic.back())
      return refuse(known, "format " + std::to_string(static_cast<unsigned char>(in[known])) +
                               " is unknown; this "
                               "troupe reads format " +
                               std::to_string(magic.back()));
    forward(magic.size());
  }
  while (in.size() >= front_bytes && !done) {
    const auto front_crc = crc32c(in.substr(0, 4), crc);
    if (front_crc != get_le32(in.data() + 4)) return refuse(at, "checksum mismatch in the front of a block");
    const auto length = get_le32(in.data()) & 0xffffffu;
    if (in.size() < front_bytes + length + crc_bytes) return {};
    const auto payload = in.substr(front_bytes, length);
    crc = crc32c(payload, front_crc);
    if (crc != get_le32(payload.data() + length))
      return refuse(at, "checksum mismatch over a block of " + std::to_string(length) + " bytes");
    if (auto r = block(in[3], payload); !r) return r;
    forward(front_bytes + length + crc_bytes);
  }
  if (done && !in.empty()) return refuse(at, "bytes follow its end");
  return {};
}

result<void> snapshot_reader::impl::block(char kind, std::string_view payload) {
  if ((kind == kind_head) == head.has_value()) return refuse(at, head ? "a second head" : "its head is missing");
  if (kind == kind_head) return head_block(payload);
  if (kind == kind_records) return records_block(payload);
  if (kind != kind_end) return refuse(at, "a block of unknown kind");
  byte_reader in(payload);
  const auto want = in.varint();
  if (!in.done()) return refuse(at, "its end is unreadable");
  if (want != objects)
    return refuse(at, "it should hold " + std::to_string(want) + " objects, but holds " + std::to_string(objects));
  if (machine) {
    load_gathered();
    machine->set_revision(head->mark.rev);
  }
  done = true;
  return {};
}

result<void> snapshot_reader::impl::head_block(std::string_view payload) {
  byte_reader in(payload);
  snapshot_head h;
  h.cluster_id = in.text();
  h.mark.at.index = log_index{in.varint()};
  h.mark.at.term = log_term{in.varint()};
  h.mark.rev = in.varint();
  const auto config = in.text();
  if (!in.done() || !decode_config(config, h.mark.config)) return refuse(at, "its head is unreadable");
  head = std::move(h);
  return {};
}

bool snapshot_reader::impl::fine(const object& o, std::string_view in_table) const {
  if (o.name.empty() || o.ns.find('\0') != std::string::npos || o.name.find('\0') != std::string::npos) return false;
  if (o.created == 0 || o.created > o.mod || o.mod > head->mark.rev) return false;
  if (o.rv_offset != std::string::npos && o.rv_offset >= o.bytes.size()) return false;
  using key = std::tuple<std::string_view, std::string_view, std::string_view>;
  return key(table, ns, name) < key(in_table, o.ns, o.name);
}

result<void> snapshot_reader::impl::records_block(std::string_view payload) {
  byte_reader in(payload);
  const std::string_view in_table = in.text();
  if (in.bad() || in_table.empty() || in_table.find('\0') != std::string_view::npos)
    return refuse(at, "a block of objects names no table");
  while (!in.done()) {
    const auto record_at = at + front_bytes + (payload.size() - in.rest().size());
    auto o = std::make_shared<object>();
    o->ns = in.text();
    o->name = in.text();
    o->mod = in.varint();
    o->created = in.varint();
    o->rv_offset = static_cast<std::size_t>(in.varint()) - 1;
    o->bytes = in.text();
    if (in.bad()) return refuse(record_at, "an object is cut off");
    if (!fine(*o, in_table)) return refuse(record_at, "an object is out of order or impossible");
    if (table != in_table) {
      load_gathered();
      table = in_table;
    }
    ns = o->ns;
    name = o->name;
    ++objects;
    if (!sink) {
      gathered.push_back(std::move(o));
    } else if (auto r = sink(in_table, std::move(o)); !r) {
      bad = r.error();
      return r;
    }
  }
  return {};
}

snapshot_reader::snapshot_reader() : impl_(std::make_unique<impl>()) {
  impl_->machine = std::make_unique<state_machine>();
}
snapshot_reader::snapshot_reader(object_sink sink) : impl_(std::make_unique<impl>()) { impl_->sink = std::move(sink); }
snapshot_reader::~snapshot_reader() = default;
snapshot_reader::snapshot_reader(snapshot_reader&&) noexcept = default;

result<void> snapshot_reader::take(std::string_view bytes) {
  auto& m = *impl_;
  if (m.bad) return *m.bad;
  m.taken += bytes.size();
  if (m.rest.empty()) {
    if (auto r = m.eat(bytes); !r) return r;
    m.rest = bytes;
    return {};
  }
  m.rest.append(bytes);
  std::string_view in = m.rest;
  if (auto r = m.eat(in); !r) return r;
  m.rest.erase(0, m.rest.size() - in.size());
  return {};
}

result<void> snapshot_reader::end() const {
  const auto& m = *impl_;
  if (m.bad) return *m.bad;
  if (m.done) return {};
  return errors::bad_request("the snapshot is cut off: it ends at byte " + std::to_string(m.taken) + ", after " +
                             std::to_string(m.objects) + " objects, in the block that begins at byte " +
                             std::to_string(m.at));
}

bool snapshot_reader::complete() const noexcept { return impl_->done && !impl_->bad; }
const snapshot_head* snapshot_reader::head() const noexcept { return impl_->head ? &*impl_->head : nullptr; }
std::uint64_t snapshot_reader::objects() const noexcept { return impl_->objects; }
std::uint64_t snapshot_reader::offset() const noexcept { return impl_->taken; }

std::unique_ptr<state_machine> snapshot_reader::finish() { return complete() ? std::move(impl_->machine) : nullptr; }

} // namespace troupe::store

// link_codec: the messages between workers and masters, as the payloads of frames, and back.
// Owner:  -; pure.
// Units:  a payload is one byte of type and a body; bounds by type from link_limits.hpp.
// Errors: decode refuses whatever is not one whole, well-formed message of a known type, with a sentence.
// Source: ours; design section 9. Objects travel as the bytes they were committed as.
#pragma once

#include "actors/link/cluster_link.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace troupe::link {

/// On whose behalf a call is made; the master derives the identity from the certificate and this.
enum class component : std::uint8_t { self, proxy, dns };

struct hello {
  std::uint32_t protocol = 0;
  std::string cluster_id; // empty: whatever the master has
  std::string name;       // of the node, or of a client without one
  std::string version;    // of the program
  std::uint64_t life = 0; // differs at each start of the process
};

/// Whether a master should be asked.
struct master_state {
  bool serving = true;
  std::string why; // it does not serve
  store::revision rev = 0;
};

struct welcome {
  std::uint32_t protocol = 0;
  std::string cluster_id, master, version;
  master_state state;
  std::vector<master_address> masters; // empty: not known
};
struct refused {
  std::string why;
};
struct bye {
  std::string why;
};
struct masters_list {
  std::vector<master_address> masters;
};

struct call {
  std::uint64_t id = 0;
  component as = component::self;
  request_ptr req; // `who` and `fence_term` do not travel
};
struct answer {
  std::uint64_t id = 0;
  response_ptr res;
};

/// Asks for everything this node may see, from `cursor` on. One feed per session; a later one replaces it.
struct subscribe {
  std::uint64_t epoch = 0;
  store::revision cursor = 0; // 0: nothing is known yet
  std::uint32_t tables = 0;   // as the last feed_begin said; another set means that everything is told anew
  std::int64_t credit = 0;    // bytes of feed frames that may be sent
};
struct unsubscribe {};
struct credit {
  std::int64_t bytes = 0;
};
/// The first frame of a feed, and of its beginning again.
struct feed_begin {
  std::uint64_t epoch = 0;
  std::uint32_t tables = 0; // which are told
};
/// What follows is a whole table, ordered by namespace and name; what is not among it is gone.
struct table_begin {
  std::string table;
};
struct table_objects {
  std::vector<store::object_ptr> objects;
};
struct table_end {};
struct feed_event {
  store::event_type type = store::event_type::added;
  std::string table;
  store::revision rev = 0;
  store::object_ptr object; // deleted: its last state
};
struct feed_events {
  std::vector<feed_event> events;
};
/// All that came since the last one is one step: now it holds, and everything up to `upto` has been told.
struct feed_commit {
  store::revision upto = 0;
};

/// Instead of a feed: the cursor is none of the present history. The worker forgets what it saw and subscribes with 0.
struct start_over {
  std::uint64_t epoch = 0;
  store::revision since = 0; // where the present history begins; 0: it is the cluster's first
  store::revision now = 0;   // where it stands
};

struct ping {};
struct pong {};

struct stream_open {
  std::uint64_t stream = 0;
  open_stream what;
};
struct stream_answer {
  std::uint64_t stream = 0;
  std::shared_ptr<const status> error; // null: it is open
};
struct stream_piece {
  std::uint64_t stream = 0;
  stream_chunk chunk;
};
struct stream_next {
  std::uint64_t stream = 0;
  std::uint32_t chunks = 0; // more that may be sent
};
struct stream_input {
  std::uint64_t stream = 0;
  int channel = 0;
  std::string bytes;
};
struct stream_drained {
  std::uint64_t stream = 0;
  std::uint64_t bytes = 0; // taken by the container
};
struct stream_close_input {
  std::uint64_t stream = 0;
};
struct stream_close {
  std::uint64_t stream = 0;
};
struct stats_question {
  std::uint64_t id = 0;
};
struct stats_answer {
  std::uint64_t id = 0;
  std::string text;
};

/// The order is the wire's: new messages go to the end.
using message =
    std::variant<hello, welcome, refused, bye, masters_list, master_state, call, answer, subscribe, unsubscribe, credit,
                 feed_begin, table_begin, table_objects, table_end, feed_events, feed_commit, ping, pong, stream_open,
                 stream_answer, stream_piece, stream_next, stream_input, stream_drained, stream_close_input,
                 stream_close, stats_question, stats_answer, start_over>;

template <class T, std::size_t I = 0>
constexpr std::uint8_t type_of() {
  if constexpr (std::is_same_v<std::variant_alternative_t<I, message>, T>)
    return static_cast<std::uint8_t>(I + 1);
  else
    return type_of<T, I + 1>();
}

enum class side : std::uint8_t { client, master };
/// Whether `from` may send this type at all once the session stands; hello, welcome and refused are not among them.
bool may_send(side from, std::uint8_t type) noexcept;
/// Longest payload of a type; 0: no such type.
std::size_t payload_bytes_max(std::uint8_t type) noexcept;
std::string_view name_of(std::uint8_t type) noexcept;

/// The payload without the length.
std::string encode_payload(const message& m);
/// A whole frame: 4-byte big-endian length, payload.
std::string encode_frame(const message& m);
result<message> decode_payload(std::string_view payload);

/// About how long an object is inside a frame.
inline std::size_t encoded_size(const store::object& o) { return o.bytes.size() + o.ns.size() + o.name.size() + 32; }

} // namespace troupe::link

// mesh_hello: the first words between two masters, and why one of them would not have the other.
// Owner:  free functions; pure.
// Units:  encoded as JSON of at most limits::hello_bytes_max bytes.
// Errors: parsing: false for what is not a hello. Judging: one sentence that names both sides, empty when all is well.
// Source: ours; issue "A Raft group of actors", bad input and bad luck.
#pragma once

#include "api/identity.hpp"
#include "store/log_entry.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace troupe {

/// How another master is reached.
struct mesh_peer {
  store::member_id member;
  std::string name, address;
  std::uint16_t port = 0;
  friend bool operator==(const mesh_peer&, const mesh_peer&) = default;
};

struct mesh_hello {
  int protocol = 0;
  std::string version; // of troupe, for people
  std::string cluster_id, name;
  store::member_id member;
  std::uint64_t life = 0; // of the process: new at every start
  std::string store;      // names the data directory for ever; empty: unknown
};

/// The acceptor's reply: a refusal, or who it is and the number of the link.
struct mesh_answer {
  std::string refusal;
  mesh_hello hello;
  std::uint64_t link = 0;
};

std::string encode_hello(const mesh_hello& h);
bool decode_hello(std::string_view bytes, mesh_hello& out);
std::string encode_answer(const mesh_answer& a);
bool decode_answer(std::string_view bytes, mesh_answer& out);

/// Whether `mine` may link with a master that says `theirs` and proved to be `certificate` (null: plain TCP of a
/// benchmark, nothing proved). `peers` are the masters that `mine` knows, itself excepted.
std::string refuse_hello(const mesh_hello& mine, const std::vector<mesh_peer>& peers, const mesh_hello& theirs,
                         const identity* certificate);
/// For the dialer: also that the one that answered is the one that was dialed.
std::string refuse_answer(const mesh_hello& mine, const mesh_peer& dialed, const mesh_hello& theirs,
                          const identity* certificate);
/// Another process with the same name is linked already.
std::string refuse_duplicate(const mesh_hello& mine, const mesh_hello& theirs, std::uint64_t linked_life);

/// The same member with another data directory than it had while `mine` knows it. Empty names are unknown.
std::string refuse_store(const mesh_hello& mine, const mesh_hello& theirs, const std::string& known_store);

/// The user name that a master's certificate must carry.
std::string master_user(std::string_view name);
/// Whether the certificate is that of the master called `name`; for both kinds of links.
bool is_master(const identity& certificate, std::string_view name);

} // namespace troupe

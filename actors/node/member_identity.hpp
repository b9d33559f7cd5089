// member_identity: which member of the Raft group a master is, and whether its directory may be that member.
// Owner:  made before the actors of a master in a cluster of several nodes; the decision is pure.
// Units:  -
// Errors: a directory of another cluster, node or life is refused with one sentence that names both sides.
// Source: ours; issue "A Raft group of actors", bad input and bad luck.
//
// A member that lost its data must never vote again under its old id: it forgot whom it voted for and what it
// acknowledged. So a founder begins anew only while cluster.json does not say that its store was made once; after that
// it waits for a new id, as every master does that the config gained later (`troupe master add`).
#pragma once

#include "actors/node/cluster_identity.hpp"
#include "api/status.hpp"

#include <cstdint>
#include <optional>
#include <string>

namespace troupe::node {

/// DIR/NAME/member.json.
struct member_record {
  std::string cluster, node;
  std::uint64_t member = 0;
  std::string store;  // drawn once: tells two directories of one member apart
  bool begun = false; // its store was made
  friend bool operator==(const member_record&, const member_record&) = default;
};

struct member_decision {
  enum class how : std::uint8_t {
    founds,  // makes the store of a founder
    returns, // opens the store it has
    joins,   // makes the store of a member that others add
    waits,   // has no id yet
  } what = how::waits;
  std::uint64_t member = 0; // not of `waits`
  bool founder = false;
  std::string store; // see member_record
};

/// Pure: what the record and the store mean. `node_dir` is for the sentences.
result<member_decision> decide_member(const cluster_identity&, const std::string& node_name,
                                      const std::optional<member_record>&, bool store_exists,
                                      const std::string& node_dir);

result<std::optional<member_record>> read_member(const std::string& node_dir);
result<void> write_member(const std::string& node_dir, const member_record&);
/// Reads the directory, decides, and writes the record of a member that begins. `given`: the id the group has for a
/// master that waited; 0: none yet.
result<member_decision> open_member(const cluster_identity&, const std::string& data_dir, const std::string& node_name,
                                    std::uint64_t given = 0);

/// Of a store that is put back from a backup: the place that the only copy had, which open_member gives to nobody else.
result<std::uint64_t> restored_member(const cluster_identity&, const std::string& data_dir,
                                      const std::string& node_name);

} // namespace troupe::node

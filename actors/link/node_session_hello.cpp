#include "actors/link/node_session_hello.hpp"

#include "actors/link/link_limits.hpp"

namespace troupe::link {

namespace {

constexpr std::string_view node_prefix = "system:node:";

std::string text(std::string_view s) { return std::string(s); }

std::string speaks(std::string_view who, std::string_view version, std::uint32_t protocol) {
  return text(who) + " runs Troupe " + text(version) + " and speaks link protocol " + std::to_string(protocol);
}

} // namespace

std::string_view node_of_certificate(const identity& who) noexcept {
  const std::string_view user{who.user};
  if (!who.in_group("system:nodes") || user.substr(0, node_prefix.size()) != node_prefix) return {};
  return user.substr(node_prefix.size());
}

std::optional<std::string> refuse_hello(const hello& h, const identity& who, const std::string& from,
                                        const door_facts& facts) {
  const auto them = "node " + h.name + " (" + from + ")";
  const auto us = "master " + text(facts.master);
  if (h.protocol != limits::link::protocol_version)
    return speaks(them, h.version, h.protocol) + ", but " + speaks(us, facts.version, limits::link::protocol_version) +
           ": bring both to one version";
  if (!h.cluster_id.empty() && h.cluster_id != facts.cluster_id)
    return them + " belongs to cluster " + h.cluster_id + ", but " + us + " to cluster " + text(facts.cluster_id) +
           ": correct the addresses of its masters, or give it a data directory of its own";
  if (who.user.empty()) return them + " showed no certificate with a name to " + us;
  const auto named = node_of_certificate(who);
  if (named.empty()) return std::nullopt; // a client that is no node: RBAC says what it may do
  if (named != h.name)
    return them + " shows " + us + " the certificate of node " + text(named) +
           ": every node needs a certificate of its own name";
  if (facts.name_is_ours) return them + " has the name of a node that runs inside " + us + ": names must differ";
  if (facts.life_of_name != 0 && facts.life_of_name != h.life)
    return them + " has the name of a node that is connected to " + us + " from " + facts.address_of_name +
           ": names must differ; after a crash the name is free within seconds";
  return std::nullopt;
}

std::optional<std::string> refuse_welcome(const welcome& w, std::string_view node, std::string_view cluster_id,
                                          const std::string& at) {
  const auto them = "master " + w.master + " (" + at + ")";
  const auto us = "node " + text(node);
  if (w.protocol != limits::link::protocol_version)
    return speaks(them, w.version, w.protocol) + ", but " + us + " speaks " +
           std::to_string(limits::link::protocol_version) + ": bring both to one version";
  if (!cluster_id.empty() && w.cluster_id != cluster_id)
    return them + " belongs to cluster " + w.cluster_id + ", but " + us + " to cluster " + text(cluster_id) +
           ": correct the addresses of its masters, or give it a data directory of its own";
  return std::nullopt;
}

} // namespace troupe::link

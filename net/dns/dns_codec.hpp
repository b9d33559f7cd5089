// dns_codec: DNS messages as values: a query read from bytes, an answer written to bytes.
// Owner:  -; pure, no socket here.
// Units:  sizes in bytes; TTL limits::dns_ttl_s.
// Errors: dns_fault says what is wrong with a query and how to answer; nothing read here can throw.
// Source: RFC 1035, RFC 2308 (negative answers), RFC 6891 (EDNS); ldns does the wire format.
#pragma once

#include "net/dns/dns_table.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace troupe::net {

using dns_bytes = std::vector<std::uint8_t>;
using dns_view = std::span<const std::uint8_t>;

enum class dns_fault { none, drop, format_error, not_implemented, refused, bad_version };
enum class dns_rcode : std::uint8_t {
  ok = 0,
  format_error = 1,
  server_failure = 2,
  nxdomain = 3,
  not_implemented = 4,
  refused = 5
};

struct dns_query {
  std::uint16_t id = 0, type = 0;
  std::string name;       // lower case, without the final dot; bytes that no host name has become '?'
  dns_bytes question;     // the question section as it came
  bool recursion = false; // RD
  bool edns = false;
  std::size_t udp_bytes_max = 512; // what the client takes over UDP
};

dns_fault read_query(dns_view packet, dns_query& out);

/// The answer to a query that read_query refused (from its header alone).
dns_bytes refusal_of(dns_view packet, dns_fault fault);
/// An answer without records: SERVFAIL and its like.
dns_bytes bare_answer(const dns_query&, dns_rcode);

struct dns_reply {
  dns_rcode code = dns_rcode::ok;
  std::vector<dns_record> records, additional;
  bool authority_soa = false; // negative answers carry the zone's SOA
  bool answer_soa = false;    // the question was for it
  /// An upstream's message whose answer records follow ours (the target of a CNAME).
  dns_bytes appended;
};
/// `size_max`: an answer that does not fit becomes an empty one with TC set.
dns_bytes write_reply(const dns_query&, const dns_reply&, const std::string& domain, std::size_t size_max);

/// A fresh question for an upstream.
dns_bytes write_query(std::uint16_t id, const std::string& name, std::uint16_t type);
/// Whether the packet is an answer to the question (id and question section agree, letter case aside).
bool answers(dns_view packet, std::uint16_t id, dns_view question);
/// The question section of a message; empty when malformed.
dns_view question_of(dns_view packet);
std::uint16_t id_of(dns_view packet);
void set_id(dns_bytes& packet, std::uint16_t id);

} // namespace troupe::net

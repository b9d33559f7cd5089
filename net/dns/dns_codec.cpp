#include "net/dns/dns_codec.hpp"

#include "net/dns/limits.hpp"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <ldns/ldns.h>
#include <memory>

namespace troupe::net {

namespace {

constexpr std::size_t header_bytes = 12;

struct free_packet {
  void operator()(ldns_pkt* p) const noexcept { ldns_pkt_free(p); }
};
using packet_ptr = std::unique_ptr<ldns_pkt, free_packet>;

packet_ptr parse(dns_view bytes) {
  ldns_pkt* raw = nullptr;
  if (ldns_wire2pkt(&raw, bytes.data(), bytes.size()) != LDNS_STATUS_OK) return nullptr;
  return packet_ptr{raw};
}

/// Length of the name at the front, without compression (questions have none); 0 when malformed.
std::size_t name_bytes(dns_view at) {
  std::size_t i = 0;
  while (i < at.size() && at[i] != 0) {
    if (at[i] > 63) return 0;
    i += 1 + at[i];
    if (i > 254) return 0;
  }
  return i < at.size() ? i + 1 : 0;
}

std::string text_of_name(dns_view name) {
  std::string out;
  for (std::size_t i = 0; i < name.size() && name[i] != 0; i += 1 + name[i]) {
    if (!out.empty()) out += '.';
    for (auto c : name.subspan(i + 1, name[i])) {
      bool plain = std::isalnum(c) || c == '-' || c == '_';
      out += plain ? static_cast<char>(std::tolower(c)) : '?';
    }
  }
  return out;
}

ldns_rdf* name_rdf(const std::string& name) { return ldns_dname_new_frm_str((name + '.').c_str()); }

ldns_rdf* address_rdf(std::uint32_t a) {
  const std::uint8_t bytes[4] = {static_cast<std::uint8_t>(a >> 24), static_cast<std::uint8_t>(a >> 16),
                                 static_cast<std::uint8_t>(a >> 8), static_cast<std::uint8_t>(a)};
  return ldns_rdf_new_frm_data(LDNS_RDF_TYPE_A, sizeof bytes, bytes);
}

void push(ldns_rr* rr, ldns_rdf* field) {
  if (field) ldns_rr_push_rdf(rr, field);
}

/// The owner is the question's own name when it is the same, so that its letter case comes back.
ldns_rr* make_record(const dns_record& r, const ldns_rdf* asked, const std::string& asked_text) {
  auto* rr = ldns_rr_new();
  ldns_rr_set_owner(rr, asked && r.name == asked_text ? ldns_rdf_clone(asked) : name_rdf(r.name));
  ldns_rr_set_type(rr, static_cast<ldns_rr_type>(r.type));
  ldns_rr_set_class(rr, LDNS_RR_CLASS_IN);
  ldns_rr_set_ttl(rr, limits::dns_ttl_s);
  switch (r.type) {
  case dns_type::a: push(rr, address_rdf(r.address)); break;
  case dns_type::srv:
    push(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, 0));
    push(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, r.weight));
    push(rr, ldns_native2rdf_int16(LDNS_RDF_TYPE_INT16, r.port));
    push(rr, name_rdf(r.target));
    break;
  case dns_type::txt: push(rr, ldns_rdf_new_frm_str(LDNS_RDF_TYPE_STR, r.target.c_str())); break;
  default: push(rr, name_rdf(r.target)); break;
  }
  return rr;
}

ldns_rr* make_soa(const std::string& domain) {
  ldns_rr* rr = nullptr;
  auto ttl = std::to_string(limits::dns_ttl_s);
  auto text =
      domain + ". " + ttl + " IN SOA ns.dns." + domain + ". hostmaster." + domain + ". 1 7200 1800 86400 " + ttl;
  return ldns_rr_new_frm_str(&rr, text.c_str(), 0, nullptr, nullptr) == LDNS_STATUS_OK ? rr : nullptr;
}

packet_ptr make_answer(const dns_query& q, dns_rcode code) {
  packet_ptr p{ldns_pkt_new()};
  ldns_pkt_set_id(p.get(), q.id);
  ldns_pkt_set_qr(p.get(), true);
  ldns_pkt_set_rd(p.get(), q.recursion);
  ldns_pkt_set_ra(p.get(), true);
  ldns_pkt_set_rcode(p.get(), static_cast<std::uint8_t>(code));
  ldns_rr* asked = nullptr;
  std::size_t at = 0;
  if (ldns_wire2rr(&asked, q.question.data(), q.question.size(), &at, LDNS_SECTION_QUESTION) == LDNS_STATUS_OK)
    ldns_pkt_push_rr(p.get(), LDNS_SECTION_QUESTION, asked);
  if (q.edns) ldns_pkt_set_edns_udp_size(p.get(), static_cast<std::uint16_t>(limits::dns_udp_bytes_max));
  return p;
}

dns_bytes to_wire(const ldns_pkt* p) {
  std::uint8_t* bytes = nullptr;
  std::size_t size = 0;
  dns_bytes out;
  if (ldns_pkt2wire(&bytes, p, &size) == LDNS_STATUS_OK) out.assign(bytes, bytes + size);
  std::free(bytes);
  return out;
}

/// Moves the answer records of an upstream's message behind ours.
void append_answers(ldns_pkt* p, const dns_bytes& upstream) {
  auto other = parse(upstream);
  if (!other) return;
  auto* list = ldns_pkt_answer(other.get());
  for (std::size_t i = 0; i < ldns_rr_list_rr_count(list); ++i)
    ldns_pkt_push_rr(p, LDNS_SECTION_ANSWER, ldns_rr_clone(ldns_rr_list_rr(list, i)));
}

} // namespace

std::uint16_t id_of(dns_view p) { return p.size() < 2 ? 0 : static_cast<std::uint16_t>(p[0] << 8 | p[1]); }

void set_id(dns_bytes& p, std::uint16_t id) {
  if (p.size() < 2) return;
  p[0] = static_cast<std::uint8_t>(id >> 8);
  p[1] = static_cast<std::uint8_t>(id);
}

dns_view question_of(dns_view p) {
  if (p.size() < header_bytes || (p[4] << 8 | p[5]) != 1) return {};
  auto rest = p.subspan(header_bytes);
  auto name = name_bytes(rest);
  if (name == 0 || rest.size() < name + 4) return {};
  return rest.first(name + 4);
}

dns_fault read_query(dns_view p, dns_query& out) {
  if (p.size() < header_bytes || (p[2] & 0x80) != 0) return dns_fault::drop; // an answer is never answered
  out.id = id_of(p);
  out.recursion = (p[2] & 1) != 0;
  if ((p[2] >> 3 & 15) != 0) return dns_fault::not_implemented;
  auto question = question_of(p);
  if (question.empty()) return dns_fault::format_error;
  out.question.assign(question.begin(), question.end());
  out.name = text_of_name(question.first(question.size() - 4));
  auto tail = question.last(4);
  out.type = static_cast<std::uint16_t>(tail[0] << 8 | tail[1]);
  auto packet = parse(p);
  if (!packet) return dns_fault::format_error;
  if (ldns_pkt_edns(packet.get())) {
    out.edns = true;
    if (ldns_pkt_edns_version(packet.get()) != 0) return dns_fault::bad_version;
    out.udp_bytes_max = std::clamp<std::size_t>(ldns_pkt_edns_udp_size(packet.get()), 512, limits::dns_udp_bytes_max);
  }
  bool transfer = out.type == 251 || out.type == 252;
  bool internet = tail[2] == 0 && tail[3] == 1;
  return transfer || !internet ? dns_fault::refused : dns_fault::none;
}

dns_bytes refusal_of(dns_view p, dns_fault fault) {
  if (p.size() < header_bytes || fault == dns_fault::drop) return {};
  dns_bytes out(p.begin(), p.begin() + header_bytes);
  out[2] = static_cast<std::uint8_t>(0x80 | (p[2] & 0x79)); // QR, opcode and RD as asked
  std::uint8_t code = fault == dns_fault::format_error ? 1 : fault == dns_fault::not_implemented ? 4 : 5;
  if (fault == dns_fault::bad_version) code = 0; // its high bits go into the OPT record
  out[3] = static_cast<std::uint8_t>(0x80 | code);
  std::fill(out.begin() + 4, out.end(), std::uint8_t{0});
  if (fault != dns_fault::bad_version) return out;
  out[11] = 1;
  for (std::uint8_t b : {0, 0, 41, 4, 208, 1, 0, 0, 0, 0, 0})
    out.push_back(b); // OPT, 1232 bytes, BADVERS
  return out;
}

dns_bytes bare_answer(const dns_query& q, dns_rcode code) { return to_wire(make_answer(q, code).get()); }

dns_bytes write_reply(const dns_query& q, const dns_reply& reply, const std::string& domain, std::size_t size_max) {
  auto p = make_answer(q, reply.code);
  ldns_pkt_set_aa(p.get(), true);
  auto* questions = ldns_pkt_question(p.get());
  const auto* asked = ldns_rr_list_rr_count(questions) ? ldns_rr_owner(ldns_rr_list_rr(questions, 0)) : nullptr;
  auto count = std::min(reply.records.size(), limits::dns_records_max);
  for (std::size_t i = 0; i < count; ++i)
    ldns_pkt_push_rr(p.get(), LDNS_SECTION_ANSWER, make_record(reply.records[i], asked, q.name));
  if (!reply.appended.empty()) append_answers(p.get(), reply.appended);
  if (reply.authority_soa || reply.answer_soa)
    if (auto* soa = make_soa(domain))
      ldns_pkt_push_rr(p.get(), reply.answer_soa ? LDNS_SECTION_ANSWER : LDNS_SECTION_AUTHORITY, soa);
  count = std::min(reply.additional.size(), limits::dns_records_max);
  for (std::size_t i = 0; i < count; ++i)
    ldns_pkt_push_rr(p.get(), LDNS_SECTION_ADDITIONAL, make_record(reply.additional[i], asked, q.name));
  auto out = to_wire(p.get());
  if (!out.empty() && out.size() <= size_max) return out;
  auto cut = make_answer(q, reply.code);
  ldns_pkt_set_aa(cut.get(), true);
  ldns_pkt_set_tc(cut.get(), true);
  return to_wire(cut.get());
}

dns_bytes write_query(std::uint16_t id, const std::string& name, std::uint16_t type) {
  dns_bytes out{0, 0, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0};
  set_id(out, id);
  for (std::size_t at = 0; at <= name.size();) {
    auto end = std::min(name.find('.', at), name.size());
    if (end == at || end - at > 63) return {};
    out.push_back(static_cast<std::uint8_t>(end - at));
    out.insert(out.end(), name.begin() + static_cast<std::ptrdiff_t>(at),
               name.begin() + static_cast<std::ptrdiff_t>(end));
    at = end + 1;
  }
  for (auto b : {0, type >> 8, type & 255, 0, 1})
    out.push_back(static_cast<std::uint8_t>(b));
  return out;
}

bool answers(dns_view p, std::uint16_t id, dns_view question) {
  if (p.size() < header_bytes || (p[2] & 0x80) == 0 || id_of(p) != id) return false;
  auto own = question_of(p);
  return std::equal(own.begin(), own.end(), question.begin(), question.end(),
                    [](auto a, auto b) { return std::tolower(a) == std::tolower(b); });
}

} // namespace troupe::net

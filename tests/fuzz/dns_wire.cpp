// Input: a DNS message as it comes from a client, and as it comes from an upstream.
#include "net/dns/dns_codec.hpp"
#include "tests/fuzz/input.hpp"

using namespace troupe::net;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const dns_view packet{data, size};
  dns_query q;
  if (const auto fault = read_query(packet, q); fault != dns_fault::none) {
    if (fault != dns_fault::drop) refusal_of(packet, fault);
  } else {
    troupe::test::must(answers(bare_answer(q, dns_rcode::nxdomain), q.id, q.question));
    dns_reply reply;
    dns_record r;
    r.name = q.name;
    reply.records.push_back(r);
    reply.appended = {packet.begin(), packet.end()};
    troupe::test::must(write_reply(q, reply, "cluster.local", q.udp_bytes_max).size() <= q.udp_bytes_max);
  }
  const auto question = question_of(packet);
  if (size >= 12) answers(packet, id_of(packet), question);
  return 0;
}

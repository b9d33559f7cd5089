// dns_forwarder: asks upstreams, one after the other, over a socket of its own per question.
// Owner:  dns_server; runs on its io_context's one thread.
// Units:  at most limits::dns_forwards_max questions at a time, limits::dns_upstream_timeout per upstream.
// Errors: an empty answer when no upstream answered in time or the bound is reached.
// Source: RFC 1035 section 7; a fresh socket and id per question make forged answers hard (RFC 5452).
#pragma once

#include "net/dns/dns_codec.hpp"
#include "net/dns/upstreams.hpp"

#include <boost/asio/io_context.hpp>

#include <functional>
#include <memory>
#include <random>

namespace troupe::net {

class dns_forwarder {
public:
  using done_fn = std::function<void(dns_bytes answer)>;
  explicit dns_forwarder(boost::asio::io_context& ioc) : ioc_(ioc), random_(std::random_device{}()) {}

  /// `question` is a whole message; its id is replaced on the way and put back in the answer.
  void ask(dns_bytes question, bool over_tcp, std::vector<upstream> upstreams, done_fn done);
  std::size_t waiting() const noexcept { return *waiting_; }

private:
  boost::asio::io_context& ioc_;
  std::mt19937 random_; // seeded from the system; ids only have to be hard to guess together with the port
  std::shared_ptr<std::size_t> waiting_ = std::make_shared<std::size_t>(0);
};

} // namespace troupe::net

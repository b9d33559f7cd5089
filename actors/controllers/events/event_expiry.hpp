// event_expiry: deletes Events that were not repeated for a while.
// Owner:  manager_core.
// Units:  one entry per write of an Event within the time to live.
// Errors: -
// Source: kube-apiserver --event-ttl (there a lease of the store; here a controller, since objects carry no lease).
//
// Writes arrive in order of time, so a queue in that order is enough: an Event written again has a newer entry behind.
#pragma once

#include "actors/controllers/controller.hpp"

#include <deque>
#include <string>

namespace troupe::ctl {

class event_expiry : public controller {
public:
  event_expiry(std::string name, std::chrono::microseconds initial, std::chrono::microseconds max,
               std::chrono::microseconds ttl)
      : controller(std::move(name), initial, max), ttl_(ttl) {}
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  void relisted(std::string_view table, const store::view& now_view, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;

private:
  struct written {
    sys_micros at;
    store::revision mod;
    std::string ns, name;
  };
  void remember(const store::object& o, sys_micros now);

  std::chrono::microseconds ttl_;
  std::deque<written> entries_;
};

} // namespace troupe::ctl

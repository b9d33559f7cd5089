// cluster_link_core: decides which master a worker asks, what happens to its calls when that one is lost, and when the
//                    feed begins again elsewhere.
// Owner:  the cluster link's actor; pure: time is an argument, what is to be done comes back as effects.
// Units:  link/link_limits.hpp.
// Errors: every call is answered exactly once.
// Source: issue 3, "Clients of the group"; ours.
//
// Worked example: m1 is active, two calls are outstanding: GET a, POST b. m1 falls silent. m2 becomes active: the feed
// begins there at the mirror's revision, GET a is asked again there, POST b is answered 504: whether it took effect is
// not known, and asking again might do it twice.
#pragma once

#include "actors/link/link_codec.hpp"

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace troupe::link {

/// Whether doing it twice is as good as once, or the second time is refused.
bool safe_to_repeat(const request& r);

class cluster_link_core {
public:
  using instant = std::chrono::steady_clock::time_point;

  struct to_master {
    std::uint64_t session = 0;
    message what;
  };
  struct to_caller {
    std::uint64_t ticket = 0;
    response_ptr what;
  };
  using effect = std::variant<to_master, to_caller>;
  using effects = std::vector<effect>;

  /// `seed` spreads the nodes of a cluster over its masters.
  explicit cluster_link_core(std::uint64_t seed) : seed_(seed) {}

  // A session stands; its id is new. It is over.
  void opened(std::uint64_t session, const std::string& master, const master_state& s, instant now, effects& out);
  void lost(std::uint64_t session, const std::string& why, instant now, effects& out);
  void state(std::uint64_t session, const master_state& s, instant now, effects& out);
  void failed(const std::string& why) { last_failure_ = why; }

  void ask(std::uint64_t ticket, component as, request_ptr req, instant now, effects& out);
  void answered(std::uint64_t session, std::uint64_t id, response_ptr res, effects& out);

  /// The feed of this session begins (again). False: it is not the one we follow.
  bool feed_begun(std::uint64_t session, const feed_begin& m);
  /// Whether frames of the feed that come through this session count.
  bool following(std::uint64_t session) const noexcept { return session == active_ && feeding_; }
  /// A frame of the feed was taken in; the mirror stands at `cursor`.
  void took(std::size_t bytes, store::revision cursor, effects& out);
  /// The feed made no sense: the next one starts from nothing.
  void mistrust() noexcept { tables_ = 0; }
  /// What was seen is none of the cluster's history: it is asked for everything. False: a session we do not follow, or
  /// an old feed of it, said so.
  bool start_over(std::uint64_t session, const link::start_over& m, instant now, effects& out);

  void tick(instant now, effects& out);
  void stop(effects& out);

  /// Nothing waits for time to pass.
  bool idle() const noexcept { return calls() == 0 && feeding_; }
  std::uint64_t active() const noexcept { return active_; }
  std::string active_name() const;
  std::vector<std::string> open_names() const;
  const std::string& last_failure() const noexcept { return last_failure_; }
  std::uint64_t switches() const noexcept { return switches_; }
  std::size_t calls() const noexcept { return outstanding_.size() + waiting_.size(); }

private:
  struct master {
    std::string name;
    master_state state;
    instant shunned_until{}; // it did not give a feed in time
  };
  struct pending {
    std::uint64_t ticket = 0;
    component as = component::self;
    request_ptr req;
    std::uint64_t session = 0; // 0: waits for a master
    int attempt = 0;
    instant since{};
  };

  void choose(instant now, effects& out);
  void follow(std::uint64_t session, instant now, effects& out);
  void ask_feed(instant now, effects& out);
  std::tuple<bool, bool, std::uint64_t> rank(const master& m, instant now) const;
  void send(pending p, instant now, effects& out);
  void refuse(std::uint64_t ticket, status s, effects& out) const;
  status no_master() const;

  const std::uint64_t seed_;
  std::map<std::uint64_t, master> masters_;      // by session
  std::uint64_t active_ = 0;                     // session; 0: none
  std::map<std::uint64_t, pending> outstanding_; // by call id
  std::deque<pending> waiting_;
  std::uint64_t next_call_ = 1;
  std::string last_failure_ = "no session has been tried yet";
  std::uint64_t switches_ = 0;

  // The feed.
  bool feeding_ = false; // it has begun
  std::uint64_t epoch_ = 0;
  instant feed_asked_{};
  store::revision cursor_ = 0;
  std::uint32_t tables_ = 0;
  std::int64_t taken_ = 0; // bytes for which the master has no new credit yet
};

} // namespace troupe::link

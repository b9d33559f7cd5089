// api_lab: the api server's functions over an in-memory store, without actors, threads or disk.
// Owner:  one test.
// Units:  time moves only by `advance`.
// Errors: answers are as a client would get them.
// Source: ours; the store's own state machine applies what the functions plan.
#pragma once

#include "actors/apiserver/services.hpp"
#include "actors/apiserver/write.hpp"
#include "store/state_machine.hpp"
#include "store/watch_window.hpp"

namespace troupe::test {

struct lab_answer {
  int code = 0;
  json::value body;
  std::vector<std::string> warnings;
  std::string_view at(std::initializer_list<std::string_view> path) const { return jq::str(body, path); }
  std::string_view message() const { return at({"message"}); }
  std::string_view reason() const { return at({"reason"}); }
};

class api_lab {
public:
  /// With the bootstrap objects and a default service account in `default`.
  api_lab();

  /// `target` as in a URL: path and query. The identity is an administrator unless `as` was called.
  lab_answer call(std::string_view method, std::string_view target, std::string_view body = {},
                  std::string_view content_type = "application/json", std::string_view accept = {});
  lab_answer get(std::string_view target) { return call("GET", target); }
  lab_answer post(std::string_view target, std::string_view body) { return call("POST", target, body); }
  lab_answer put(std::string_view target, std::string_view body) { return call("PUT", target, body); }
  lab_answer merge(std::string_view target, std::string_view body) {
    return call("PATCH", target, body, "application/merge-patch+json");
  }
  lab_answer remove(std::string_view target, std::string_view body = {}) { return call("DELETE", target, body); }

  void as(identity who) { who_ = std::move(who); }
  void as_admin();
  void advance(std::chrono::seconds s) { now_ += s; }
  /// Called between the plan of a write and its apply, once: a competing write goes here.
  std::function<void()> interfere;

  apiserver::services& services() { return *s_; }
  apiserver::services_ptr shared_services() { return s_; }
  store::view_ptr view() const { return s_->view(); }
  sys_micros now() const { return now_; }

private:
  store::txn_result apply(const store::txn& t);
  lab_answer write(const request& r);

  store::state_machine machine_;
  std::shared_ptr<store::published_view> published_;
  std::shared_ptr<store::watch_window> window_;
  apiserver::services_ptr s_;
  identity who_;
  sys_micros now_{std::chrono::seconds(1'800'000'000)};
  random_source random_{7};
  std::uint64_t index_ = 0;
};

/// One set of keys per test process.
std::shared_ptr<const tls::pki> test_pki();

} // namespace troupe::test

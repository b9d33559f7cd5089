// store_client: a running store in a directory of its own, and a blocking client of it, for tests and benches.
// Owner:  the test.
// Units:  answers are awaited for at most 20 s.
// Errors: a REQUIRE-like throw when the store does not start or does not answer.
// Source: ours.
#pragma once

#include "actors/raft/raft_actor.hpp"
#include "actors/support/scheduling.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <condition_variable>
#include <filesystem>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <stdlib.h>
#include <string>

struct temp_dir {
  std::string path;
  temp_dir() {
    std::string t = (std::filesystem::temp_directory_path() / "troupe-store-XXXXXX").string();
    if (!::mkdtemp(t.data())) throw std::runtime_error("mkdtemp");
    path = t;
  }
  ~temp_dir() {
    std::error_code ec;
    std::filesystem::remove_all(path, ec);
  }
  temp_dir(const temp_dir&) = delete;
};

/// Collects answers in the order they arrive.
struct answer_box {
  std::mutex lock;
  std::condition_variable changed;
  std::vector<std::pair<std::uint64_t, troupe::store::txn_result>> items;
  std::vector<std::pair<std::uint64_t, troupe::store::txn_result>> take(std::size_t n) {
    std::unique_lock g(lock);
    if (!changed.wait_for(g, std::chrono::seconds(20), [&] { return items.size() >= n; }))
      throw std::runtime_error("the store did not answer");
    return std::exchange(items, {});
  }
};

inline troupe::txn_sink_actor::behavior_type answer_sink(std::shared_ptr<answer_box> box) {
  return {[box](const troupe::txns_done_ptr& done) {
    std::lock_guard g(box->lock);
    for (auto& [ticket, r] : done->items)
      box->items.emplace_back(ticket, std::move(r));
    box->changed.notify_all();
  }};
}

class store_node {
public:
  explicit store_node(const std::string& dir, troupe::raft_options o = {}) : sys_(config()) {
    o.data_dir = dir;
    o.cluster_id = "test";
    auto r = troupe::spawn_raft(sys_, o);
    if (!r) throw std::runtime_error(r.error().message);
    handles_ = std::move(*r);
    sink_ = sys_.spawn(answer_sink, box_);
  }
  ~store_node() {
    caf::anon_send_exit(handles_.raft, caf::exit_reason::user_shutdown);
    caf::anon_send_exit(sink_, caf::exit_reason::user_shutdown);
    handles_ = troupe::raft_handles();
    sink_ = troupe::txn_sink_actor();
  }
  static caf::actor_system_config& config() {
    static thread_local caf::actor_system_config cfg;
    static thread_local const bool once = (troupe::configure_scheduler(cfg, 2), true);
    (void)once;
    return cfg;
  }

  std::uint64_t send(troupe::store::txn t) {
    auto p = std::make_shared<troupe::propose>();
    p->ticket = ++ticket_;
    p->change = std::move(t);
    caf::anon_send(handles_.raft, std::move(p), sink_);
    return ticket_;
  }
  static troupe::store::txn make_put(std::string table, std::string ns, std::string name, const std::string& doc) {
    troupe::store::txn t;
    boost::system::error_code ec;
    auto v = troupe::json::parse(doc, ec);
    auto [bytes, at] = ec ? std::pair{doc, std::string::npos} : troupe::store::encode_for_put(v);
    t.puts.push_back({{std::move(table), std::move(ns), std::move(name)}, std::move(bytes), at});
    return t;
  }
  void send_put(std::string table, std::string ns, std::string name, const std::string& doc) {
    send(make_put(std::move(table), std::move(ns), std::move(name), doc));
  }
  std::vector<std::pair<std::uint64_t, troupe::store::txn_result>> await(std::size_t n) { return box_->take(n); }
  troupe::store::txn_result run(troupe::store::txn t) {
    send(std::move(t));
    return std::move(await(1)[0].second);
  }
  troupe::store::txn_result put(std::string table, std::string ns, std::string name, const std::string& doc) {
    return run(make_put(std::move(table), std::move(ns), std::move(name), doc));
  }
  troupe::store::txn_result erase(std::string table, std::string ns, std::string name) {
    troupe::store::txn t;
    t.erases.push_back({{std::move(table), std::move(ns), std::move(name)}});
    return run(std::move(t));
  }
  bool stop() {
    bool ok = false;
    caf::scoped_actor self(sys_);
    self->request(handles_.raft, std::chrono::seconds(20), troupe::flush_and_stop::value)
        .receive([&](bool r) { ok = r; }, [&](caf::error&) {});
    return ok;
  }
  std::string status() {
    std::string out;
    caf::scoped_actor self(sys_);
    self->request(handles_.raft, std::chrono::seconds(20), troupe::get_raft_status::value)
        .receive([&](std::string& s) { out = s; }, [&](caf::error&) {});
    return out;
  }
  const std::shared_ptr<troupe::store::published>& state() const { return handles_.state; }
  const std::shared_ptr<troupe::store::watch_hub>& hub() const { return handles_.hub; }
  const troupe::raft_actor& raft() const { return handles_.raft; }
  caf::actor_system& sys() { return sys_; }

private:
  caf::actor_system sys_;
  troupe::raft_handles handles_;
  troupe::txn_sink_actor sink_;
  std::shared_ptr<answer_box> box_ = std::make_shared<answer_box>();
  std::uint64_t ticket_ = 0;
};

// link_lab: masters and workers in one process: a real store, the real API, sessions over real TLS on loopback.
// Owner:  one test.
// Units:  waits end by the event, or fail after a limit that no healthy machine reaches.
// Errors: -
// Source: ours.
#pragma once

#include "actors/apiserver/apiserver.hpp"
#include "actors/link/cluster_link.hpp"
#include "actors/link/cluster_link_client.hpp"
#include "actors/link/link_codec.hpp"
#include "actors/link/node_session.hpp"
#include "actors/raft/raft_actor.hpp"
#include "actors/support/component.hpp"
#include "net/link/secure_listener.hpp"
#include "store/state_view.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>

#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace troupe::test {

/// True when `holds` became true; looks again every few milliseconds.
bool comes_true(const std::function<bool()>& holds);

/// A view that a test can hold back, as a master's that lags.
class held_view final : public store::published {
public:
  explicit held_view(std::shared_ptr<store::published> of) : of_(std::move(of)) {}
  store::view_ptr current() const override;
  void hold();
  void release();

private:
  std::shared_ptr<store::published> of_;
  mutable std::mutex mutex_;
  store::view_ptr held_;
};

/// One store and one API; any number of doors to it, each a master as a worker sees it.
class link_lab {
public:
  link_lab();
  ~link_lab();

  response_ptr call(verb what, std::string plural, std::string ns, std::string name, std::string body = {},
                    std::string subresource = {});
  store::object_ptr make(const std::string& plural, const std::string& ns, const std::string& body);
  store::object_ptr pod(const std::string& name, const std::string& node, const std::string& more = {});
  std::shared_ptr<const link::session_tls> node_tls(const std::string& node);

  std::filesystem::path dir;
  caf::actor_system_config config;
  std::unique_ptr<caf::actor_system> system;
  raft_handles raft;
  api_handles api;
};

class lab_door {
public:
  lab_door(link_lab& lab, std::string name, std::shared_ptr<group_board> group = nullptr);
  ~lab_door();
  link::master_address address() const { return {name, "127.0.0.1", listener->port()}; }

  std::string name;
  std::shared_ptr<held_view> view;
  std::shared_ptr<node_directory> doors = std::make_shared<node_directory>();
  std::shared_ptr<link::node_sessions> sessions;
  std::unique_ptr<link::secure_listener> listener;
};

/// Passes bytes between a worker and a door; can cut what is open, or let nothing through.
class relay {
public:
  explicit relay(std::uint16_t to);
  ~relay();
  std::uint16_t port() const { return port_; }
  void cut();
  void pause(bool on);

private:
  void run();
  const std::uint16_t to_;
  std::uint16_t port_ = 0;
  int listen_ = -1;
  std::atomic<bool> stop_{false}, paused_{false}, pausing_{false}, cut_{false};
  std::thread thread_;
};

class lab_worker {
public:
  lab_worker(link_lab& lab, std::string node, std::vector<link::master_address> masters);
  ~lab_worker();
  component_env env(const std::string& user = {}) const;
  response_ptr call(request r) const;
  bool sees(const std::string& table, const std::string& ns, const std::string& name) const;

  link_lab& lab;
  std::string node;
  link::cluster_link_handles link;
};

request request_of(verb what, std::string plural, std::string ns, std::string name, std::string body = {},
                   std::string subresource = {});

} // namespace troupe::test

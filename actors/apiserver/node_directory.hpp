// node_directory: where the kubelet of a node is found by name, for logs, exec, attach and port-forward.
// Owner:  shared; thread-safe. Kubelets enter themselves when they are spawned and leave when they stop.
// Units:  -
// Errors: an unknown node gives nothing: the caller answers 503 with the node's name.
// Source: ours.
#pragma once

#include "actors/protocol.hpp"

#include <map>
#include <mutex>
#include <optional>
#include <string>

namespace troupe {

class node_directory {
public:
  void enter(const std::string& node, kubelet_actor door) {
    std::lock_guard lock(mutex_);
    doors_.insert_or_assign(node, std::move(door));
  }
  void leave(const std::string& node) {
    std::lock_guard lock(mutex_);
    doors_.erase(node);
  }
  std::optional<kubelet_actor> find(const std::string& node) const {
    std::lock_guard lock(mutex_);
    auto it = doors_.find(node);
    if (it == doors_.end()) return std::nullopt;
    return it->second;
  }
  std::vector<std::string> names() const {
    std::lock_guard lock(mutex_);
    std::vector<std::string> out;
    for (const auto& [name, door] : doors_)
      out.push_back(name);
    return out;
  }
  /// Drops every handle, before the actor system is destroyed.
  void clear() {
    std::lock_guard lock(mutex_);
    doors_.clear();
  }

private:
  mutable std::mutex mutex_;
  std::map<std::string, kubelet_actor> doors_;
};

} // namespace troupe

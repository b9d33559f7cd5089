// garbage_collector: deletes objects whose owners are gone; foreground and orphan deletion of owners.
// Owner:  manager_core.
// Units:  at most limits::deletions_per_look_max deletions per look.
// Errors: an owner whose kind is unknown counts as present: nothing is deleted on a guess.
// Source: Kubernetes pkg/controller/garbagecollector.
//
// Only dependents are indexed (owner uid -> dependents). Whether an owner exists is asked of the live view, by kind,
// name and uid, in the namespace of the dependent: an owner in another namespace is no owner. Keys of the queue:
//   o <uid>               does this owner exist?
//   d <table> <ns> <name> is any owner of this dependent left?
//   f <table> <ns> <name> an owner under foreground or orphan deletion
#pragma once

#include "actors/controllers/controller.hpp"

#include <deque>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <unordered_set>

namespace troupe::ctl {

class garbage_collector : public controller {
public:
  using controller::controller;
  void observe(const change& c, const cluster_cache& cache, sys_micros now) override;
  void relisted(std::string_view table, const store::view& now_view, sys_micros now) override;
  outcome reconcile(const std::string& key, const world& w) override;
  std::size_t dependents() const noexcept { return owners_of_.size(); }

private:
  struct place {
    std::string table, ns, name;
    auto operator<=>(const place&) const = default;
    std::string key(char kind) const { return std::string(1, kind) + "\n" + table + "\n" + ns + "\n" + name; }
  };
  struct owner_entry {
    std::set<place> dependents;
    bool verified = false; // seen in the live view since it was last deleted
  };
  enum class standing : std::uint8_t { solid, absent, waiting };

  void put(std::string_view table, const store::object_ptr& o);
  void drop(const place& p);
  void owner_deleted(const std::string& uid);
  standing look_up(const json::value& ref, const std::string& ns, const store::view& live) const;
  bool recently_deleted(const std::string& uid) const { return deleted_.contains(uid); }

  void check_owner(const std::string& uid, const world& w);
  void check_dependent(const place& p, const world& w, outcome& out);
  void process_owner(const place& p, const world& w, outcome& out);
  void process_orphans(const place& p, const json::value& doc, const world& w, outcome& out);
  void process_foreground(const place& p, const json::value& doc, const world& w, outcome& out);

  std::unordered_map<std::string, owner_entry> owners_;
  std::map<place, std::vector<std::string>> owners_of_;
  std::unordered_map<std::string, place> foreground_; // owners waiting for their dependents
  std::unordered_set<std::string> deleted_;
  std::deque<std::string> deleted_order_;
};

} // namespace troupe::ctl

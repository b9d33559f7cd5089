#include "actors/apiserver/rbac_index.hpp"

namespace troupe::apiserver {

namespace {
struct followed {
  std::string_view table, kind;
};
constexpr std::array<followed, 4> kinds{{{"roles.rbac.authorization.k8s.io", "Role"},
                                         {"clusterroles.rbac.authorization.k8s.io", "ClusterRole"},
                                         {"rolebindings.rbac.authorization.k8s.io", "RoleBinding"},
                                         {"clusterrolebindings.rbac.authorization.k8s.io", "ClusterRoleBinding"}}};
constexpr std::size_t batch = 1024;
} // namespace

rbac_index::rbac_index(std::shared_ptr<store::published> state, std::shared_ptr<store::watch_hub> hub)
    : state_(std::move(state)), hub_(std::move(hub)) {
  for (std::size_t i = 0; i < kinds.size(); ++i)
    subscriptions_[i] = hub_->subscribe(kinds[i].table, [dirty = dirty_] { dirty->store(true); });
}

rbac_index::~rbac_index() = default;

std::shared_ptr<const rbac::rbac_rules> rbac_index::rules() {
  // A refresh under way has cleared the mark already, but not published yet: the first one leaves nothing to return.
  if (dirty_->load() || refreshing_.load()) refresh();
  return current_.load();
}

void rbac_index::refresh() {
  std::lock_guard lock(mutex_);
  refreshing_ = true; // before the mark goes: whoever does not see the one sees the other
  if (dirty_->exchange(false)) take_changes();
  refreshing_ = false;
}

void rbac_index::take_changes() {
  if (!loaded_) reload();
  bool behind = false;
  for (std::size_t i = 0; i < kinds.size() && !behind; ++i) {
    for (bool more = true; more && !behind;) {
      const auto got = hub_->pull(kinds[i].table, cursors_[i], batch);
      behind = got.too_old;
      for (const auto& e : got.events)
        apply(*e, i);
      if (!behind) cursors_[i] = std::max(got.upto, cursors_[i]);
      more = got.events.size() == batch;
    }
  }
  if (behind) reload();
  current_.store(table_->snapshot());
  for (std::size_t i = 0; i < kinds.size(); ++i)
    subscriptions_[i]->arm(cursors_[i]);
}

void rbac_index::reload() {
  table_ = std::make_unique<rbac::rbac_table>();
  const auto now = state_->current();
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    now->scan(kinds[i].table, {}, [&](const store::object_ptr& o) {
      table_->upsert(o->parse());
      return true;
    });
    cursors_[i] = now->rev();
  }
  loaded_ = true;
}

void rbac_index::apply(const store::event& e, std::size_t table) {
  if (e.type == store::event_type::deleted)
    table_->erase(kinds[table].kind, e.current->ns, e.current->name);
  else
    table_->upsert(e.current->parse());
}

} // namespace troupe::apiserver

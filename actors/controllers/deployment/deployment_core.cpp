#include "actors/controllers/deployment/deployment_core.hpp"

#include "actors/controllers/deployment/deployment_facts.hpp"
#include "actors/controllers/deployment/deployment_status.hpp"
#include "actors/controllers/deployment/template_hash.hpp"
#include "api/meta/object_meta.hpp"
#include "api/meta/selector.hpp"

#include <array>
#include <functional>

namespace troupe::ctl {

using namespace deploy;

namespace {

constexpr std::string_view last_applied = "kubectl.kubernetes.io/last-applied-configuration";

/// Annotations of the Deployment that its ReplicaSets do not copy: their own bookkeeping and kubectl's.
bool copied(std::string_view key) {
  constexpr std::array own{revision_key,
                           desired_key,
                           max_key,
                           last_applied,
                           std::string_view{"deployment.kubernetes.io/revision-history"},
                           std::string_view{"deprecated.deployment.rollback.to"}};
  return std::find(own.begin(), own.end(), key) == own.end();
}

/// One look at one Deployment.
class look {
public:
  explicit look(const deployment_input& in) : in_(in), d_(in.deployment), f_(read_facts(in.deployment.doc)) {}
  outcome run();

private:
  bool claim();
  void split();
  bool scaling_asked() const;
  void want_annotations(replica_set& r, json::object& annotations) const;
  void ensure_fresh(bool create);
  void create_fresh(std::int64_t revision);
  void write_scales();
  void set_revision(std::int64_t revision);
  void clean_history();
  void finish(bool track_progress);
  bool old_pods_run() const {
    std::vector<item_ptr> list;
    for (const auto& r : old_)
      list.push_back(r.i);
    return in_.old_pods_run(list);
  }

  const deployment_input& in_;
  const item& d_;
  facts f_;
  outcome out_;
  std::vector<item_ptr> sets_;
  std::vector<replica_set> old_; // oldest first
  std::optional<replica_set> fresh_;
  std::optional<std::int64_t> collisions_;
  step did_ = step::none;
  std::string fresh_name_;
};

bool look::claim() {
  auto sel = label_selector::from_object(jq::find(d_.doc, {"spec", "selector"}));
  if (!sel || sel->matches_everything() || sel->matches_nothing()) {
    out_.notes.push_back({d_.doc, "Warning", "SelectingAll",
                          "This deployment is selecting all pods. A non-empty selector is required."});
    return false;
  }
  auto patch_owner = [&](const item& rs, json::object entry) {
    json::object m{{"uid", rs.uid}};
    json::array owners;
    owners.emplace_back(std::move(entry));
    m["ownerReferences"] = std::move(owners);
    json::object patch;
    patch["metadata"] = std::move(m);
    out_.actions.push_back(act::strategic(refs::replica_sets, rs.ns(), rs.name(), std::move(patch)));
  };
  for (const auto& rs : in_.owned) {
    if (sel->matches(rs->raw->meta().labels) || d_.deleting)
      sets_.push_back(rs);
    else if (!rs->deleting)
      patch_owner(*rs, {{"$patch", "delete"}, {"uid", d_.uid}});
  }
  if (!d_.deleting)
    for (const auto& rs : in_.orphans)
      if (!rs->deleting && sel->matches(rs->raw->meta().labels)) {
        patch_owner(*rs, meta::controller_reference(d_.doc));
        sets_.push_back(rs);
      }
  return true;
}

/// Finds the ReplicaSet of the current template; the oldest wins where two have it.
void look::split() {
  std::sort(sets_.begin(), sets_.end(), [](const auto& a, const auto& b) {
    return std::tie(a->created, a->name()) < std::tie(b->created, b->name());
  });
  auto tmpl = jq::find(d_.doc, {"spec", "template"});
  for (const auto& rs : sets_) {
    auto r = read_replica_set(rs);
    auto theirs = jq::find(rs->doc, {"spec", "template"});
    if (!fresh_ && tmpl && theirs && same_template(*tmpl, *theirs))
      fresh_ = std::move(r);
    else
      old_.push_back(std::move(r));
  }
  if (fresh_) fresh_name_ = fresh_->i->name();
}

bool look::scaling_asked() const {
  auto differs = [&](const replica_set& r) {
    auto text = meta::annotation(r.i->doc, desired_key);
    return r.have > 0 && !text.empty() && text != std::to_string(f_.replicas);
  };
  return (fresh_ && differs(*fresh_)) || std::any_of(old_.begin(), old_.end(), differs);
}

void look::set_revision(std::int64_t revision) {
  auto text = std::to_string(revision);
  if (meta::annotation(d_.doc, revision_key) == text) return;
  json::object annotations;
  annotations[revision_key] = text;
  json::object m{{"uid", d_.uid}};
  m["annotations"] = std::move(annotations);
  json::object patch;
  patch["metadata"] = std::move(m);
  out_.actions.push_back(act::merge(refs::deployments, d_.ns(), d_.name(), std::move(patch)));
}

void look::create_fresh(std::int64_t revision) {
  auto tmpl = jq::find(d_.doc, {"spec", "template"});
  if (!tmpl) return;
  auto hash = template_hash(*tmpl, jq::maybe_num(d_.doc, {"status", "collisionCount"}));
  auto name = d_.name() + "-" + hash;
  if (in_.named(name)) { // taken by another template or owner: the next count gives another hash
    collisions_ = jq::num(d_.doc, {"status", "collisionCount"}) + 1;
    return;
  }
  auto old_total = sum(old_, &replica_set::have);
  auto n = f_.recreate ? f_.replicas : std::clamp<std::int64_t>(f_.max_total() - old_total, 0, f_.replicas);
  json::value pod = *tmpl;
  jq::at(pod, {"metadata", "labels", hash_label}) = hash;
  json::value selector = *jq::find(d_.doc, {"spec", "selector"});
  jq::at(selector, {"matchLabels", hash_label}) = hash;
  json::object annotations;
  for (const auto& [k, v] : meta::annotations(d_.doc))
    if (copied({k.data(), k.size()})) annotations[k] = v;
  annotations[revision_key] = std::to_string(revision);
  annotations[desired_key] = std::to_string(f_.replicas);
  annotations[max_key] = std::to_string(f_.max_total());
  json::array owners;
  owners.emplace_back(meta::controller_reference(d_.doc));
  json::object m{{"name", name}, {"namespace", d_.ns()}};
  m["labels"] = jq::obj(pod, {"metadata", "labels"});
  m["annotations"] = std::move(annotations);
  m["ownerReferences"] = std::move(owners);
  json::object spec{{"replicas", n}};
  if (f_.min_ready_seconds) spec["minReadySeconds"] = f_.min_ready_seconds;
  spec["selector"] = std::move(selector);
  spec["template"] = std::move(pod);
  json::object rs{{"apiVersion", "apps/v1"}, {"kind", "ReplicaSet"}};
  rs["metadata"] = std::move(m);
  rs["spec"] = std::move(spec);
  auto a = act::create(refs::replica_sets, d_.ns(), std::move(rs));
  a.lenient = true;
  if (n > 0)
    a.when_done = note{d_.doc, "Normal", "ScalingReplicaSet",
                       "Scaled up replica set " + name + " from 0 to " + std::to_string(n)};
  a.when_failed =
      note{d_.doc, "Warning", "ReplicaSetCreateError", "Failed to create new replica set \"" + name + "\": {}"};
  out_.actions.push_back(std::move(a));
  set_revision(revision);
  fresh_name_ = name;
  did_ = step::created;
}

void look::ensure_fresh(bool create) {
  std::int64_t newest = 0;
  for (const auto& r : old_)
    newest = std::max(newest, r.revision);
  if (!fresh_) {
    if (create) create_fresh(newest + 1);
    return;
  }
  // A rollback makes an old ReplicaSet the current one: it moves to the top of the history.
  if (fresh_->revision <= newest) fresh_->revision = newest + 1;
  set_revision(fresh_->revision);
  if (did_ == step::none) did_ = step::found;
}

/// Annotations that a ReplicaSet is to carry, as a merge patch (only what differs).
void look::want_annotations(replica_set& r, json::object& annotations) const {
  auto want = [&](std::string_view key, std::string_view value) {
    if (meta::annotation(r.i->doc, key) != value) annotations[key] = value;
  };
  auto is_fresh = fresh_ && r.i == fresh_->i;
  if (is_fresh) {
    for (const auto& [k, v] : meta::annotations(d_.doc)) {
      std::string_view key{k.data(), k.size()};
      if (copied(key) && v.is_string()) want(key, std::string_view{v.get_string()});
    }
    for (const auto& [k, v] : meta::annotations(r.i->doc)) {
      std::string_view key{k.data(), k.size()};
      if (copied(key) && !meta::annotations(d_.doc).contains(k)) annotations[k] = nullptr;
    }
    want(revision_key, std::to_string(r.revision));
  }
  if (is_fresh || r.want != r.have || r.have > 0) {
    want(desired_key, std::to_string(f_.replicas));
    want(max_key, std::to_string(f_.max_total()));
  }
}

void look::write_scales() {
  auto write = [&](replica_set& r) {
    json::object patch, m{{"uid", r.i->uid}}, annotations, spec;
    want_annotations(r, annotations);
    if (r.want != r.have) spec["replicas"] = r.want;
    if (fresh_ && r.i == fresh_->i && jq::num(r.i->doc, {"spec", "minReadySeconds"}) != f_.min_ready_seconds)
      spec["minReadySeconds"] = f_.min_ready_seconds;
    if (annotations.empty() && spec.empty()) return;
    // A ReplicaSet changed by someone else meanwhile is looked at again before it is scaled.
    m["resourceVersion"] = meta::resource_version(r.i->doc);
    if (!annotations.empty()) m["annotations"] = std::move(annotations);
    patch["metadata"] = std::move(m);
    if (!spec.empty()) patch["spec"] = std::move(spec);
    auto a = act::merge(refs::replica_sets, r.i->ns(), r.i->name(), std::move(patch));
    if (r.want != r.have)
      a.when_done = note{d_.doc, "Normal", "ScalingReplicaSet",
                         std::string{r.want > r.have ? "Scaled up" : "Scaled down"} + " replica set " + r.i->name() +
                             " from " + std::to_string(r.have) + " to " + std::to_string(r.want)};
    out_.actions.push_back(std::move(a));
  };
  if (fresh_) write(*fresh_);
  for (auto& r : old_)
    if (!r.i->deleting) write(r);
}

void look::clean_history() {
  if (f_.revision_history_limit >= 2147483647) return;
  std::vector<const replica_set*> idle;
  for (const auto& r : old_)
    if (!r.i->deleting) idle.push_back(&r);
  auto surplus = static_cast<std::int64_t>(idle.size()) - f_.revision_history_limit;
  std::stable_sort(idle.begin(), idle.end(), [](auto* a, auto* b) { return a->revision < b->revision; });
  for (std::int64_t i = 0; i < surplus; ++i) {
    const auto& r = *idle[static_cast<std::size_t>(i)];
    if (r.actual != 0 || r.have != 0 ||
        meta::generation(r.i->doc) > jq::num(r.i->doc, {"status", "observedGeneration"}))
      continue;
    out_.actions.push_back(act::remove(refs::replica_sets, r.i->ns(), r.i->name(), r.i->uid));
  }
}

void look::finish(bool track_progress) {
  write_scales();
  write_status({d_, f_, fresh_ ? &*fresh_ : nullptr, old_, did_, fresh_name_, collisions_, track_progress, {}, in_.now},
               out_);
}

outcome look::run() {
  if (!claim()) return std::move(out_);
  split();
  if (d_.deleting) {
    write_status({d_, f_, fresh_ ? &*fresh_ : nullptr, old_, step::none, fresh_name_, {}, false, {}, in_.now}, out_);
    return std::move(out_);
  }
  if (f_.paused || scaling_asked()) {
    ensure_fresh(false);
    scale_proportionally(f_, fresh_ ? &*fresh_ : nullptr, old_);
    if (f_.paused && complete(f_, fresh_ ? &*fresh_ : nullptr, old_)) clean_history();
    finish(false);
    return std::move(out_);
  }
  if (f_.recreate) {
    bool lowered = false;
    for (auto& r : old_)
      if (r.have > 0) r.want = 0, lowered = true;
    ensure_fresh(false);
    if (!lowered && !old_pods_run()) {
      ensure_fresh(true);
      if (fresh_) fresh_->want = f_.replicas;
    }
  } else {
    ensure_fresh(true);
    if (fresh_) roll(f_, *fresh_, old_);
  }
  if (complete(f_, fresh_ ? &*fresh_ : nullptr, old_)) clean_history();
  finish(true);
  return std::move(out_);
}

} // namespace

outcome deployment_look(const deployment_input& in) { return look{in}.run(); }

} // namespace troupe::ctl

// fake_cluster: an API and a store in one thread, enough for a kubelet: real objects, real watch, real patches.
// Owner:  one test.
// Units:  -
// Errors: answers 404, 409 as the API does; `refuse` makes it fail on purpose.
// Source: ours.
#pragma once

#include "actors/support/component.hpp"
#include "api/meta/object_meta.hpp"
#include "api/patch/patch.hpp"
#include "api/schema/registry.hpp"
#include "store/state_machine.hpp"
#include "store/watch_window.hpp"

#include <caf/actor_system.hpp>
#include <caf/event_based_actor.hpp>
#include <caf/typed_event_based_actor.hpp>

#include <functional>
#include <string>
#include <vector>

namespace troupe::kubelet::test {

class fake_cluster {
public:
  fake_cluster() {
    window->start(0, 0);
    view->set(machine_.snapshot());
  }

  /// Writes an object; gives it uid and creation time when it has none.
  store::object_ptr put(const std::string& table, json::value doc) {
    auto& m = doc.as_object()["metadata"].as_object();
    if (!m.contains("uid")) m["uid"] = "uid-" + std::to_string(++uids_);
    store::txn t;
    auto [bytes, offset] = store::encode_for_put(doc);
    t.puts.push_back({{table, std::string{meta::ns(doc)}, std::string{meta::name(doc)}}, bytes, offset});
    return apply(std::move(t)).written.front();
  }
  store::object_ptr put(const std::string& table, const std::string& text) { return put(table, json::parse(text)); }
  void erase(const std::string& table, const std::string& ns, const std::string& name) {
    store::txn t;
    t.erases.push_back({{table, ns, name}});
    apply(std::move(t));
  }
  json::value get(const std::string& table, const std::string& ns, const std::string& name) const {
    auto o = view->current()->get(table, ns, name);
    return o ? o->parse() : json::value{};
  }
  /// Graceful deletion as the API does it.
  void ask_delete(const std::string& ns, const std::string& name, std::int64_t grace, const std::string& when) {
    auto doc = get("pods", ns, name);
    auto& m = doc.as_object()["metadata"].as_object();
    m["deletionTimestamp"] = when;
    m["deletionGracePeriodSeconds"] = grace;
    put("pods", doc);
  }
  std::vector<std::string> events() const {
    std::vector<std::string> out;
    view->current()->scan("events", "", [&](const store::object_ptr& o) {
      auto d = o->parse();
      out.push_back(std::string{jq::str(d, {"reason"})} + ": " + std::string{jq::str(d, {"message"})});
      return true;
    });
    return out;
  }

  response_ptr answer(const request& r) {
    ++calls;
    if (refuse)
      if (auto code = refuse(r)) return fail(code, "refused by the test");
    auto* res = schema::registry::get().find(r.group, r.version, r.plural);
    if (!res) return fail(404, "no such resource");
    auto table = res->store_key;
    auto old = view->current()->get(table, r.ns, r.name);
    if (r.what == verb::create && r.subresource == "token") {
      auto out = std::make_shared<response>();
      out->code = 201;
      out->body = R"({"status":{"token":"token-)" + std::to_string(++tokens) + "\"}}";
      return out;
    }
    if (r.what == verb::create) return create(r, table);
    if (!old) return fail(404, "not found");
    if (r.what == verb::get) return found(old);
    if (r.what == verb::patch) return patched(r, *res, table, *old);
    if (r.what == verb::delete_) {
      ++deletes;
      erase(table, r.ns, r.name);
      return found(old);
    }
    return fail(405, "not here");
  }

  api_actor spawn_api(caf::actor_system& sys) {
    return sys.spawn([this]() -> api_actor::behavior_type {
      return {[](const api_call_ptr&) {}, [this](const request_ptr& r) { return answer(*r); },
              [](const txns_done_ptr&) {}};
    });
  }

  std::shared_ptr<store::published_view> view = std::make_shared<store::published_view>(nullptr);
  std::shared_ptr<store::watch_window> window = std::make_shared<store::watch_window>();
  std::function<int(const request&)> refuse;
  int calls = 0, tokens = 0, deletes = 0, status_patches = 0;

private:
  store::txn_result apply(store::txn t) {
    store::log_entry e;
    e.index = store::log_index{++index_};
    e.term = store::log_term{1};
    e.kind = store::entry_kind::change;
    e.payload = std::make_shared<const std::string>(store::encode_txn(t));
    std::vector<store::change_record> changes;
    auto r = machine_.apply(e, changes);
    view->set(machine_.snapshot());
    window->append(changes, machine_.rev());
    return r;
  }
  static response_ptr fail(int code, std::string message) {
    auto out = std::make_shared<response>();
    out->code = code;
    auto s = errors::internal(message);
    s.code = code;
    out->error = std::make_shared<const status>(std::move(s));
    return out;
  }
  static response_ptr found(store::object_ptr o) {
    auto out = std::make_shared<response>();
    out->object = std::move(o);
    return out;
  }
  static const json::value& body(const request& r) { return *std::get<std::shared_ptr<const json::value>>(r.body); }
  response_ptr create(const request& r, const std::string& table) {
    auto doc = body(r);
    auto& m = doc.as_object()["metadata"].as_object();
    if (!r.ns.empty()) m["namespace"] = r.ns;
    if (!m.contains("name")) m["name"] = "generated-" + std::to_string(++uids_);
    if (view->current()->get(table, r.ns, meta::name(doc))) return fail(409, "exists");
    return found(put(table, doc));
  }
  response_ptr patched(const request& r, const schema::resource& res, const std::string& table,
                       const store::object& old) {
    auto doc = old.parse();
    auto uid = jq::str(body(r), {"metadata", "uid"});
    if (!uid.empty() && uid != meta::uid(doc)) return fail(409, "another uid");
    if (table == "pods" && r.subresource == "status") ++status_patches;
    json::value next;
    if (r.content_type == "application/strategic-merge-patch+json") {
      auto n = patch::strategic_merge_patch(*res.body, doc, body(r));
      if (!n) return fail(n.error().code, n.error().message);
      next = std::move(*n);
    } else {
      next = patch::merge_patch(doc, body(r));
    }
    return found(put(table, std::move(next)));
  }

  store::state_machine machine_;
  std::uint64_t index_ = 0;
  int uids_ = 0;
};

} // namespace troupe::kubelet::test

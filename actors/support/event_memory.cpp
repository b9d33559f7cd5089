#include "actors/support/event_memory.hpp"

#include "actors/support/limits.hpp"
#include "api/meta/object_meta.hpp"

#include <algorithm>
#include <cstdio>

namespace troupe {

namespace {
/// Events about cluster-scoped objects live in `default`.
std::string event_namespace(const json::value& about) {
  auto ns = meta::ns(about);
  return std::string{ns.empty() ? "default" : ns};
}

std::string object_key_of(const json::value& about) {
  std::string k{meta::kind(about)};
  for (auto part : {meta::ns(about), meta::name(about), meta::uid(about)})
    k.append(1, '/').append(part);
  return k;
}
} // namespace

json::object event_memory::make_doc(const json::value& about, std::string_view type, std::string_view reason,
                                    std::string_view message, std::string_view field_path, sys_micros now) {
  auto id = std::max<std::uint64_t>(last_id_ + 1, static_cast<std::uint64_t>(now.time_since_epoch().count()) * 1000);
  last_id_ = id;
  char suffix[20];
  std::snprintf(suffix, sizeof suffix, ".%016llx", static_cast<unsigned long long>(id));
  json::object involved{{"kind", meta::kind(about)},
                        {"name", meta::name(about)},
                        {"uid", meta::uid(about)},
                        {"apiVersion", meta::api_version(about)},
                        {"resourceVersion", meta::resource_version(about)}};
  if (!meta::ns(about).empty()) involved["namespace"] = meta::ns(about);
  if (!field_path.empty()) involved["fieldPath"] = field_path;
  json::object source{{"component", component_}};
  if (!host_.empty()) source["host"] = host_;
  auto at = format_time(now);
  return {
      {"apiVersion", "v1"},
      {"kind", "Event"},
      {"metadata", {{"name", std::string{meta::name(about)}.append(suffix)}, {"namespace", event_namespace(about)}}},
      {"involvedObject", std::move(involved)},
      {"reason", reason},
      {"message", message.substr(0, limits::event_message_bytes_max)},
      {"source", std::move(source)},
      {"firstTimestamp", at},
      {"lastTimestamp", at},
      {"count", 1},
      {"type", type},
      {"reportingComponent", component_},
      {"reportingInstance", host_}};
}

bool event_memory::allowed(const std::string& object_key, sys_micros now) {
  constexpr double burst = limits::events_burst;
  if (buckets_.size() > limits::recorded_events_max) buckets_.clear(); // forgetting errs on the side of telling
  auto [it, fresh] = buckets_.try_emplace(object_key, bucket{burst, now});
  auto& b = it->second;
  std::chrono::duration<double> passed = now - b.at;
  b.tokens = std::min(burst, b.tokens + passed / std::chrono::duration<double>(limits::events_refill));
  b.at = now;
  if (b.tokens < 1) return false;
  b.tokens -= 1;
  return true;
}

std::optional<event_write> event_memory::note(const json::value& about, std::string_view type, std::string_view reason,
                                              std::string_view message, std::string_view field_path, sys_micros now) {
  auto object_key = object_key_of(about);
  if (!allowed(object_key, now)) return std::nullopt;
  auto key = object_key;
  for (auto part : {type, reason, field_path, message})
    key.append(1, '\n').append(part);
  if (auto it = entries_.find(key); it != entries_.end()) {
    recent_.splice(recent_.begin(), recent_, it->second);
    auto& e = *it->second;
    ++e.count;
    e.last = now;
    return e.busy ? std::nullopt : write_of(e);
  }
  recent_.push_front({});
  auto& e = recent_.front();
  e.key = key;
  e.ns = event_namespace(about);
  e.doc = make_doc(about, type, reason, message, field_path, now);
  e.name = meta::name(e.doc);
  e.count = 1;
  e.last = now;
  entries_.emplace(key, recent_.begin());
  while (entries_.size() > limits::recorded_events_max) {
    entries_.erase(recent_.back().key);
    recent_.pop_back();
  }
  return write_of(e);
}

std::optional<event_write> event_memory::write_of(entry& e) {
  e.busy = true;
  e.written = e.count;
  if (e.stored)
    return event_write{event_write::kind::bump, e.key, e.ns, e.name,
                       json::object{{"count", e.count}, {"lastTimestamp", format_time(e.last)}}};
  auto doc = e.doc;
  doc.as_object()["count"] = e.count;
  doc.as_object()["lastTimestamp"] = format_time(e.last);
  return event_write{event_write::kind::create, e.key, e.ns, e.name, std::move(doc)};
}

std::optional<event_write> event_memory::done(const std::string& key, bool ok, bool gone) {
  auto it = entries_.find(key);
  if (it == entries_.end()) return std::nullopt;
  auto& e = *it->second;
  e.busy = false;
  if (gone && e.stored) {
    e.stored = false;
    e.count -= e.written - 1; // a fresh Event starts its own count
    if (e.count < 1) e.count = 1;
    e.doc.as_object()["firstTimestamp"] = format_time(e.last);
    auto id = ++last_id_;
    char suffix[20];
    std::snprintf(suffix, sizeof suffix, "%016llx", static_cast<unsigned long long>(id));
    if (auto dot = e.name.rfind('.'); dot != std::string::npos) e.name.replace(dot + 1, std::string::npos, suffix);
    jq::at(e.doc, {"metadata", "name"}) = e.name;
    return write_of(e);
  }
  if (!ok) { // advice, not state: forget it
    recent_.erase(it->second);
    entries_.erase(it);
    return std::nullopt;
  }
  e.stored = true;
  if (e.count > e.written) return write_of(e);
  return std::nullopt;
}

} // namespace troupe

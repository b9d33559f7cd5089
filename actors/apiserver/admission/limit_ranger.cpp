// LimitRanger: fills in and bounds requests and limits by the LimitRanges of the namespace.
#include "actors/apiserver/admission/admission.hpp"
#include "api/meta/quantity.hpp"

namespace troupe::apiserver::plugins {

namespace {

/// Fills `requests` or `limits` of a container from the range's defaults; names what it set.
void fill(json::value& container, const char* section, const json::object& from, std::string& note) {
  for (const auto& kv : from) {
    if (jq::find(container, {"resources", section, jq::view(kv.key())})) continue;
    jq::at(container, {"resources", section, jq::view(kv.key())}) = kv.value();
    note.append(note.empty() ? "" : ", ").append(jq::view(kv.key()));
  }
}

void apply_defaults(json::value& pod, const json::value& item, std::string& note) {
  for (const char* list : {"initContainers", "containers"}) {
    auto* all = jq::find(pod, {"spec", list});
    if (!all || !all->is_array()) continue;
    for (auto& c : all->get_array()) {
      std::string requests, limits;
      fill(c, "limits", jq::obj(item, {"default"}), limits);
      fill(c, "requests", jq::obj(item, {"defaultRequest"}), requests);
      const std::string who = (std::string_view(list) == "containers" ? "container " : "init container ") +
                              std::string(jq::str(c, {"name"}));
      if (!requests.empty()) note.append(note.empty() ? "" : "; ").append(requests + " request for " + who);
      if (!limits.empty()) note.append(note.empty() ? "" : "; ").append(limits + " limit for " + who);
    }
  }
}

struct bounds_check {
  std::string type; // Container, Pod, PersistentVolumeClaim
  const json::value& item;
  std::vector<std::string> faults;

  void one(std::string_view resource, const quantity* request, const quantity* limit) {
    const auto bound = [&](const char* which) { return jq::find(item, {which, resource}); };
    if (const auto* min = bound("min")) {
      const auto q = quantity::parse_or_zero(min);
      if (!request)
        add("minimum", resource, q, "No request is specified");
      else if (*request < q)
        add("minimum", resource, q, "request is " + request->to_string());
      if (limit && *limit < q) add("minimum", resource, q, "limit is " + limit->to_string());
    }
    if (const auto* max = bound("max")) {
      const auto q = quantity::parse_or_zero(max);
      if (!limit && type != "PersistentVolumeClaim")
        add("maximum", resource, q, "No limit is specified");
      else if (limit && *limit > q)
        add("maximum", resource, q, "limit is " + limit->to_string());
      if (request && *request > q) add("maximum", resource, q, "request is " + request->to_string());
    }
    if (const auto* ratio = bound("maxLimitRequestRatio")) {
      const auto q = quantity::parse_or_zero(ratio);
      if (request && limit && request->sign() > 0) {
        const double got = limit->approximate() / request->approximate();
        if (got > q.approximate())
          faults.push_back(std::string(resource) + " max limit to request ratio per " + type + " is " + q.to_string() +
                           ", but provided ratio is " + std::to_string(got));
      }
    }
  }
  void add(const char* which, std::string_view resource, const quantity& q, const std::string& but) {
    faults.push_back(std::string(which) + " " + std::string(resource) + " usage per " + type + " is " + q.to_string() +
                     (but[0] == 'N' ? ".  " + but : ", but " + but));
  }
};

void each_bounded(const json::value& item, const std::function<void(std::string_view)>& fn) {
  std::vector<std::string_view> seen;
  for (const char* which : {"min", "max", "maxLimitRequestRatio"})
    for (const auto& kv : jq::obj(item, {which})) {
      const auto name = jq::view(kv.key());
      if (std::find(seen.begin(), seen.end(), name) == seen.end()) seen.push_back(name);
    }
  for (auto name : seen)
    fn(name);
}

std::optional<quantity> amount(const json::value& container, const char* section, std::string_view resource) {
  const auto* v = jq::find(container, {"resources", section, resource});
  if (!v) return std::nullopt;
  return quantity::parse_or_zero(v);
}

void check_containers(bounds_check& check, const json::value& pod) {
  for (const char* list : {"initContainers", "containers"})
    for (const auto& c : jq::arr(pod, {"spec", list}))
      each_bounded(check.item, [&](std::string_view r) {
        const auto request = amount(c, "requests", r), limit = amount(c, "limits", r);
        check.one(r, request ? &*request : nullptr, limit ? &*limit : nullptr);
      });
}

void check_pod(bounds_check& check, const json::value& pod) {
  each_bounded(check.item, [&](std::string_view r) {
    quantity request, limit;
    bool requested = false, limited = true;
    for (const auto& c : jq::arr(pod, {"spec", "containers"})) {
      if (const auto q = amount(c, "requests", r)) {
        request += *q;
        requested = true;
      }
      if (const auto q = amount(c, "limits", r))
        limit += *q;
      else
        limited = false;
    }
    check.one(r, requested ? &request : nullptr, limited ? &limit : nullptr);
  });
}

} // namespace

result<void> limit_ranger(admission_context& c, json::value& obj) {
  if (c.op != admission_op::create) return {};
  const bool pod = c.is("", "pods");
  if (!pod && !c.is("", "persistentvolumeclaims")) return {};
  std::vector<json::value> ranges;
  c.e.state.scan("limitranges", c.e.req.ns, [&](const store::object_ptr& o) {
    ranges.push_back(o->parse());
    return true;
  });
  if (ranges.empty()) return {};
  std::string note;
  if (pod)
    for (const auto& r : ranges)
      for (const auto& item : jq::arr(r, {"spec", "limits"}))
        if (jq::str(item, {"type"}) == "Container") apply_defaults(obj, item, note);
  if (!note.empty())
    jq::at(obj, {"metadata", "annotations", "kubernetes.io/limit-ranger"}) = "LimitRanger plugin set: " + note;
  std::vector<std::string> faults;
  for (const auto& r : ranges)
    for (const auto& item : jq::arr(r, {"spec", "limits"})) {
      bounds_check check{std::string(jq::str(item, {"type"})), item, {}};
      if (pod && check.type == "Container") check_containers(check, obj);
      if (pod && check.type == "Pod") check_pod(check, obj);
      if (!pod && check.type == "PersistentVolumeClaim")
        each_bounded(item, [&](std::string_view name) {
          const auto q = amount(jq::at(obj, {"spec"}), "requests", name);
          check.one(name, q ? &*q : nullptr, nullptr);
        });
      faults.insert(faults.end(), check.faults.begin(), check.faults.end());
    }
  if (faults.empty()) return {};
  std::string why = faults.size() == 1 ? faults.front() : "[";
  if (faults.size() > 1) {
    for (std::size_t i = 0; i < faults.size(); ++i)
      why.append(i ? ", " : "").append(faults[i]);
    why += "]";
  }
  return errors::forbidden(c.about(), jq::str(obj, {"metadata", "name"}), why);
}

} // namespace troupe::apiserver::plugins

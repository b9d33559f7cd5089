// Job, CronJob.
#include "api/kinds/rules.hpp"

#include "api/meta/selector.hpp"

#include <charconv>

namespace troupe::kinds {

namespace {

constexpr std::string_view uid_label = "batch.kubernetes.io/controller-uid", old_uid_label = "controller-uid";
constexpr std::string_view name_label = "batch.kubernetes.io/job-name", old_name_label = "job-name";

/// A job that does not bring its own selector selects by its uid, so that no two jobs share pods.
void job_on_create(json::value& obj, const write_context&) {
  if (jq::flag(obj, {"spec", "manualSelector"})) return;
  const std::string uid{meta::uid(obj)}, name{meta::name(obj)};
  auto& selector = jq::at(obj, {"spec", "selector"});
  if (!selector.is_object()) selector.emplace_object();
  if (jq::obj(selector, {"matchLabels"}).empty()) jq::at(selector, {"matchLabels", uid_label}) = uid;
  for (auto key : {uid_label, old_uid_label})
    jq::at(obj, {"spec", "template", "metadata", "labels", key}) = uid;
  for (auto key : {name_label, old_name_label})
    jq::at(obj, {"spec", "template", "metadata", "labels", key}) = name;
}

void check_restart_policy(field_errors& e, const json::value& tmpl, const std::string& path) {
  const auto policy = jq::str(tmpl, {"spec", "restartPolicy"});
  if (policy.empty() || policy == "Always")
    e.push_back(field::required(path + ".spec.restartPolicy", "valid values: \"OnFailure\", \"Never\""));
  else if (policy != "OnFailure" && policy != "Never")
    e.push_back(field::not_supported(path + ".spec.restartPolicy", text(policy), {"OnFailure", "Never"}));
}

void check_job_spec(field_errors& e, const json::value& spec, const std::string& path) {
  check_not_negative(e, spec,
                     {"parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished",
                      "backoffLimitPerIndex", "maxFailedIndexes"},
                     path);
  if (jq::str(spec, {"completionMode"}) == "Indexed") {
    constexpr std::int64_t parallelism_max = 100000;
    if (!jq::find(spec, {"completions"}))
      e.push_back(field::required(path + ".completions", "when completion mode is Indexed"));
    if (const auto n = jq::num(spec, {"parallelism"}); n > parallelism_max)
      e.push_back(field::invalid(path + ".parallelism", n,
                                 "must be less than or equal to 100000 when completion mode is Indexed"));
  } else {
    for (auto f : {"backoffLimitPerIndex", "maxFailedIndexes"})
      if (jq::find(spec, {f}))
        e.push_back(field::invalid(path + "." + f, at(spec, {f}), "requires indexed completion mode"));
  }
  if (jq::find(spec, {"podFailurePolicy"}) && jq::str(spec, {"template", "spec", "restartPolicy"}) != "Never")
    e.push_back(field::invalid(path + ".template.spec.restartPolicy", at(spec, {"template", "spec", "restartPolicy"}),
                               "only \"Never\" is supported when podFailurePolicy is specified"));
  check_pod_template(e, at(spec, {"template"}), path + ".template");
  check_restart_policy(e, at(spec, {"template"}), path + ".template");
}

void check_job(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  const auto* selector = jq::find(spec, {"selector"});
  check_job_spec(e, spec, "spec");
  if (!selector || selector->is_null()) {
    e.push_back(field::required("spec.selector"));
    return;
  }
  check_selector(e, selector, "spec.selector");
  const auto parsed = label_selector::from_object(selector);
  if (parsed && !parsed->matches(jq::obj(spec, {"template", "metadata", "labels"})))
    e.push_back(field::invalid("spec.template.metadata.labels", jq::obj(spec, {"template", "metadata", "labels"}),
                               "`selector` does not match template `labels`"));
  const auto uid = meta::uid(obj);
  if (!jq::flag(spec, {"manualSelector"}) && jq::str(spec, {"selector", "matchLabels", uid_label}) != uid &&
      jq::str(spec, {"selector", "matchLabels", old_uid_label}) != uid)
    e.push_back(field::invalid("spec.selector", *selector, "`selector` not auto-generated"));
}

void check_job_update(field_errors& e, const json::value& obj, const json::value& old) {
  auto tmpl = at(obj, {"spec", "template"});
  const auto& was = at(old, {"spec", "template"});
  const auto restore = [&](std::initializer_list<std::string_view> path) {
    if (const auto* v = jq::find(was, path))
      jq::at(tmpl, path) = *v;
    else
      jq::erase(tmpl, path);
  };
  // A suspended job that never ran may still be told where to run.
  if (jq::flag(old, {"spec", "suspend"}) && !jq::find(old, {"status", "startTime"})) {
    restore({"metadata"});
    for (auto member : {"nodeSelector", "affinity", "tolerations", "schedulingGates"})
      restore({"spec", member});
  }
  if (differ(&tmpl, &was))
    e.push_back(field::invalid("spec.template", at(obj, {"spec", "template"}), "field is immutable"));
  const auto* now = jq::find(obj, {"spec", "completions"});
  if (!differ(now, jq::find(old, {"spec", "completions"}))) return;
  const bool elastic = jq::str(obj, {"spec", "completionMode"}) == "Indexed" && now &&
                       !differ(now, jq::find(obj, {"spec", "parallelism"}));
  if (!elastic) e.push_back(field::invalid("spec.completions", now ? *now : json::value{}, "field is immutable"));
}

struct cron_field {
  int min, max;
  std::initializer_list<std::string_view> words;
};

std::optional<int> cron_value(std::string_view s, const cron_field& f) {
  int n = 0;
  const auto [end, ec] = std::from_chars(s.data(), s.data() + s.size(), n);
  if (!s.empty() && ec == std::errc{} && end == s.data() + s.size() && n >= f.min && n <= f.max) return n;
  const auto low = names::lower(s);
  int i = f.min;
  for (auto w : f.words) {
    if (w == low) return i;
    ++i;
  }
  return std::nullopt;
}

/// One of the five fields: `*`, `?`, numbers, names, ranges, steps, lists.
bool cron_field_good(std::string_view s, const cron_field& f) {
  while (true) {
    const auto comma = s.find(',');
    auto part = s.substr(0, comma);
    const auto slash = part.find('/');
    if (slash != part.npos) {
      int step = 0;
      const auto text = part.substr(slash + 1);
      const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), step);
      if (text.empty() || ec != std::errc{} || end != text.data() + text.size() || step <= 0) return false;
      part = part.substr(0, slash);
    }
    if (part != "*" && part != "?") {
      const auto dash = part.find('-');
      const auto from = cron_value(part.substr(0, dash), f);
      const auto to = dash == part.npos ? from : cron_value(part.substr(dash + 1), f);
      if (!from || !to || *from > *to) return false;
    }
    if (comma == s.npos) return true;
    s.remove_prefix(comma + 1);
  }
}

void check_cron_job(field_errors& e, const json::value& obj) {
  const auto& spec = at(obj, {"spec"});
  const auto schedule = jq::str(spec, {"schedule"});
  if (schedule.find("TZ") != schedule.npos) {
    e.push_back(field::invalid("spec.schedule", text(schedule),
                               "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"));
  } else if (std::string why; !schedule.empty() && !valid_cron_schedule(schedule, why)) {
    e.push_back(field::invalid("spec.schedule", text(schedule), why));
  }
  check_not_negative(e, spec, {"startingDeadlineSeconds", "successfulJobsHistoryLimit", "failedJobsHistoryLimit"},
                     "spec");
  if (const auto* zone = jq::find(spec, {"timeZone"}); zone && zone->is_string()) {
    const auto z = jq::view(zone->get_string());
    const bool form = !z.empty() && z != "Local" &&
                      z.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                          "0123456789_+-/") == z.npos;
    if (z.empty())
      e.push_back(field::invalid("spec.timeZone", *zone, "timeZone must be nil or non-empty string"));
    else if (!form)
      e.push_back(field::invalid("spec.timeZone", *zone, "unknown time zone " + std::string{z}));
  }
  const auto& job = at(spec, {"jobTemplate", "spec"});
  check_job_spec(e, job, "spec.jobTemplate.spec");
  if (const auto* s = jq::find(job, {"selector"}); s && !s->is_null())
    e.push_back(field::invalid("spec.jobTemplate.spec.selector", *s, "`selector` will be auto-generated"));
  if (jq::flag(job, {"manualSelector"}))
    e.push_back(field::not_supported("spec.jobTemplate.spec.manualSelector", true, {"nil", "false"}));
}

constexpr kind_rule rules[] = {
    {"batch", "Job", job_on_create, nullptr, check_job, check_job_update},
    {"batch", "CronJob", nullptr, nullptr, check_cron_job},
};

} // namespace

bool valid_cron_schedule(std::string_view s, std::string& why) {
  if (s.starts_with('@')) {
    for (auto d : {"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"})
      if (s == d) return true;
    constexpr std::string_view every = "@every ";
    if (s.starts_with(every)) {
      if (parse_go_duration(s.substr(every.size()))) return true;
      why = "failed to parse duration " + std::string{s};
      return false;
    }
    why = "unrecognized descriptor: " + std::string{s};
    return false;
  }
  static const cron_field fields[5] = {
      {0, 59, {}},
      {0, 23, {}},
      {1, 31, {}},
      {1, 12, {"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"}},
      {0, 6, {"sun", "mon", "tue", "wed", "thu", "fri", "sat"}}};
  std::vector<std::string_view> parts;
  for (std::size_t i = 0; i < s.size();) {
    const auto from = s.find_first_not_of(" \t", i);
    if (from == s.npos) break;
    const auto to = std::min(s.find_first_of(" \t", from), s.size());
    parts.push_back(s.substr(from, to - from));
    i = to;
  }
  if (parts.size() != 5) {
    why = "expected exactly 5 fields, found " + std::to_string(parts.size()) + ": [";
    for (std::size_t i = 0; i < parts.size(); ++i)
      why.append(i ? " " : "").append(parts[i]);
    why += "]";
    return false;
  }
  for (std::size_t i = 0; i < parts.size(); ++i)
    if (!cron_field_good(parts[i], fields[i])) {
      why = "failed to parse field " + std::string{parts[i]} + " of the schedule";
      return false;
    }
  return true;
}

std::span<const kind_rule> batch_kinds() { return rules; }

} // namespace troupe::kinds

// /metrics: counters and gauges of the api server and of its place in the group, as Prometheus text.
#include "actors/apiserver/front.hpp"

namespace troupe::apiserver {

namespace {

class exposition {
public:
  void head(std::string_view name, std::string_view type, std::string_view help) {
    out_.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
    out_.append(name).append(" ").append(type).append("\n");
  }
  void line(std::string_view name, std::string_view labels, std::uint64_t value) {
    out_.append(name);
    if (!labels.empty()) out_.append("{").append(labels).append("}");
    out_.append(" ").append(std::to_string(value)).append("\n");
  }
  void one(std::string_view name, std::string_view type, std::string_view help, std::uint64_t value) {
    head(name, type, help);
    line(name, {}, value);
  }
  std::string take() { return std::move(out_); }

private:
  std::string out_;
};

void add_requests(exposition& e, const request_counters& c) {
  e.head("apiserver_request_total", "counter", "Requests answered, by verb.");
  for (std::size_t i = 0; i < c.by_verb.size(); ++i)
    e.line("apiserver_request_total", "verb=\"" + std::string(to_string(static_cast<verb>(i))) + "\"", c.by_verb[i]);
  e.head("troupe_api_responses_total", "counter", "Requests answered, by class of status code.");
  for (std::size_t i = 1; i < c.by_class.size(); ++i)
    e.line("troupe_api_responses_total", "class=\"" + std::to_string(i) + "xx\"", c.by_class[i]);
  e.one("troupe_api_watches", "gauge", "Watches that are open.", c.watches);
  e.one("troupe_api_conflicts_retried_total", "counter", "Writes planned again because their objects had changed.",
        c.conflicts_retried);
  e.one("troupe_api_writes_waiting", "gauge", "Writes that wait for the log.", c.writes_waiting);
  e.one("troupe_api_reads_waiting", "gauge", "Reads that wait until the state is fresh enough.", c.reads_waiting);
}

void add_store(exposition& e, const services& s) {
  const auto state = s.view();
  e.one("troupe_store_revision", "gauge", "The newest revision.", state->rev());
  e.head("apiserver_storage_objects", "gauge", "Objects stored, by resource.");
  for (const auto& table : state->tables())
    e.line("apiserver_storage_objects", "resource=\"" + table + "\"", state->count(table, {}));
  e.one("troupe_api_pinned_views", "gauge", "Snapshots kept for lists that go on.", s.pins->size());
}

void add_group(exposition& e, const services& s, const json::value& raft) {
  if (s.options.group) {
    const auto now = s.options.group->now();
    e.one("troupe_raft_term", "gauge", "The term this master is in.", now.term.v);
    e.one("troupe_raft_is_leader", "gauge", "1 when this master leads the group.", now.role == raft::role::leader);
    e.one("troupe_raft_has_leader", "gauge", "1 when this master knows a leader.", now.leader.v != 0);
    e.one("troupe_raft_in_service", "gauge", "0 when this master's state differs from the majority's.",
          now.out_of_service.empty());
    e.one("troupe_raft_leader_changes_total", "counter", "Leaders this master has followed or been.",
          s.counted.leader_changes);
  }
  if (!raft.is_object()) return;
  const auto figure = [&](std::string_view key) { return static_cast<std::uint64_t>(jq::num(raft, {key})); };
  e.one("troupe_raft_commit_index", "gauge", "The last entry known to be committed.", figure("commitIndex"));
  e.one("troupe_raft_applied_index", "gauge", "The last entry applied.", figure("appliedIndex"));
  e.one("troupe_raft_last_index", "gauge", "The last entry of the log.", figure("lastIndex"));
  e.one("troupe_raft_pending_writes", "gauge", "Writes of this master whose fate is open.", figure("pending"));
}

} // namespace

std::string metrics_text(services& s, const json::value& raft) {
  exposition e;
  add_requests(e, s.counted);
  add_store(e, s);
  add_group(e, s, raft);
  auto out = e.take();
  if (s.options.more_metrics) out += s.options.more_metrics();
  return out;
}

} // namespace troupe::apiserver

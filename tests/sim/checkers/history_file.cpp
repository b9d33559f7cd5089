#include "tests/sim/checkers/history_file.hpp"

#include "api/json.hpp"
#include "tests/sim/checkers/checkers.hpp"

#include <algorithm>
#include <limits>
#include <set>
#include <tuple>

namespace troupe::sim {

namespace {

struct timed {
  std::int64_t at;
  bool end;
  std::size_t op;
};
struct seen_change {
  store::event_type what;
  std::uint64_t content;
  std::size_t line, watcher;
};

class reader {
public:
  recorded_run run(std::istream& in) {
    std::string line;
    while (std::getline(in, line)) {
      out_.lines.push_back(line);
      if (line.find_first_not_of(" \t\r") == std::string::npos) continue;
      boost::system::error_code ec;
      const auto v = json::parse(line, ec);
      if (ec || !v.is_object()) return refuse("is not a JSON object");
      const auto& o = v.get_object();
      const bool fine = o.contains("op") ? operation_line(o) : o.contains("watcher") ? watch_line(o) : false;
      if (!fine) return refuse(why_.empty() ? "has neither \"op\" nor \"watcher\"" : why_);
    }
    write_changes();
    order_operations();
    write_acks();
    write_watches();
    missed_by_watchers();
    return std::move(out_);
  }

private:
  recorded_run refuse(const std::string& what) {
    out_.error = "line " + std::to_string(out_.lines.size()) + " " + what;
    return std::move(out_);
  }
  static std::string word(const json::object& o, const char* name) {
    const auto* v = o.if_contains(name);
    if (!v || v->is_null()) return {};
    return v->is_string() ? std::string(v->get_string()) : json::serialize(*v);
  }
  static std::int64_t number(const json::object& o, const char* name) {
    const auto* v = o.if_contains(name);
    if (!v) return 0;
    if (v->is_int64()) return v->get_int64();
    if (v->is_uint64()) return static_cast<std::int64_t>(v->get_uint64());
    if (v->is_double()) return static_cast<std::int64_t>(v->get_double());
    return v->is_string() ? std::strtoll(v->get_string().c_str(), nullptr, 10) : 0;
  }
  /// Equal values have equal numbers; absent is 0.
  std::uint64_t value(const json::object& o, const char* name) {
    const auto* v = o.if_contains(name);
    if (!v || v->is_null() || (v->is_bool() && !v->get_bool())) return 0;
    return values_.try_emplace(word(o, name), values_.size() + 1).first->second;
  }

  bool operation_line(const json::object& o) {
    const auto op = word(o, "op"), key = word(o, "key"), how = word(o, "outcome");
    if (key.empty()) return why("has no key");
    operation x;
    x.client = hash_of(word(o, "client")) % 1000000;
    if (const auto* c = o.if_contains("client"); c && (c->is_int64() || c->is_uint64()))
      x.client = static_cast<std::uint64_t>(number(o, "client"));
    x.unit = out_.h.name(key);
    x.what = op == "get" ? operation::kind::read : operation::kind::write;
    if (op == "put" || op == "create" || op == "cas")
      x.puts = {{0, value(o, "value")}};
    else if (op == "delete")
      x.puts = {{0, 0}};
    else if (op != "get")
      return why("has the unknown op \"" + op + "\"");
    if (op == "cas" || op == "create" || (op == "delete" && o.contains("expected")))
      x.compares = {{0, op == "create" ? 0 : value(o, "expected")}};
    if (how == "ok")
      x.result = outcome::done;
    else if (how == "fail")
      x.result = outcome::failed;
    else if (how == "differs")
      x.result = outcome::declined;
    else if (how == "unknown")
      x.result = outcome::unknown;
    else
      return why("has the unknown outcome \"" + how + "\"");
    if (x.result == outcome::done && op == "get") x.seen = {{0, value(o, "value")}};
    if (x.result == outcome::declined && o.contains("found")) x.seen = {{0, value(o, "found")}};
    x.seen_rev = static_cast<revision>(number(o, "rev"));
    const auto start = number(o, "start_ns"), end = number(o, "end_ns");
    if (end != 0 && end < start) return why("ends before it starts");
    if (end == 0 && x.result != outcome::unknown) return why("has an outcome but no end_ns");
    ++out_.operations;
    out_.unknown += x.result == outcome::unknown;
    times_.push_back({start, false, out_.h.operations.size()});
    if (end != 0) times_.push_back({end, true, out_.h.operations.size()});
    out_.h.operations.push_back(std::move(x));
    op_lines_.push_back(out_.lines.size());
    return true;
  }

  bool watch_line(const json::object& o) {
    const auto type = word(o, "type");
    watch_step s;
    s.watcher = number_of(watcher_ids_, word(o, "watcher"));
    s.table = out_.h.name("table:" + word(o, "table"));
    s.rev = static_cast<revision>(number(o, "rev"));
    if (type == "ADDED" || type == "MODIFIED" || type == "DELETED") {
      s.what = watch_step::kind::event;
      s.type = type == "ADDED"      ? store::event_type::added
               : type == "MODIFIED" ? store::event_type::modified
                                    : store::event_type::deleted;
      s.key = out_.h.name(word(o, "key"));
      s.content = s.type == store::event_type::deleted ? 0 : value(o, "value");
      ++out_.events;
    } else if (type == "LISTED") {
      s.what = watch_step::kind::listed;
    } else if (type == "BOOKMARK") {
      s.what = watch_step::kind::bookmark;
    } else if (type == "RESUMED") {
      s.what = watch_step::kind::resumed;
    } else if (type == "EXPIRED") {
      s.what = watch_step::kind::too_old;
    } else {
      return why("has the unknown type \"" + type + "\"");
    }
    steps_.push_back(s);
    step_lines_.push_back(out_.lines.size());
    return true;
  }

  static std::uint32_t number_of(std::map<std::string, std::uint32_t>& ids, const std::string& name) {
    return ids.try_emplace(name, static_cast<std::uint32_t>(ids.size() + 1)).first->second;
  }
  bool why(std::string what) {
    why_ = std::move(what);
    return false;
  }
  stamp next(std::size_t line, std::int64_t at = 0) {
    ++order_;
    out_.line_of[order_] = line;
    return {instant(at), order_};
  }

  /// What happened to the objects is what any watcher saw, and what any writer was told the revision of.
  void write_changes() {
    std::map<std::tuple<revision, std::uint32_t, std::uint32_t>, seen_change> all; // rev, table, key
    std::set<std::uint32_t> tables;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const auto& s = steps_[i];
      tables.insert(s.table);
      if (s.what != watch_step::kind::event) continue;
      auto [it, fresh] =
          all.try_emplace({s.rev, s.table, s.key}, seen_change{s.type, s.content, step_lines_[i], s.watcher});
      if (!fresh && (it->second.what != s.type || it->second.content != s.content) && out_.found.empty())
        out_.found.push_back({"watch guarantees", "two watchers were given different events of revision " +
                                                      text(s.rev) + " (line " + text(it->second.line) + ") (line " +
                                                      text(step_lines_[i]) + ")"});
    }
    // With one table of watchers, a revision that a writer was told and that no watcher saw was missed by all of them.
    for (std::size_t i = 0; i < out_.h.operations.size() && tables.size() == 1; ++i) {
      const auto& o = out_.h.operations[i];
      if (o.what != operation::kind::write || o.result != outcome::done || o.seen_rev == 0) continue;
      const auto what = o.puts[0].value == 0 ? store::event_type::deleted : store::event_type::modified;
      all.try_emplace({o.seen_rev, *tables.begin(), o.unit}, seen_change{what, o.puts[0].value, op_lines_[i], 0});
    }
    for (const auto& [at, c] : all) {
      change x;
      x.when = next(c.line);
      std::tie(x.rev, x.table, x.key) = at;
      x.index = log_index{x.rev};
      x.what = c.what;
      x.content = c.content;
      out_.h.changes.push_back(x);
    }
  }

  /// Of equal times the call comes first: then the two overlap, which accuses nobody wrongly.
  void order_operations() {
    std::sort(times_.begin(), times_.end(),
              [](const timed& a, const timed& b) { return std::tie(a.at, a.end, a.op) < std::tie(b.at, b.end, b.op); });
    const auto zero = times_.empty() ? 0 : times_.front().at;
    for (const auto& t : times_) {
      auto& o = out_.h.operations[t.op];
      (t.end ? o.completed : o.invoked) = next(op_lines_[t.op], t.at - zero);
    }
  }

  void write_acks() {
    for (std::size_t i = 0; i < out_.h.operations.size(); ++i) {
      const auto& o = out_.h.operations[i];
      if (o.what != operation::kind::write || o.result != outcome::done || o.seen_rev == 0) continue;
      acknowledged a;
      a.when = o.completed;
      a.client = o.client;
      a.rev = o.seen_rev;
      // Nobody to compare with when nothing was watched.
      if (!steps_.empty()) out_.h.acks.push_back(a);
    }
    std::sort(out_.h.acks.begin(), out_.h.acks.end(),
              [](const auto& a, const auto& b) { return a.when.order < b.when.order; });
  }

  void write_watches() {
    std::set<std::uint32_t> begun;
    std::uint32_t batch = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      auto s = steps_[i];
      if (begun.insert(s.watcher).second && s.what != watch_step::kind::listed) {
        auto first = s;
        first.what = watch_step::kind::listed;
        first.rev = s.rev == 0 || s.what != watch_step::kind::event ? s.rev : s.rev - 1;
        first.when = next(step_lines_[i]);
        out_.h.watches.push_back(first);
      }
      s.when = next(step_lines_[i]);
      s.batch = ++batch;
      if (i > 0 && steps_[i - 1].watcher == s.watcher && steps_[i - 1].rev == s.rev) s.batch = --batch;
      out_.h.watches.push_back(s);
    }
    out_.watchers = begun.size();
  }

  /// Without revisions: a write whose value no watcher was given, although one that was never expired was given writes
  /// from before it and from after it.
  void missed_by_watchers() {
    std::set<std::uint32_t> expired;
    std::map<std::uint32_t, std::set<std::pair<std::uint32_t, std::uint64_t>>> given;
    for (const auto& s : steps_) {
      if (s.what == watch_step::kind::too_old) expired.insert(s.watcher);
      if (s.what == watch_step::kind::event) given[s.watcher].insert({s.key, s.content});
    }
    for (const auto& [watcher, events] : given) {
      if (expired.contains(watcher)) continue;
      std::uint64_t from = std::numeric_limits<std::uint64_t>::max(), to = 0;
      auto has = [&](const operation& o) { return events.contains({o.unit, o.puts[0].value}); };
      auto written = [](const operation& o) {
        return o.what == operation::kind::write && o.result == outcome::done && o.puts[0].value != 0;
      };
      for (const auto& o : out_.h.operations)
        if (written(o) && has(o)) {
          from = std::min(from, o.completed.order);
          to = std::max(to, o.invoked.order);
        }
      for (std::size_t i = 0; i < out_.h.operations.size() && out_.found.empty(); ++i) {
        const auto& o = out_.h.operations[i];
        if (!written(o) || has(o) || o.invoked.order < from || o.completed.order > to) continue;
        out_.found.push_back({"watch guarantees", "an acknowledged write of key " + out_.h.names[o.unit] +
                                                      " was never given to watcher " + text(watcher) +
                                                      ", which was given writes before and after it (line " +
                                                      text(op_lines_[i]) + ")"});
      }
    }
  }

  recorded_run out_;
  std::string why_;
  std::map<std::string, std::uint64_t> values_;
  std::map<std::string, std::uint32_t> watcher_ids_;
  std::vector<timed> times_;
  std::vector<std::size_t> op_lines_, step_lines_;
  std::vector<watch_step> steps_;
  std::uint64_t order_ = 0;
};

} // namespace

recorded_run read_history(std::istream& in) { return reader().run(in); }

std::vector<violation> judged(const recorded_run& run) {
  std::vector<std::unique_ptr<checker>> some;
  some.push_back(linearizability());
  some.push_back(revision_order());
  some.push_back(no_lost_writes());
  some.push_back(watch_guarantees());
  judge j(std::move(some));
  j.finish(run.h);
  auto all = run.found;
  for (auto& v : j.verdicts())
    all.push_back(std::move(v));
  return all;
}

std::vector<std::size_t> lines_in(const recorded_run& run, const violation& v) {
  std::set<std::size_t> lines;
  auto collect = [&](const std::string& mark, bool direct) {
    for (auto at = v.what.find(mark); at != std::string::npos; at = v.what.find(mark, at + 1)) {
      const auto n = std::strtoull(v.what.c_str() + at + mark.size(), nullptr, 10);
      if (direct)
        lines.insert(n);
      else if (auto it = run.line_of.find(n); it != run.line_of.end())
        lines.insert(it->second);
    }
  };
  collect("(record ", false);
  collect("(line ", true);
  return {lines.begin(), lines.end()};
}

} // namespace troupe::sim

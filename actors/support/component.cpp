#include "actors/support/component.hpp"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <algorithm>

namespace troupe {

counters_ptr actor_board::enter(const std::string& path) {
  auto c = std::make_shared<actor_counters>();
  c->path = path;
  std::lock_guard lock{mutex_};
  std::erase_if(entries_, [](const auto& w) { return w.expired(); });
  for (const auto& w : entries_)
    if (auto old = w.lock(); old && old->path == path) c->restarts = old->restarts + 1;
  entries_.push_back(c);
  return c;
}

std::vector<actor_info> actor_board::list() const {
  std::vector<actor_info> out;
  std::lock_guard lock{mutex_};
  for (const auto& w : entries_) {
    auto c = w.lock();
    if (!c) continue;
    out.push_back(
        {c->path, c->mailbox.load(), c->handled.load(), c->restarts.load(), c->alive ? "running" : "stopped"});
  }
  std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return out;
}

namespace {
/// The sink every logger of the process writes to: standard error until the node redirects it.
std::shared_ptr<spdlog::sinks::sink> shared_sink() {
  static auto sink = std::make_shared<spdlog::sinks::stderr_sink_mt>();
  return sink;
}
} // namespace

std::shared_ptr<spdlog::logger> component_log(const std::string& name) {
  static std::mutex making;
  std::lock_guard lock{making};
  if (auto known = spdlog::get(name)) return known;
  auto made = std::make_shared<spdlog::logger>(name, shared_sink());
  made->set_pattern("%Y-%m-%dT%H:%M:%S.%fZ %l %n %v", spdlog::pattern_time_type::utc);
  made->set_level(spdlog::get_level());
  made->flush_on(spdlog::level::info);
  spdlog::register_logger(made);
  return made;
}

bool set_log_level(const std::string& name, const std::string& level) {
  auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") return false;
  if (name == "*") {
    spdlog::set_level(parsed);
    return true;
  }
  auto log = spdlog::get(name);
  if (!log) return false;
  log->set_level(parsed);
  return true;
}

} // namespace troupe

#include "actors/apiserver/freshness.hpp"

#include "actors/apiserver/limits.hpp"
#include "actors/apiserver/read.hpp"

namespace troupe::apiserver {

freshness freshness_of(const request& r) {
  using kind = freshness::kind;
  const auto rv = r.param("resourceVersion");
  if (const auto token = r.param("continue"); !token.empty()) {
    const auto page = page_token::decode(token);
    if (!page) return {kind::any, 0};
    return page->rev == 0 ? freshness{kind::newest, 0} : freshness{kind::at_least, page->rev};
  }
  if (rv.empty()) return {kind::newest, 0};
  const auto rev = parse_revision(rv);
  if (!rev || *rev == 0) return {kind::any, 0};
  return {kind::at_least, *rev};
}

bool fresh_now(const services& s, const request& r) {
  if (s.alone()) return true;
  if (!s.options.group->in_service()) return false;
  const auto f = freshness_of(r);
  return f.what == freshness::kind::any || (f.what == freshness::kind::at_least && f.rev <= s.view()->rev());
}

status out_of_service(const services& s) {
  if (!s.options.group || s.options.group->in_service()) return status::none();
  return errors::unavailable("this master is out of service: " + s.options.group->now().out_of_service +
                             "; ask another master");
}

void wait_until_fresh(const services_ptr& s, freshness f, std::function<void(const status&)> then) {
  if (s->alone()) return then(status::none());
  if (auto out = out_of_service(*s); out.code != 0) return then(out);
  if (f.what == freshness::kind::any) return then(status::none());
  if (f.what == freshness::kind::at_least && f.rev <= s->view()->rev()) return then(status::none());
  if (s->counted.reads_waiting.fetch_add(1, std::memory_order_relaxed) >= limits::waiting_reads_max) {
    s->counted.reads_waiting.fetch_sub(1, std::memory_order_relaxed);
    return then(errors::too_many_requests("too many reads wait for the group, please try again later", 1));
  }
  s->options.group->read_barrier([s, f, then = std::move(then)](const status& passed) {
    s->counted.reads_waiting.fetch_sub(1, std::memory_order_relaxed);
    if (f.what == freshness::kind::newest || f.rev <= s->view()->rev()) {
      if (f.what == freshness::kind::at_least || passed.code == 0) return then(status::none());
      auto why = passed;
      if (why.retry_after_s == 0) why.retry_after_s = 1;
      return then(why);
    }
    auto ahead = too_new(f.rev, s->view()->rev());
    if (passed.code != 0) ahead.causes.push_back({"Unavailable", passed.message, ""});
    then(ahead);
  });
}

std::string group_fault(const services& s) {
  if (!s.options.group) return {};
  const auto now = s.options.group->now();
  if (!now.out_of_service.empty()) return now.out_of_service;
  if (s.leaderless && !now.leader)
    return "no leader is known (term " + std::to_string(now.term.v) + "): a majority of the masters must be reachable";
  return {};
}

} // namespace troupe::apiserver

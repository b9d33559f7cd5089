// Answers that need no actor: reads, and how errors and warnings look.
#include "actors/apiserver/api_actor.hpp"
#include "actors/apiserver/authorize.hpp"
#include "actors/apiserver/read.hpp"

namespace troupe::apiserver {

namespace {
constexpr std::size_t warnings_bytes_max = 4096, long_warning_max = 256; // as kube-apiserver cuts them

std::string quoted(std::string_view text) {
  std::string out = "299 - \"";
  for (char c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) continue;
    if (c == '"' || c == '\\') out.push_back('\\');
    out.push_back(c);
  }
  return out + "\"";
}
} // namespace

response_ptr refuse(status s) {
  auto r = std::make_shared<response>();
  r->code = s.code;
  if (s.retry_after_s > 0) r->headers.emplace_back("Retry-After", std::to_string(s.retry_after_s));
  r->error = std::make_shared<const status>(std::move(s));
  return r;
}

void add_warnings(response& r, const std::vector<std::string>& warnings) {
  std::size_t total = 0;
  for (const auto& w : warnings)
    total += w.size();
  const bool cut = total > warnings_bytes_max;
  std::size_t used = 0;
  for (const auto& w : warnings) {
    auto text = std::string_view(w).substr(0, cut ? long_warning_max : std::string_view::npos);
    used += text.size();
    if (used > warnings_bytes_max) return;
    r.headers.emplace_back("Warning", quoted(text));
  }
}

response_ptr answer_read(services& s, const request& r, store::view_ptr state, sys_micros now) {
  auto t = resolve(r);
  // Permission is asked before existence is told, as far as the path names a resource at all.
  if (auto ok = authorize(s, r, to_string(r.what), *state); !ok) return refuse(ok.error());
  if (!t) return refuse(t.error());
  const read_env e{s, r, *t, std::move(state), now};
  auto got = r.what == verb::list ? read_list(e) : read_object(e);
  if (!got) return refuse(got.error());
  return std::make_shared<response>(std::move(*got));
}

} // namespace troupe::apiserver

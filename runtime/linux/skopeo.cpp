// skopeo: fetching an image into a directory.
#include "runtime/linux/skopeo.hpp"

#include "runtime/linux/host.hpp"
#include "runtime/linux/process.hpp"

#include <cstdlib>

namespace troupe::runtime::linux_host {
namespace {

constexpr auto transfer_timeout = std::chrono::hours(1);

/// skopeo logs `time="…" level=fatal msg="…"`; the message of the last line says what went wrong.
std::string last_message(std::string output) {
  while (!output.empty() && output.back() == '\n')
    output.pop_back();
  auto line = output.substr(output.rfind('\n') + 1);
  if (const auto at = line.find("msg=\""); at != std::string::npos) {
    line = line.substr(at + 5);
    if (!line.empty() && line.back() == '"') line.pop_back();
  }
  return line;
}

status classify(const std::string& source, const std::string& message) {
  const auto has = [&](const char* s) { return message.find(s) != std::string::npos; };
  status out = failure("");
  out.message = "cannot pull " + source + ": " + message;
  if (has("manifest unknown") || has("name unknown") || has("not found")) {
    out.code = 404;
    out.reason = "NotFound";
  } else if (has("unauthorized") || has("denied") || has("authentication required")) {
    out.code = 403;
    out.reason = "Forbidden";
  } else if (has("no such host") || has("connection refused") || has("i/o timeout") || has("unreachable")) {
    out.code = 503;
    out.reason = "ServiceUnavailable";
  } else if (has("no space left")) {
    out = errors::insufficient_storage(out.message);
  }
  return out;
}

std::vector<std::string> environment(const std::string& scratch) {
  auto out = base_environment();
  out.push_back("TMPDIR=" + scratch);
  for (const auto* name : {"HOME", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"})
    if (const char* value = std::getenv(name)) out.push_back(std::string(name) + "=" + value);
  return out;
}

} // namespace

result<void> skopeo_copy(const std::string& source, const std::string& target, const std::string& auth_json,
                         const std::string& scratch) {
  const auto program = find_program("skopeo");
  if (program.empty()) return failure("skopeo is not installed, so no image can be pulled: apt install skopeo");
  spawn_request request{.argv = {program}, .env = environment(scratch)};
  if (!exists("/etc/containers/policy.json"))
    request.argv.push_back("--insecure-policy"); // no signature policy on this host: accept as every default does
  for (const auto* a : {"copy", "--quiet", "--preserve-digests", "--retry-times", "2"})
    request.argv.push_back(a);
  const auto auth = scratch + "/auth.json";
  if (!auth_json.empty()) {
    if (auto r = write_atomic(auth, auth_json, false, 0600); !r) return r;
    request.argv.push_back("--src-authfile");
    request.argv.push_back(auth);
  }
  request.argv.push_back(source);
  request.argv.push_back("dir:" + target);
  auto done = run(std::move(request), transfer_timeout, 64 * 1024);
  ::unlink(auth.c_str());
  if (!done) return done.error();
  if (done->timed_out) return errors::timeout("pulling " + source + " took longer than an hour");
  if (done->exit_code != 0) return classify(source, last_message(done->output));
  return {};
}

} // namespace troupe::runtime::linux_host

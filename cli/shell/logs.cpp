// `logs`: a container's output, from the start or the tail, and on with -f.
#include "cli/shell/session.hpp"

#include <ostream>

namespace troupe::cli {

bool cmd_logs(session& s, const word_list& words) {
  auto p = s.parse(words, {{'n', "namespace", true},
                           {'c', "container", true},
                           {'f', "follow", false},
                           {'p', "previous", false},
                           {0, "tail", true},
                           {0, "since", true},
                           {0, "timestamps", false}});
  if (!p) return false;
  if (p->operands.empty()) return s.fail("logs of which pod?");
  auto name = p->operands[0];
  for (const char* prefix : {"pod/", "pods/", "po/"})
    if (name.starts_with(prefix)) name.erase(0, std::string_view{prefix}.size());
  std::string q = "?";
  auto add = [&](const char* key, const std::string& value) { q += std::string{key} + "=" + url_encode(value) + "&"; };
  if (p->has("container")) add("container", p->get("container"));
  if (p->operands.size() > 1) add("container", p->operands[1]);
  if (p->has("follow")) add("follow", "true");
  if (p->has("previous")) add("previous", "true");
  if (p->has("timestamps")) add("timestamps", "true");
  if (p->has("tail")) add("tailLines", p->get("tail"));
  if (p->has("since")) add("sinceSeconds", p->get("since"));
  q.pop_back();

  http_call call{.method = "GET",
                 .target = "/api/v1/namespaces/" + url_encode(p->get("namespace", s.ns)) + "/pods/" + url_encode(name) +
                           "/log" + q,
                 .content_type = {},
                 .accept = "*/*",
                 .body = {}};
  if (!p->has("follow")) {
    auto answer = s.ask(call);
    if (answer) s.out << answer->body;
    return answer.has_value();
  }
  std::string head; // kept in case it is a Status
  auto code = s.client.stream(
      call,
      [&](std::string_view bytes) {
        if (head.size() < 4096) head.append(bytes.substr(0, 4096 - head.size()));
        s.out << bytes << std::flush;
        return true;
      },
      s.stop_fd);
  if (!code) return s.fail(code.error().message);
  return *code < 400 || s.fail(explain({*code, {}, head}));
}

} // namespace troupe::cli

#include "actors/kubelet/stream/fd_stream.hpp"
#include "actors/kubelet/stream/stream_door.hpp"

#include <unistd.h>

namespace troupe::kubelet {

namespace {

std::string exit_status(int code) {
  if (code == 0) return json::serialize(json::object{{"metadata", json::object{}}, {"status", "Success"}});
  auto text = std::to_string(code);
  return json::serialize(
      json::object{{"metadata", json::object{}},
                   {"status", "Failure"},
                   {"message", "command terminated with non-zero exit code: exit status " + text},
                   {"reason", "NonZeroExitCode"},
                   {"details", {{"causes", json::array{json::object{{"reason", "ExitCode"}, {"message", text}}}}}}});
}

void close_unwanted(int& fd, bool wanted) {
  if (wanted || fd < 0) return;
  ::close(fd);
  fd = -1;
}

} // namespace

result<pod_stream_ptr> make_exec_stream(const context_ptr& ctx, const open_stream& what,
                                        const std::string& container_id) {
  auto engine = ctx->options.engine;
  auto p = what.what == open_stream::kind::attach ? engine->attach(container_id)
                                                  : engine->exec_start(container_id, what.command, what.in, what.tty);
  if (!p) return p.error();
  fd_stream_setup s;
  s.in = p->in;
  s.out = p->out;
  s.err = p->err;
  // A terminal's master stays open for output although the client sends nothing.
  close_unwanted(s.in, what.in || p->terminal);
  s.end = [engine, process = *p] {
    auto code = engine->exec_wait(process);
    return stream_chunk{3, code ? exit_status(*code) : code.error().to_bytes(), true};
  };
  s.abandon = [engine, process = *p] {
    (void)engine->exec_kill(process);
    (void)engine->exec_wait(process);
  };
  s.resize = [engine, process = *p](std::uint16_t width, std::uint16_t height) {
    (void)engine->exec_resize(process, width, height);
  };
  return make_fd_stream(ctx, std::move(s));
}

} // namespace troupe::kubelet

// The interactive loop: history in a file, completion of commands, resources and names, Ctrl-C ends a stream.
#include "cli/shell/session.hpp"

#include <editline/readline.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <iostream>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

namespace troupe::cli {

namespace {

constexpr int history_lines_max = 1000;

session* live = nullptr;          // readline's callbacks take no context
std::vector<std::string> offered; // candidates of the completion under way
int interrupt_pipe[2] = {-1, -1};

void on_interrupt(int) {
  const char byte = 0;
  if (::write(interrupt_pipe[1], &byte, 1) < 0) {
  }
}

/// True when Ctrl-C was pressed since the last call.
bool drain_interrupts() {
  char bytes[64];
  bool any = false;
  while (::read(interrupt_pipe[0], bytes, sizeof bytes) > 0)
    any = true;
  return any;
}

/// Ctrl-D as a plain key while the console runs. Typed ahead, before the line editor has taken the terminal over, the
/// terminal would swallow it as an end of file that nobody reads any more.
class plain_ctrl_d {
public:
  plain_ctrl_d() : held_(::tcgetattr(STDIN_FILENO, &before_) == 0) {
    if (!held_) return;
    auto mine = before_;
    mine.c_cc[VEOF] = _POSIX_VDISABLE;
    ::tcsetattr(STDIN_FILENO, TCSADRAIN, &mine);
  }
  ~plain_ctrl_d() {
    if (held_) ::tcsetattr(STDIN_FILENO, TCSADRAIN, &before_);
  }
  plain_ctrl_d(const plain_ctrl_d&) = delete;
  plain_ctrl_d& operator=(const plain_ctrl_d&) = delete;

private:
  termios before_{};
  bool held_;
};

char* next_candidate(const char* text, int state) {
  static std::size_t at;
  if (state == 0) at = 0;
  const auto length = std::strlen(text);
  while (at < offered.size()) {
    const auto& word = offered[at++];
    if (word.compare(0, length, text) == 0) return ::strdup(word.c_str());
  }
  return nullptr;
}

void offer_names(const std::string& resource) {
  const auto* r = schema::registry::get().find_by_name(resource);
  if (!r || !r->allows("list")) return;
  auto answer = live->client.call({.method = "GET",
                                   .target = path_of(*r, live->ns) + "?limit=500",
                                   .content_type = {},
                                   .accept = "application/json",
                                   .body = {}});
  if (!answer || answer->code != 200) return;
  boost::system::error_code ec;
  const auto doc = json::parse(answer->body, ec);
  if (ec) return;
  for (const auto& item : jq::arr(doc, {"items"}))
    offered.emplace_back(jq::str(item, {"metadata", "name"}));
}

void offer_for(const word_list& before) {
  if (before.empty()) {
    for (const auto& c : commands())
      offered.emplace_back(c.name);
    return;
  }
  const auto& verb = before[0];
  if (verb == "logs" && before.size() == 1) return offer_names("pods");
  if (verb == "use" && before.size() == 1) return offer_names("namespaces");
  if (verb == "help" && before.size() == 1) {
    for (const auto& c : commands())
      offered.emplace_back(c.name);
    return;
  }
  if (verb != "get" && verb != "describe" && verb != "delete") return;
  if (before.size() == 1) {
    for (const auto& r : schema::registry::get().resources())
      if (r.allows("list")) offered.push_back(r.plural);
  } else if (before.size() == 2) {
    offer_names(before[1]);
  }
}

char** complete(const char* text, int start, int) {
  offered.clear();
  const std::string line{rl_line_buffer, static_cast<std::size_t>(start)};
  if (auto statements = split_statements(line)) {
    const bool fresh = statements->empty() || line.find_last_not_of(' ') == std::string::npos ||
                       line[line.find_last_not_of(' ')] == ';';
    offer_for(fresh ? word_list{} : statements->back());
  }
  std::sort(offered.begin(), offered.end());
  offered.erase(std::unique(offered.begin(), offered.end()), offered.end());
  rl_attempted_completion_over = 1; // never fall back to file names
  return offered.empty() ? nullptr : rl_completion_matches(text, next_candidate);
}

std::string history_file() {
  const char* home = std::getenv("HOME");
  return std::string{home && *home ? home : "/tmp"} + "/.actor-shell_history";
}

} // namespace

int run_console(session& s) {
  live = &s;
  if (::pipe2(interrupt_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return 1;
  s.stop_fd = interrupt_pipe[0];
  struct sigaction interrupt {}; // without SA_RESTART: a blocked read must notice
  interrupt.sa_handler = on_interrupt;
  ::sigaction(SIGINT, &interrupt, nullptr);
  const plain_ctrl_d keys; // before the line editor reads the terminal's settings
  rl_readline_name = const_cast<char*>("actor-shell");
  rl_attempted_completion_function = complete;
  using_history();
  stifle_history(history_lines_max);
  const auto file = history_file();
  read_history(file.c_str());
  s.out << "actor-shell on " << s.client.config().host << ":" << s.client.config().port
        << ". Tab completes, help lists the commands, Ctrl-D leaves.\n";
  while (!s.quit) {
    const auto prompt = s.ns + "> ";
    char* line = ::readline(prompt.c_str());
    if (!line && drain_interrupts()) { // Ctrl-C drops the line, not the console
      s.out << "\n";
      continue;
    }
    if (!line) {
      s.out << "\n";
      break;
    }
    const std::string text{line};
    std::free(line);
    drain_interrupts();
    if (text.find_first_not_of(" \t") == std::string::npos) continue;
    add_history(text.c_str());
    auto statements = split_statements(text);
    if (!statements) {
      s.fail(statements.error().message);
      continue;
    }
    for (const auto& words : *statements) {
      run_statement(s, words);
      if (!drain_interrupts()) continue;
      s.out << "\n"; // the terminal shows ^C: the prompt begins a line of its own
      break;
    }
    s.out.flush();
  }
  write_history(file.c_str());
  ::chmod(file.c_str(), 0600);
  return 0;
}

} // namespace troupe::cli

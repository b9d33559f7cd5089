// session: what the commands of one actor-shell share: the connection, the current namespace, output.
// Owner:  main thread.
// Units:  -
// Errors: commands return false after telling the reason on `err`.
// Source: ours.
#pragma once

#include "api/schema/registry.hpp"
#include "cli/client/https_client.hpp"
#include "cli/shell/words.hpp"

#include <iosfwd>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace troupe::cli {

/// Options and operands of one statement.
struct parsed_words {
  std::map<std::string, std::string> options; // long names, e.g. namespace, output; flags hold ""
  word_list operands;
  bool has(const std::string& name) const { return options.contains(name); }
  std::string get(const std::string& name, std::string otherwise = {}) const {
    auto it = options.find(name);
    return it == options.end() ? otherwise : it->second;
  }
};

/// An option a command takes: `n` or 0, long name, whether it takes a value.
struct option_spec {
  char letter;
  const char* name;
  bool value;
};

class session {
public:
  session(https_client& client, std::ostream& out, std::ostream& err);

  https_client& client;
  std::ostream& out;
  std::ostream& err;
  std::string ns;
  int stop_fd = -1; // readable when the user wants a stream to end (Ctrl-C)
  bool quit = false;

  bool fail(const std::string& sentence);
  /// `https_client::call`, with transport and Status errors told; empty on error.
  std::optional<http_answer> ask(const http_call&);
  std::optional<json::value> ask_json(const std::string& target);

  /// Parses by `specs`; tells unknown options with the nearest known name.
  std::optional<parsed_words> parse(const word_list& words, const std::vector<option_spec>& specs);
  /// `pods`, `po`, `deployments.apps` …; tells unknown names with the nearest known one.
  const schema::resource* resource(const std::string& name);
};

/// /api/v1/namespaces/<ns>/pods or …/<name>.
std::string path_of(const schema::resource& r, const std::string& ns, const std::string& name = {});
std::string url_encode(std::string_view text);
/// Prints rows with columns as wide as their widest cell.
void print_rows(std::ostream& out, const std::vector<word_list>& rows);
/// A JSON document as YAML, keys in their order.
std::string to_yaml(const json::value& v);
/// The documents of a YAML or JSON file (or - for standard input), Lists flattened.
result<std::vector<json::value>> load_manifests(const std::string& file);

struct command {
  const char* name;
  bool (*run)(session&, const word_list& words); // words without the command itself
  const char* usage;
  const char* help;
};
const std::vector<command>& commands();
/// Runs one statement; false when it failed.
bool run_statement(session&, const word_list&);

bool cmd_get(session&, const word_list&);
bool cmd_describe(session&, const word_list&);
bool cmd_apply(session&, const word_list&);
bool cmd_delete(session&, const word_list&);
bool cmd_scale(session&, const word_list&);
bool cmd_logs(session&, const word_list&);
bool cmd_actors(session&, const word_list&);
bool cmd_raft(session&, const word_list&);
bool cmd_master(session&, const word_list&);
bool cmd_images(session&, const word_list&);
bool cmd_log_level(session&, const word_list&);
bool cmd_use(session&, const word_list&);
bool cmd_help(session&, const word_list&);
bool cmd_quit(session&, const word_list&);

/// Interactive loop with history and completion; returns the exit status.
int run_console(session&);

} // namespace troupe::cli

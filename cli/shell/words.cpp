#include "cli/shell/words.hpp"

namespace troupe::cli {

namespace {

/// Collects one word at a time; `open` tells "" from no word.
struct collector {
  std::vector<word_list> statements;
  word_list words;
  std::string word;
  bool open = false;

  void add(char c) {
    word += c;
    open = true;
  }
  void end_word() {
    if (open) words.push_back(std::move(word));
    word.clear();
    open = false;
  }
  void end_statement() {
    end_word();
    if (!words.empty()) statements.push_back(std::move(words));
    words.clear();
  }
};

/// Reads up to the closing quote; npos when it is missing.
std::size_t quoted(std::string_view text, std::size_t i, collector& out) {
  const char quote = text[i++];
  out.open = true;
  for (; i < text.size(); ++i) {
    if (text[i] == quote) return i;
    if (quote == '"' && text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
    out.add(text[i]);
  }
  return std::string_view::npos;
}

} // namespace

result<std::vector<word_list>> split_statements(std::string_view text) {
  collector out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\'' || c == '"') {
      i = quoted(text, i, out);
      if (i == std::string_view::npos) return errors::bad_request(std::string{"the quote "} + c + " is not closed");
    } else if (c == '\\' && i + 1 < text.size()) {
      out.add(text[++i]);
    } else if (c == ';' || c == '\n') {
      out.end_statement();
    } else if (c == '#' && !out.open) {
      while (i + 1 < text.size() && text[i + 1] != '\n')
        ++i;
    } else if (c == ' ' || c == '\t' || c == '\r') {
      out.end_word();
    } else {
      out.add(c);
    }
  }
  out.end_statement();
  return std::move(out.statements);
}

} // namespace troupe::cli

#include "cli/shell/session.hpp"

#include "actors/node/cluster_config.hpp"
#include "api/codec/json_decode.hpp"

#include <yaml-cpp/yaml.h>

#include <fstream>
#include <iostream>
#include <set>
#include <sstream>

namespace troupe::cli {

session::session(https_client& c, std::ostream& o, std::ostream& e) : client(c), out(o), err(e), ns(c.config().ns) {}

bool session::fail(const std::string& sentence) {
  err << "error: " << sentence << "\n";
  return false;
}

std::optional<http_answer> session::ask(const http_call& c) {
  auto answer = client.call(c);
  if (!answer) {
    fail(answer.error().message);
    return std::nullopt;
  }
  if (answer->code >= 400) {
    fail(explain(*answer));
    return std::nullopt;
  }
  return *answer;
}

std::optional<json::value> session::ask_json(const std::string& target) {
  auto answer = ask({.method = "GET", .target = target, .content_type = {}, .accept = "application/json", .body = {}});
  if (!answer) return std::nullopt;
  boost::system::error_code ec;
  auto doc = json::parse(answer->body, ec);
  if (ec) {
    fail("the server's answer is no JSON: " + ec.message());
    return std::nullopt;
  }
  return doc;
}

namespace {

const option_spec* find_option(const std::vector<option_spec>& specs, const std::string& word, bool is_long) {
  for (const auto& s : specs)
    if (is_long ? word == s.name : (word.size() == 1 && word[0] == s.letter)) return &s;
  return nullptr;
}

std::string unknown_option(const std::vector<option_spec>& specs, const std::string& word) {
  std::vector<std::string> names;
  for (const auto& s : specs)
    names.push_back(s.name);
  auto what = "unknown option " + word;
  if (auto near = node::nearest_word(word.substr(word.find_first_not_of('-')), names))
    what += "; did you mean --" + *near + "?";
  return what;
}

} // namespace

std::optional<parsed_words> session::parse(const word_list& words, const std::vector<option_spec>& specs) {
  parsed_words out_words;
  for (std::size_t i = 0; i < words.size(); ++i) {
    const auto& w = words[i];
    if (w.size() < 2 || w[0] != '-') {
      out_words.operands.push_back(w);
      continue;
    }
    const bool is_long = w[1] == '-';
    auto name = w.substr(is_long ? 2 : 1);
    std::optional<std::string> value;
    if (const auto eq = name.find('='); eq != std::string::npos) {
      value = name.substr(eq + 1);
      name.resize(eq);
    } else if (!is_long && name.size() > 1 && find_option(specs, name.substr(0, 1), false)) {
      value = name.substr(1); // -owide, -n5
      name.resize(1);
    }
    const auto* spec = find_option(specs, name, is_long);
    if (!spec) {
      fail(unknown_option(specs, w));
      return std::nullopt;
    }
    if (spec->value && !value) {
      if (i + 1 == words.size()) {
        fail("option " + w + " needs a value");
        return std::nullopt;
      }
      value = words[++i];
    }
    out_words.options[spec->name] = value.value_or("");
  }
  return out_words;
}

const schema::resource* session::resource(const std::string& name) {
  const auto& reg = schema::registry::get();
  if (const auto* r = reg.find_by_name(name)) return r;
  std::vector<std::string> names;
  for (const auto& r : reg.resources())
    names.push_back(r.plural);
  auto what = "the server has no resource \"" + name + "\"";
  if (auto near = node::nearest_word(name, names)) what += "; did you mean " + *near + "?";
  fail(what);
  return nullptr;
}

std::string path_of(const schema::resource& r, const std::string& ns, const std::string& name) {
  std::string p = r.group.empty() ? "/api/" + r.version : "/apis/" + r.group + "/" + r.version;
  if (r.namespaced && !ns.empty()) p += "/namespaces/" + url_encode(ns);
  p += "/" + r.plural;
  if (!name.empty()) p += "/" + url_encode(name);
  return p;
}

std::string url_encode(std::string_view text) {
  static constexpr char hex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (std::isalnum(u) || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      out += '%';
      out += hex[u >> 4];
      out += hex[u & 15];
    }
  }
  return out;
}

namespace {

void emit(YAML::Emitter& e, const json::value& v) {
  switch (v.kind()) {
  case json::kind::object:
    if (v.get_object().empty()) {
      e << YAML::Flow << YAML::BeginMap << YAML::EndMap;
      return;
    }
    e << YAML::BeginMap;
    for (const auto& [k, x] : v.get_object()) {
      e << YAML::Key << std::string{k} << YAML::Value;
      emit(e, x);
    }
    e << YAML::EndMap;
    return;
  case json::kind::array:
    if (v.get_array().empty()) {
      e << YAML::Flow << YAML::BeginSeq << YAML::EndSeq;
      return;
    }
    e << YAML::BeginSeq;
    for (const auto& x : v.get_array())
      emit(e, x);
    e << YAML::EndSeq;
    return;
  case json::kind::string: {
    const std::string s{v.get_string()};
    // Text that a reader would take for a number, a boolean or null keeps its quotes.
    static const std::set<std::string> words{"",      "~",     "null",  "Null", "NULL", "true", "True", "TRUE",
                                             "false", "False", "FALSE", "yes",  "no",   "on",   "off",  "y",
                                             "n",     "Yes",   "No",    "On",   "Off",  "Y",    "N"};
    const bool looks_typed = words.contains(s) || s.find_first_not_of("0123456789.+-eExX_:") == std::string::npos;
    if (s.find('\n') != std::string::npos) {
      e << YAML::Literal << s;
    } else if (looks_typed) {
      e << YAML::DoubleQuoted << s;
    } else {
      e << s;
    }
    return;
  }
  case json::kind::int64: e << v.get_int64(); return;
  case json::kind::uint64: e << v.get_uint64(); return;
  case json::kind::double_: e << v.get_double(); return;
  case json::kind::bool_: e << v.get_bool(); return;
  case json::kind::null: e << YAML::Null; return;
  }
}

} // namespace

std::string to_yaml(const json::value& v) {
  YAML::Emitter e;
  e.SetIndent(2);
  emit(e, v);
  return std::string{e.c_str()} + "\n";
}

namespace {

/// Cuts a YAML stream at its `---` lines.
std::vector<std::string> documents(const std::string& text) {
  std::vector<std::string> out{""};
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line == "---" || line.starts_with("--- ")) {
      out.emplace_back();
    } else {
      out.back().append(line).append("\n");
    }
  }
  return out;
}

bool blank(const std::string& text) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find_first_not_of(" \t\r");
    if (first != std::string::npos && line[first] != '#') return false;
  }
  return true;
}

} // namespace

result<std::vector<json::value>> load_manifests(const std::string& file) {
  std::stringstream text;
  if (file == "-") {
    text << std::cin.rdbuf();
  } else {
    std::ifstream in(file);
    if (!in) return errors::bad_request("cannot read " + file + ": " + std::strerror(errno));
    text << in.rdbuf();
  }
  std::vector<json::value> out;
  for (const auto& part : documents(text.str())) {
    if (blank(part)) continue;
    auto decoded = codec::decode_body(part, "application/yaml", nullptr);
    if (!decoded) return errors::bad_request(file + ": " + decoded.error().message);
    auto& doc = decoded->doc;
    if (jq::str(doc, {"kind"}) == "List") {
      for (const auto& item : jq::arr(doc, {"items"}))
        out.push_back(item);
    } else if (doc.is_object()) {
      out.push_back(std::move(doc));
    } else {
      return errors::bad_request(file + ": a document is no object");
    }
  }
  if (out.empty()) return errors::bad_request(file + " holds no object");
  return out;
}

} // namespace troupe::cli

// text_writer: JSON written straight into a string, commas kept by itself.
// Owner:  one builder run.
// Units:  -
// Errors: none; the caller closes what it opens.
// Source: ours. Documents of megabytes are made without a tree in memory.
#pragma once

#include "api/json.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace troupe::schema {

class text_writer {
public:
  text_writer& open(char bracket) {
    comma();
    out_ += bracket;
    fresh_ = true;
    return *this;
  }
  text_writer& close(char bracket) {
    out_ += bracket;
    fresh_ = false;
    return *this;
  }
  text_writer& key(std::string_view k) {
    comma();
    quote(k);
    out_ += ':';
    fresh_ = true; // no comma between a key and its value
    return *this;
  }
  text_writer& text(std::string_view s) {
    comma();
    quote(s);
    return *this;
  }
  text_writer& flag(bool b) { return raw(b ? "true" : "false"); }
  text_writer& number(std::int64_t n) { return raw(std::to_string(n)); }
  text_writer& value(const json::value& v) { return raw(json::serialize(v)); }
  /// JSON made elsewhere.
  text_writer& raw(std::string_view s) {
    comma();
    out_ += s;
    return *this;
  }
  template <class Range>
  text_writer& texts(const Range& list) {
    open('[');
    for (const auto& s : list)
      text(s);
    return close(']');
  }
  text_writer& member(std::string_view k, std::string_view v) { return key(k).text(v); }

  std::string take() { return std::move(out_); }

private:
  void comma() {
    if (!fresh_ && !out_.empty()) out_ += ',';
    fresh_ = false;
  }
  void quote(std::string_view s) {
    static constexpr char hex[] = "0123456789abcdef";
    out_ += '"';
    for (const char c : s) {
      const auto u = static_cast<unsigned char>(c);
      if (c == '"' || c == '\\') {
        out_ += '\\';
        out_ += c;
      } else if (u < 0x20) {
        out_ += "\\u00";
        out_ += hex[u >> 4];
        out_ += hex[u & 15];
      } else {
        out_ += c;
      }
    }
    out_ += '"';
  }

  std::string out_;
  bool fresh_ = true;
};

} // namespace troupe::schema

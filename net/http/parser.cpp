#include "net/http/parser.hpp"

#include "net/http/limits.hpp"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

#include <optional>

namespace troupe::http {

namespace bh = boost::beast::http;
using error_code = boost::system::error_code;

namespace {

struct span {
  std::uint32_t at = 0, size = 0;
};

/// `0 CRLF CRLF`: so much of a chunked body is always still to come. Beast asserts that it sees as much when it looks
/// at a last chunk for the second time, so it is not shown less.
constexpr std::size_t last_chunk_bytes_min = 5;

bool same(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    const char c = a[i] >= 'A' && a[i] <= 'Z' ? static_cast<char>(a[i] + 32) : a[i];
    if (c != lower[i]) return false;
  }
  return true;
}

} // namespace

struct request_parser::impl {
  struct machine final : bh::basic_parser<true> {
    explicit machine(impl& to) : out(to) {
      eager(true);
      header_limit(static_cast<std::uint32_t>(limits::header_bytes_max));
      body_limit(limits::body_bytes_max);
    }
    impl& out;
    using sv = boost::beast::string_view;
    void on_request_impl(bh::verb, sv method, sv target, int, error_code&) override {
      out.method = out.keep(method);
      out.target = out.keep(target);
    }
    void on_response_impl(int, sv, int, error_code&) override {}
    void on_field_impl(bh::field, sv name, sv value, error_code&) override {
      out.fields.push_back({out.keep(name), out.keep(value)});
      if (same({name.data(), name.size()}, "expect")) out.expects = true;
    }
    void on_header_impl(error_code&) override {}
    void on_body_init_impl(boost::optional<std::uint64_t> const& size, error_code&) override {
      if (size && *size <= limits::body_bytes_max) out.body.reserve(static_cast<std::size_t>(*size));
    }
    std::size_t on_body_impl(sv part, error_code&) override {
      out.body.append(part.data(), part.size());
      return part.size();
    }
    void on_chunk_header_impl(std::uint64_t, sv, error_code&) override {}
    std::size_t on_chunk_body_impl(std::uint64_t, sv part, error_code& ec) override {
      if (out.body.size() + part.size() > limits::body_bytes_max) {
        ec = bh::error::body_limit;
        return 0;
      }
      out.body.append(part.data(), part.size());
      return part.size();
    }
    void on_finish_impl(error_code&) override {}
  };

  std::string text, body;
  span method, target;
  std::vector<std::pair<span, span>> fields;
  bool expects = false, seen = false;
  fault bad = fault::none;
  std::optional<machine> m;

  span keep(boost::beast::string_view s) {
    span at{static_cast<std::uint32_t>(text.size()), static_cast<std::uint32_t>(s.size())};
    text.append(s.data(), s.size());
    return at;
  }
  std::string_view at(span s) const { return std::string_view(text).substr(s.at, s.size); }
};

request_parser::request_parser() : impl_(std::make_unique<impl>()) { reset(); }
request_parser::~request_parser() = default;

void request_parser::reset() {
  auto& i = *impl_;
  i.text.clear();
  if (i.body.capacity() > 64 * 1024) std::string{}.swap(i.body);
  i.body.clear();
  i.fields.clear();
  i.expects = i.seen = false;
  i.bad = fault::none;
  i.m.emplace(i);
}

std::size_t request_parser::put(const char* data, std::size_t size) {
  auto& i = *impl_;
  std::size_t used = 0;
  if (size > 0) i.seen = true;
  while (used < size && !i.m->is_done()) {
    if (i.m->is_header_done() && i.m->chunked() && size - used < last_chunk_bytes_min) break;
    error_code ec;
    const auto n = i.m->put(boost::asio::const_buffer(data + used, size - used), ec);
    used += n;
    if (ec == bh::error::need_more) break;
    if (ec) {
      i.bad = ec == bh::error::body_limit     ? fault::body_too_large
              : ec == bh::error::header_limit ? fault::header_too_large
                                              : fault::malformed;
      break;
    }
    if (n == 0) break;
  }
  return used;
}

bool request_parser::done() const { return impl_->m->is_done(); }
bool request_parser::started() const { return impl_->seen; }
bool request_parser::header_done() const { return impl_->m->is_header_done(); }
fault request_parser::error() const { return impl_->bad; }
bool request_parser::keep_alive() const { return impl_->m->keep_alive(); }
bool request_parser::wants_continue() const { return impl_->expects; }
void request_parser::fill(request_view& out) const {
  const auto& i = *impl_;
  out.method = i.at(i.method);
  out.target = i.at(i.target);
  const auto mark = out.target.find('?');
  out.path = out.target.substr(0, mark);
  out.query = mark == std::string_view::npos ? std::string_view{} : out.target.substr(mark + 1);
  out.body = i.body;
  out.headers.clear();
  for (const auto& [name, value] : i.fields)
    out.headers.emplace_back(i.at(name), i.at(value));
  out.upgrade_websocket = same(out.header("upgrade"), "websocket");
}

std::string_view request_view::header(std::string_view name) const noexcept {
  for (const auto& [n, v] : headers) {
    if (n.size() != name.size()) continue;
    std::size_t k = 0;
    while (k < n.size() && (n[k] | 32) == (name[k] | 32))
      ++k;
    if (k == n.size()) return v;
  }
  return {};
}

} // namespace troupe::http

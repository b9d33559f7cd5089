#include "net/packet/nft.hpp"

#include "net/packet/host_error.hpp"

#include <memory>
#include <mutex>
#include <nftables/libnftables.h>

namespace troupe::net::nft {

namespace {

/// libnftables keeps tables of names process-wide, so calls take turns.
std::mutex& turn() {
  static std::mutex m;
  return m;
}

struct closer {
  void operator()(nft_ctx* c) const noexcept { nft_ctx_free(c); }
};
using context = std::unique_ptr<nft_ctx, closer>;

/// A fresh context per call: its socket belongs to the calling thread's network namespace.
context make_context() {
  context c{nft_ctx_new(NFT_CTX_DEFAULT)};
  if (c) {
    nft_ctx_buffer_error(c.get());
    nft_ctx_buffer_output(c.get());
  }
  return c;
}

status refused(const char* said) {
  std::string words = said ? said : "";
  while (!words.empty() && words.back() == '\n')
    words.pop_back();
  return host_error("nftables refused the rules: " + words);
}

} // namespace

result<void> run(const std::string& commands) {
  if (commands.empty()) return {};
  std::lock_guard lock{turn()};
  auto c = make_context();
  if (!c) return host_error("cannot open libnftables");
  if (nft_run_cmd_from_buffer(c.get(), commands.c_str()) != 0) return refused(nft_ctx_get_error_buffer(c.get()));
  return {};
}

result<json::value> list(const std::string& command) {
  std::string text;
  {
    std::lock_guard lock{turn()};
    auto c = make_context();
    if (!c) return host_error("cannot open libnftables");
    nft_ctx_output_set_flags(c.get(), NFT_CTX_OUTPUT_JSON | NFT_CTX_OUTPUT_NUMERIC_PROTO);
    if (nft_run_cmd_from_buffer(c.get(), command.c_str()) != 0) return refused(nft_ctx_get_error_buffer(c.get()));
    if (const char* out = nft_ctx_get_output_buffer(c.get())) text = out;
  }
  boost::system::error_code error;
  auto doc = json::parse(text, error);
  if (error) return host_error("nftables printed something that is not JSON: " + error.message());
  const auto* found = jq::find(doc, {"nftables"});
  return found ? json::value(*found) : json::value(json::array()); // braces would nest the array
}

bool available() { return static_cast<bool>(list("list tables")); }

} // namespace troupe::net::nft

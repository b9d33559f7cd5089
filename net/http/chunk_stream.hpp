// chunk_stream: body_stream over a connection's queue.
// Owner:  the connection and the watcher; used on the io thread, post from any thread.
// Units:  limits::stream_buffer_bytes_max.
// Errors: writes to a closed stream do nothing; on_closed tells.
// Source: RFC 9112, chunked transfer coding.
#pragma once

#include "net/http/connection.hpp"

namespace troupe::http {

class chunk_stream final : public body_stream {
public:
  explicit chunk_stream(const std::shared_ptr<connection>& c);
  bool write(std::string_view bytes) override;
  void on_drained(std::function<void()> fn) override { on_drained_ = std::move(fn); }
  void on_closed(std::function<void()> fn) override { on_closed_ = std::move(fn); }
  void end() override;
  void abort() override;
  void post(std::function<void()> fn) override;
  void after(std::chrono::milliseconds delay, std::function<void()> fn) override;

  void closed();
  void drained();
  bool ended() const { return ended_; }

private:
  std::weak_ptr<connection> conn_;
  tcp::socket::executor_type ex_;
  std::function<void()> on_drained_, on_closed_;
  bool ended_ = false, in_write_ = false;
};

} // namespace troupe::http

// frame_loop: one thread that carries the frames of any number of sessions: reads, writes, pings, and sees silence.
// Owner:  whoever makes it; frame_link handles are used from any thread. Handlers run on the loop's thread.
// Units:  link/link_limits.hpp; a link's output is bounded, its input is held back while too much of it is unfinished.
// Errors: a session that breaks a bound, falls silent or fails ends with one sentence in `on_closed`, exactly once.
// Source: ours; design section 9.
#pragma once

#include "actors/link/link_codec.hpp"
#include "actors/link/link_limits.hpp"
#include "net/link/secure_session.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace troupe::link {

struct frame_handlers {
  /// One payload of an allowed type; decoding is the handler's. A status closes the session with its sentence.
  std::function<result<void>(std::string_view payload)> on_frame;
  /// The session is over and its descriptor closed. Nothing is delivered afterwards.
  std::function<void(const std::string& why)> on_closed;
};

struct frame_bounds {
  side peer = side::client; // who speaks to us: decides what is allowed
  std::size_t output_bytes_max = limits::link::output_bytes_max;
  std::size_t input_bytes_max = limits::link::input_bytes_max;
  /// 0: we do not ping; the peer does.
  std::chrono::milliseconds ping_every{0};
  std::chrono::milliseconds silence_max = limits::link::client_silence_max;
};

class frame_link {
public:
  virtual ~frame_link() = default;
  /// From now on frames are delivered.
  virtual void start() = 0;
  /// Queues a whole frame. False: the link is closed (or is now, because its output is full).
  virtual bool send(std::string frame) = 0;
  bool send(const message& m) { return send(encode_frame(m)); }
  /// Sends this last frame, then ends.
  virtual void finish(std::string frame, std::string why) = 0;
  virtual void close(std::string why) = 0;
  virtual bool open() const noexcept = 0;
  /// Bytes that wait to be written.
  virtual std::size_t waiting() const noexcept = 0;
  /// What was delivered and is still being worked on: while it exceeds the bound, nothing more is read.
  virtual void hold(std::size_t bytes) noexcept = 0;
  virtual void release(std::size_t bytes) noexcept = 0;
};
using frame_link_ptr = std::shared_ptr<frame_link>;

class frame_loop {
public:
  static std::shared_ptr<frame_loop> make(std::string name);
  /// Without a thread: everything happens within `turn`, which one thread calls. For programs that have nothing else to
  /// do meanwhile, such as load generators: an answer then wakes one thread instead of two. Who is not turned says
  /// nothing: its peers give it up after their `silence_max`.
  static std::shared_ptr<frame_loop> make_driven();
  /// Waits until something comes or the time is up, and serves it. Of a driven loop only.
  virtual void turn(std::chrono::steady_clock::time_point until) = 0;
  /// Ends the thread; links are closed without their handlers being called. Not from a handler.
  virtual ~frame_loop() = default;
  /// Nothing is read and no handler is called before the link's `start`.
  virtual frame_link_ptr adopt(session s, frame_handlers handlers, frame_bounds bounds) = 0;
  virtual void stop() = 0;
};

} // namespace troupe::link

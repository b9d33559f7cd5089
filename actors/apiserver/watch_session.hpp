// watch_session: one watch: the state first when asked for, then every change, filtered and shaped.
// Owner:  one io thread; the hub only posts wakes to it. Ends with its connection, its timeout or 410.
// Units:  limits::watch_batch events per turn; bookmarks each limits::bookmark_period.
// Errors: a cursor that fell out of the window ends the watch with one ERROR event (410 Expired).
// Source: k8s API section 14; ours: a slow client holds no memory but its socket's, it pulls when it has drained.
#pragma once

#include "actors/apiserver/negotiate.hpp"
#include "actors/apiserver/route.hpp"
#include "actors/apiserver/selection.hpp"
#include "actors/apiserver/services.hpp"
#include "api/meta/names.hpp"
#include "net/http/server.hpp"

#include <functional>

namespace troupe::apiserver {

/// Where lines go: a chunked body or a WebSocket.
class line_sink {
public:
  virtual ~line_sink() = default;
  virtual bool write(std::string_view lines) = 0; // whole lines; false: full, wait for drained
  virtual void on_drained(std::function<void()> fn) = 0;
  virtual void on_closed(std::function<void()> fn) = 0;
  virtual void end() = 0;
  virtual void post(std::function<void()> fn) = 0;
  virtual void after(std::chrono::milliseconds delay, std::function<void()> fn) = 0;
};
std::shared_ptr<line_sink> sink_of(http::body_stream_ptr s);
std::shared_ptr<line_sink> sink_of(http::web_socket_ptr s);

struct watch_plan {
  target t;
  selection which;
  wanted_form form;
  store::revision from = 0;
  bool initial = false;      // state as ADDED events first
  bool initial_mark = false; // then a bookmark that says so
  bool bookmarks = false;
  std::chrono::milliseconds timeout{};
  std::string include_object;
};

/// Reads the options of a watch. Errors go out as an ordinary answer, before any stream.
result<watch_plan> plan_watch(services& s, const request& r, const store::view& state, random_source& random);

/// Runs until it ends; keeps itself alive through the sink's callbacks.
void run_watch(services_ptr s, watch_plan plan, std::shared_ptr<line_sink> sink);

} // namespace troupe::apiserver

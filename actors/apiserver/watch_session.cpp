#include "actors/apiserver/watch_session.hpp"

#include "actors/apiserver/conversion.hpp"
#include "actors/apiserver/limits.hpp"
#include "actors/apiserver/read.hpp"
#include "api/meta/names.hpp"
#include "api/table/table.hpp"

#include <charconv>

namespace troupe::apiserver {

result<watch_plan> plan_watch(services& s, const request& r, const store::view& state, random_source& random) {
  auto t = resolve(r);
  if (!t) return t.error();
  if (!t->res->stored) return errors::method_not_allowed("watch", name_of(*t->res));
  auto which = selection::read(r, *t->res, *t->stored);
  if (!which) return which.error();
  auto form = negotiate(r.accept);
  if (!form) return form.error();
  watch_plan p;
  p.t = *t;
  p.which = std::move(*which);
  p.form = *form;
  p.bookmarks = r.param("allowWatchBookmarks") == "true" || r.param("allowWatchBookmarks") == "1";
  p.include_object = r.param("includeObject");
  if (!table::parse_include_object(p.include_object))
    return errors::bad_request("includeObject must be one of None, Metadata, Object");
  const auto invalid = [](cause c) { return errors::invalid("ListOptions", "meta.k8s.io", "", {std::move(c)}); };
  const auto initial = r.param("sendInitialEvents"), match = r.param("resourceVersionMatch");
  if (initial.empty()) {
    if (!match.empty())
      return invalid(field::forbidden(
          "resourceVersionMatch", "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"));
  } else {
    if (match.empty())
      return invalid(field::forbidden("resourceVersionMatch",
                                      "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    if (match != "NotOlderThan")
      return invalid(field::not_supported("resourceVersionMatch", json::value(std::string(match)), {"NotOlderThan"}));
    if (initial == "true" && !p.bookmarks)
      return invalid(field::forbidden("sendInitialEvents", "sendInitialEvents requires allowWatchBookmarks"));
  }
  const auto rv = r.param("resourceVersion");
  store::revision from = 0;
  if (!rv.empty()) {
    auto asked = parse_revision(rv);
    if (!asked) return asked.error();
    from = *asked;
    if (from > state.rev()) return too_new(from, state.rev());
  }
  p.from = from;
  p.initial = initial == "true" || (initial.empty() && from == 0);
  p.initial_mark = initial == "true";
  if (!p.initial && from == 0) p.from = state.rev();
  std::int64_t seconds = 0;
  if (const auto text = r.param("timeoutSeconds"); !text.empty()) {
    const auto got = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (got.ec != std::errc{}) return errors::bad_request("timeoutSeconds: \"" + std::string(text) + "\" is no number");
  }
  const auto base = limits::watch_timeout_min.count();
  if (seconds <= 0) seconds = base + static_cast<std::int64_t>(random.below(static_cast<std::uint64_t>(base)));
  seconds = std::min<std::int64_t>(seconds, 86400);
  p.timeout = std::chrono::seconds(seconds);
  return p;
}

namespace {

class stream_sink final : public line_sink {
public:
  explicit stream_sink(http::body_stream_ptr s) : s_(std::move(s)) {}
  bool write(std::string_view lines) override { return s_->write(lines); }
  void on_drained(std::function<void()> fn) override { s_->on_drained(std::move(fn)); }
  void on_closed(std::function<void()> fn) override { s_->on_closed(std::move(fn)); }
  void end() override { s_->end(); }
  void post(std::function<void()> fn) override { s_->post(std::move(fn)); }
  void after(std::chrono::milliseconds d, std::function<void()> fn) override { s_->after(d, std::move(fn)); }

private:
  http::body_stream_ptr s_;
};

/// One text message per event.
class socket_sink final : public line_sink {
public:
  explicit socket_sink(http::web_socket_ptr s) : s_(std::move(s)) {}
  bool write(std::string_view lines) override {
    bool room = true;
    while (!lines.empty()) {
      const auto end = lines.find('\n');
      room = s_->write(std::string(lines.substr(0, end)), false);
      lines = end == std::string_view::npos ? std::string_view{} : lines.substr(end + 1);
    }
    return room;
  }
  void on_drained(std::function<void()> fn) override { s_->on_drained(std::move(fn)); }
  void on_closed(std::function<void()> fn) override { s_->on_closed(std::move(fn)); }
  void end() override { s_->close(); }
  void post(std::function<void()> fn) override { s_->post(std::move(fn)); }
  void after(std::chrono::milliseconds d, std::function<void()> fn) override { s_->after(d, std::move(fn)); }

private:
  http::web_socket_ptr s_;
};

class session final : public std::enable_shared_from_this<session> {
public:
  session(services_ptr s, watch_plan p, std::shared_ptr<line_sink> sink)
      : s_(std::move(s)), plan_(std::move(p)), sink_(std::move(sink)), cursor_(plan_.from) {
    ++s_->counted.watches;
    raw_ = plan_.form.what == wanted_form::shape::plain && plan_.t.res == plan_.t.stored;
  }
  ~session() { --s_->counted.watches; }

  void begin() {
    auto self = shared_from_this();
    std::weak_ptr<session> weak = self;
    sink_->on_closed([self] { self->finish(); }); // the sink owns the session
    sink_->on_drained([weak] {
      if (auto me = weak.lock()) me->turn();
    });
    sub_ = s_->options.hub->subscribe(plan_.t.stored->store_key, [weak, sink = std::weak_ptr<line_sink>(sink_)] {
      if (auto to = sink.lock())
        to->post([weak] {
          if (auto me = weak.lock()) me->woken();
        });
    });
    if (plan_.initial) send_state();
    if (plan_.bookmarks) arm_bookmark();
    // A bookmark shortly before the end lets the client resume where it stood.
    sink_->after(plan_.timeout, [weak] {
      if (auto me = weak.lock()) me->time_is_up();
    });
    turn();
  }

private:
  void finish() {
    done_ = true;
    sub_.reset();
    waiting_ = {};
  }

  void woken() {
    armed_ = false;
    turn();
  }

  /// Pulls and writes until there is nothing more or the client is slower than we are.
  void turn() {
    if (done_ || armed_) return;
    auto self = shared_from_this();
    for (;;) {
      if (!send_waiting()) return;
      auto got = s_->options.hub->pull(plan_.t.stored->store_key, cursor_, limits::watch_batch);
      if (got.too_old) return expire(got.oldest);
      buffer_.clear();
      for (const auto& e : got.events)
        append(*e);
      cursor_ = std::max(got.upto, cursor_);
      const bool room = buffer_.empty() || sink_->write(buffer_);
      if (done_ || !room) return;
      if (got.events.empty()) break;
    }
    armed_ = true;
    sub_->arm(cursor_);
  }

  /// The state at the start, in pieces, so that a large one does not fill memory.
  bool send_waiting() {
    while (!waiting_.empty()) {
      buffer_.clear();
      std::size_t n = 0;
      while (n < waiting_.size() && n < limits::watch_batch)
        append_added(*waiting_[n++]);
      waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
      if (waiting_.empty() && plan_.initial_mark) append_bookmark(cursor_, true);
      if (!sink_->write(buffer_) || done_) return false;
    }
    return !done_;
  }

  void send_state() {
    const auto state = s_->view();
    cursor_ = state->rev();
    state->scan(plan_.t.stored->store_key, plan_.which.ns(), [&](const store::object_ptr& o) {
      if (plan_.which.matches(*o)) waiting_.push_back(o);
      return true;
    });
    if (waiting_.empty() && plan_.initial_mark) {
      buffer_.clear();
      append_bookmark(cursor_, true);
      sink_->write(buffer_);
    }
  }

  void append(const store::event& e) {
    using store::event_type;
    const bool now = e.type != event_type::deleted && plan_.which.matches(*e.current);
    const bool before = e.previous ? plan_.which.matches(*e.previous)
                                   : e.type == event_type::deleted && plan_.which.matches(*e.current);
    if (!now && !before) return;
    if (now && before) return append_as(e, e.type, *e.current);
    if (now) return append_as(e, event_type::added, *e.current);
    if (e.type == event_type::deleted) return append_as(e, event_type::deleted, *e.current);
    // It left the selection: the last state that matched, at the revision that moved it out.
    auto last = e.previous->parse();
    jq::at(last, {"metadata", "resourceVersion"}) = std::to_string(e.rev);
    append_document("DELETED", std::move(last));
  }

  static std::string_view word(store::event_type t) {
    return t == store::event_type::added ? "ADDED" : t == store::event_type::deleted ? "DELETED" : "MODIFIED";
  }

  void append_as(const store::event& e, store::event_type t, const store::object& o) {
    if (raw_ && t == e.type) {
      buffer_ += e.line();
      return;
    }
    if (raw_) return append_raw(word(t), o.bytes);
    append_document(word(t), o.parse());
  }

  void append_added(const store::object& o) {
    if (raw_) return append_raw("ADDED", o.bytes);
    append_document("ADDED", o.parse());
  }

  void append_raw(std::string_view type, std::string_view bytes) {
    buffer_.append(R"({"type":")").append(type).append(R"(","object":)").append(bytes).append("}\n");
  }

  void append_document(std::string_view type, json::value doc) {
    if (plan_.t.res != plan_.t.stored) from_stored(*plan_.t.res, doc);
    switch (plan_.form.what) {
    case wanted_form::shape::plain: return append_raw(type, json::serialize(doc));
    case wanted_form::shape::partial:
      return append_raw(type, json::serialize(partial_metadata(doc, plan_.form.meta_version)));
    case wanted_form::shape::table: return append_raw(type, row(doc));
    }
  }

  std::string row(const json::value& doc) {
    table::options o;
    o.now = std::chrono::time_point_cast<std::chrono::microseconds>(std::chrono::system_clock::now());
    o.api_version = plan_.form.meta_version;
    o.include = *table::parse_include_object(plan_.include_object);
    o.with_columns = std::exchange(columns_due_, false);
    return table::render_row(*plan_.t.res, doc, o);
  }

  void append_bookmark(store::revision rev, bool initial_end) {
    json::object meta;
    meta["resourceVersion"] = std::to_string(rev);
    meta["creationTimestamp"] = nullptr;
    if (initial_end) {
      json::object notes;
      notes["k8s.io/initial-events-end"] = "true";
      meta["annotations"] = std::move(notes);
    }
    json::object o;
    o["kind"] = plan_.t.res->kind;
    o["apiVersion"] = plan_.t.res->api_version;
    o["metadata"] = std::move(meta);
    if (plan_.form.what == wanted_form::shape::partial)
      return append_raw("BOOKMARK", json::serialize(partial_metadata(o, plan_.form.meta_version)));
    if (plan_.form.what == wanted_form::shape::table) {
      json::object t;
      t["kind"] = "Table";
      t["apiVersion"] = json::string(plan_.form.meta_version);
      json::object list_meta;
      list_meta["resourceVersion"] = std::to_string(rev);
      t["metadata"] = std::move(list_meta);
      t["columnDefinitions"] = json::array{};
      json::object r;
      r["cells"] = json::array{};
      r["object"] = std::move(o);
      json::array rows;
      rows.push_back(std::move(r));
      t["rows"] = std::move(rows);
      return append_raw("BOOKMARK", json::serialize(t));
    }
    append_raw("BOOKMARK", json::serialize(o));
  }

  void bookmark_now() {
    // Everything up to the hub's own revision has been seen once nothing is left to pull.
    if (!waiting_.empty()) return;
    const auto got = s_->options.hub->pull(plan_.t.stored->store_key, cursor_, 1);
    if (got.too_old || !got.events.empty()) return;
    cursor_ = std::max(cursor_, got.upto);
    buffer_.clear();
    append_bookmark(cursor_, false);
    sink_->write(buffer_);
  }

  void arm_bookmark() {
    std::weak_ptr<session> weak = weak_from_this();
    sink_->after(limits::bookmark_period, [weak] {
      auto me = weak.lock();
      if (!me || me->done_) return;
      me->bookmark_now();
      if (!me->done_) me->arm_bookmark();
    });
  }

  void time_is_up() {
    if (done_) return;
    auto self = shared_from_this();
    if (plan_.bookmarks) bookmark_now();
    if (done_) return;
    auto sink = sink_;
    finish();
    sink->end();
  }

  void expire(store::revision oldest) {
    auto self = shared_from_this();
    const auto s =
        errors::expired("too old resource version: " + std::to_string(cursor_) + " (" + std::to_string(oldest) + ")");
    buffer_.clear();
    append_raw("ERROR", json::serialize(s.to_json()));
    sink_->write(buffer_);
    auto sink = sink_;
    finish();
    sink->end();
  }

  services_ptr s_;
  watch_plan plan_;
  std::shared_ptr<line_sink> sink_;
  std::unique_ptr<store::subscription> sub_;
  store::revision cursor_;
  std::vector<store::object_ptr> waiting_;
  std::string buffer_;
  bool raw_ = false, armed_ = false, done_ = false, columns_due_ = true;
};

} // namespace

std::shared_ptr<line_sink> sink_of(http::body_stream_ptr s) { return std::make_shared<stream_sink>(std::move(s)); }
std::shared_ptr<line_sink> sink_of(http::web_socket_ptr s) { return std::make_shared<socket_sink>(std::move(s)); }

void run_watch(services_ptr s, watch_plan plan, std::shared_ptr<line_sink> sink) {
  std::make_shared<session>(std::move(s), std::move(plan), std::move(sink))->begin();
}

} // namespace troupe::apiserver

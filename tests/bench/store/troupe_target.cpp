// troupe_target: our store through links over loopback TCP, as workers and consoles reach it.
#include "tests/bench/store/files.hpp"
#include "tests/bench/store/raw_pairs.hpp"
#include "tests/bench/store/target.hpp"

#include "actors/link/cluster_link_client.hpp"
#include "actors/link/frame_loop.hpp"
#include "store/object.hpp"

#include <atomic>
#include <mutex>
#include <stdexcept>
#include <thread>

namespace troupe::bench {

namespace {

/// What completed. The load generator's thread drives the links itself, as gRPC's completion queue does for etcd: an
/// answer comes to it without a second thread in between.
using completions = std::vector<completion>;

std::string complaint(const response& r) {
  if (r.code < 400) return {};
  return r.error ? r.error->message : "refused with " + std::to_string(r.code);
}

/// A connection to one endpoint that is made again, in the background, when it breaks.
class line {
public:
  explicit line(link::link_client_options o) : options_(std::move(o)) {}
  ~line() {
    if (dialer_.joinable()) dialer_.join();
  }
  void open() {
    auto c = link::open_link_client(options_);
    if (!c) throw std::runtime_error(c.error().message);
    std::lock_guard g(lock_);
    client_ = *c;
  }
  /// Null while there is none.
  std::shared_ptr<link::link_client> client() {
    std::lock_guard g(lock_);
    if (client_ && client_->open()) return client_;
    client_ = nullptr;
    if (!dialing_.exchange(true)) {
      if (dialer_.joinable()) dialer_.join();
      dialer_ = std::thread([this] {
        auto c = link::open_link_client(options_);
        std::lock_guard inner(lock_);
        if (c) client_ = *c;
        dialing_ = false;
      });
    }
    return nullptr;
  }

private:
  link::link_client_options options_;
  std::mutex lock_;
  std::shared_ptr<link::link_client> client_;
  std::atomic<bool> dialing_ = false;
  std::thread dialer_;
};

class troupe_target final : public target {
public:
  explicit troupe_target(const target_options& o)
      : options_(o), done_(std::make_shared<completions>()), loop_(link::frame_loop::make_driven()) {
    std::shared_ptr<const link::session_tls> tls;
    if (!o.ca_file.empty()) {
      auto made = link::make_session_tls(read_file(o.ca_file), {read_file(o.cert_file), read_file(o.key_file)});
      if (!made) throw std::runtime_error(made.error().message);
      tls = *made;
    }
    for (std::size_t i = 0; i < o.connections; ++i)
      for (const auto& endpoint : o.endpoints) {
        link::link_client_options l;
        const auto colon = endpoint.rfind(':');
        l.address = endpoint.substr(0, colon);
        l.port = static_cast<std::uint16_t>(std::stoul(endpoint.substr(colon + 1)));
        l.tls = tls;
        l.name = "store_load";
        l.loop = loop_;
        lines_.push_back(std::make_unique<line>(std::move(l)));
      }
    for (std::size_t i = 0; i < o.connections; ++i)
      line_of(i).open();
  }

  void put(std::size_t slot, std::vector<pair_to_put> pairs) override {
    auto r = std::make_shared<request>();
    r->what = verb::create;
    r->plural = "pairs";
    std::string body;
    body.reserve(pairs.size() * (pairs[0].key.size() + pairs[0].value.size() + 8));
    for (const auto& p : pairs)
      append_pair(body, p.key, p.value);
    r->body = std::move(body);
    call(slot, std::move(r));
  }

  void get(std::size_t slot, const std::string& key) override {
    auto r = std::make_shared<request>();
    r->what = verb::get;
    r->plural = "pairs";
    r->name = key;
    call(slot, std::move(r));
  }

  void wait(std::vector<completion>& out, bench_clock::time_point deadline) override {
    expire();
    while (done_->empty() && bench_clock::now() < deadline)
      loop_->turn(deadline);
    for (auto& c : *done_) {
      // An answer that comes after its operation was given up belongs to nobody.
      const auto slot = c.slot % slots_max, number = c.slot / slots_max;
      if (slot >= waiting_.size() || waiting_[slot].number != number || !waiting_[slot].open) continue;
      waiting_[slot].open = false;
      c.slot = slot;
      out.push_back(std::move(c));
    }
    done_->clear();
  }

  void move_on(std::size_t slot) override { ++waiting_.at(slot).moved; }

  bool leads() override {
    const auto text = ask("status", {}).body;
    return text.find("\"role\":\"leader\"") != std::string::npos;
  }

  std::uint64_t snapshot() override {
    for (std::uint64_t offset = 0;;) {
      const auto r = ask("snapshot", std::to_string(offset));
      offset += r.body.size();
      for (const auto& [k, v] : r.headers)
        if (k == "X-Last") return offset;
      if (r.body.empty()) throw std::runtime_error("the snapshot ends early");
    }
  }

  /// Our store forgets by itself, behind its retention window: wait until it has.
  void compact() override {
    const auto wanted = number_in(ask("status", {}).body, "\"revision\":");
    while (number_in(ask("status", {}).body, "\"compactedRevision\":") < wanted)
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }

private:
  static constexpr std::size_t slots_max = 1u << 20;
  struct slot_state {
    std::size_t number = 0, moved = 0;
    bool open = false;
    bench_clock::time_point since;
  };

  line& line_of(std::size_t slot) {
    const auto moved = slot < waiting_.size() ? waiting_[slot].moved : 0;
    const auto connection = slot % options_.connections, endpoints = options_.endpoints.size();
    return *lines_[connection * endpoints + (connection + moved) % endpoints];
  }

  void call(std::size_t slot, request_ptr r) {
    if (waiting_.size() <= slot) waiting_.resize(slot + 1);
    auto& w = waiting_[slot];
    ++w.number;
    w.open = true;
    w.since = bench_clock::now();
    const auto id = w.number * slots_max + slot;
    auto client = line_of(slot).client();
    if (!client) return done_->push_back({id, "no connection", 0});
    client->call(std::move(r), [done = done_, id](const response_ptr& answer) {
      done->push_back({id, complaint(*answer), answer->object || !answer->body.empty() ? 1u : 0u});
    });
  }

  /// Looked at seldom: a time-out is a hundred times longer.
  void expire() {
    const auto now = bench_clock::now();
    if (now < next_look_) return;
    next_look_ = now + options_.op_timeout / 100;
    for (std::size_t slot = 0; slot < waiting_.size(); ++slot) {
      auto& w = waiting_[slot];
      if (w.open && now - w.since > options_.op_timeout)
        done_->push_back({w.number * slots_max + slot, "no answer in time", 0});
    }
  }

  response ask(const char* what, std::string offset) {
    auto r = std::make_shared<request>();
    r->what = verb::get;
    r->plural = "pairs";
    r->subresource = what;
    if (!offset.empty()) r->query.emplace_back("offset", std::move(offset));
    auto client = lines_.front()->client();
    if (!client) throw std::runtime_error("no connection to " + options_.endpoints.front());
    const auto answer = std::make_shared<response_ptr>();
    client->call(r, [answer](response_ptr a) { *answer = std::move(a); });
    const auto by = bench_clock::now() + std::chrono::minutes(1);
    while (!*answer && bench_clock::now() < by)
      loop_->turn(by);
    if (!*answer) throw std::runtime_error("no answer from " + options_.endpoints.front());
    if (const auto why = complaint(**answer); !why.empty()) throw std::runtime_error(why);
    return **answer;
  }

  static std::uint64_t number_in(const std::string& json, const std::string& key) {
    const auto at = json.find(key);
    return at == std::string::npos ? 0 : std::stoull(json.substr(at + key.size()));
  }

  target_options options_;
  std::shared_ptr<completions> done_;
  std::shared_ptr<link::frame_loop> loop_;
  std::vector<std::unique_ptr<line>> lines_; // [connection][endpoint]
  std::vector<slot_state> waiting_;
  bench_clock::time_point next_look_;
};

} // namespace

std::unique_ptr<target> make_troupe_target(const target_options& options) {
  return std::make_unique<troupe_target>(options);
}

} // namespace troupe::bench

// etcd_target: etcd 3.4 through its own gRPC API, asynchronously, on one completion queue.
#include "tests/bench/store/files.hpp"
#include "tests/bench/store/target.hpp"

#include "etcd_kv.grpc.pb.h"

#include <grpcpp/grpcpp.h>

#include <functional>
#include <stdexcept>

namespace troupe::bench {

namespace {

namespace pb = etcdserverpb;

/// One RPC under way; frees itself in `finish`.
struct call {
  explicit call(std::size_t s) : slot(s) {}
  virtual ~call() = default;
  virtual completion finish() = 0;
  std::size_t slot;
  grpc::ClientContext context;
  grpc::Status status;
};

template <class Response>
struct call_of final : call {
  using call::call;
  completion finish() override {
    completion c{slot, {}, 0};
    if (!status.ok()) c.error = status.error_message().empty() ? "failed without a reason" : status.error_message();
    if constexpr (requires { response.kvs_size(); }) c.found = static_cast<std::size_t>(response.kvs_size());
    return c;
  }
  Response response;
  std::unique_ptr<grpc::ClientAsyncResponseReader<Response>> reader;
};

class etcd_target final : public target {
public:
  explicit etcd_target(const target_options& o) : options_(o) {
    std::shared_ptr<grpc::ChannelCredentials> creds = grpc::InsecureChannelCredentials();
    if (!o.ca_file.empty())
      creds = grpc::SslCredentials({read_file(o.ca_file), read_file(o.key_file), read_file(o.cert_file)});
    for (std::size_t i = 0; i < o.connections; ++i)
      for (const auto& endpoint : o.endpoints) {
        grpc::ChannelArguments args;
        args.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);   // or all channels would share one connection
        args.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000); // what one attempt may take
        args.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 100);
        args.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 200);
        args.SetMaxReceiveMessageSize(-1);
        channels_.push_back(grpc::CreateCustomChannel(endpoint, creds, args));
        kv_.push_back(pb::KV::NewStub(channels_.back()));
      }
    maintenance_ = pb::Maintenance::NewStub(channels_.front());
    for (std::size_t i = 0; i < o.connections; ++i)
      if (!channels_[home(i)]->WaitForConnected(deadline_after(std::chrono::seconds(5))))
        throw std::runtime_error("etcd does not accept connections at " + o.endpoints[i % o.endpoints.size()]);
  }

  ~etcd_target() override {
    queue_.Shutdown();
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok))
      delete static_cast<call*>(tag);
  }

  void put(std::size_t slot, std::vector<pair_to_put> pairs) override {
    if (pairs.size() == 1) {
      pb::PutRequest r;
      r.set_key(std::move(pairs[0].key));
      r.set_value(std::move(pairs[0].value));
      return start<pb::PutResponse>(slot, [&](auto& c) { return stub(slot).AsyncPut(&c.context, r, &queue_); });
    }
    pb::TxnRequest t;
    for (auto& p : pairs) {
      auto* put = t.add_success()->mutable_request_put();
      put->set_key(std::move(p.key));
      put->set_value(std::move(p.value));
    }
    start<pb::TxnResponse>(slot, [&](auto& c) { return stub(slot).AsyncTxn(&c.context, t, &queue_); });
  }

  void get(std::size_t slot, const std::string& key) override {
    pb::RangeRequest r;
    r.set_key(key);
    start<pb::RangeResponse>(slot, [&](auto& c) { return stub(slot).AsyncRange(&c.context, r, &queue_); });
  }

  void wait(std::vector<completion>& out, bench_clock::time_point deadline) override {
    auto by = deadline_after(deadline - bench_clock::now());
    for (;;) {
      void* tag = nullptr;
      bool ok = false;
      if (queue_.AsyncNext(&tag, &ok, by) != grpc::CompletionQueue::GOT_EVENT) return;
      std::unique_ptr<call> done(static_cast<call*>(tag));
      out.push_back(done->finish());
      by = gpr_time_0(GPR_CLOCK_MONOTONIC); // take what else is there, without waiting
    }
  }

  void move_on(std::size_t slot) override {
    if (moved_.size() <= slot) moved_.resize(slot + 1, 0);
    ++moved_[slot];
  }

  bool leads() override {
    pb::StatusResponse r;
    ask([&](auto& c) { return maintenance_->Status(&c, pb::StatusRequest(), &r); });
    return r.leader() != 0 && r.leader() == r.header().member_id();
  }

  std::uint64_t snapshot() override {
    grpc::ClientContext context;
    auto reader = maintenance_->Snapshot(&context, pb::SnapshotRequest());
    pb::SnapshotResponse piece;
    std::uint64_t bytes = 0;
    while (reader->Read(&piece))
      bytes += piece.blob().size();
    if (const auto s = reader->Finish(); !s.ok()) throw std::runtime_error("etcd snapshot: " + s.error_message());
    return bytes;
  }

  void compact() override {
    pb::RangeRequest one;
    one.set_key("/");
    one.set_count_only(true);
    pb::RangeResponse now;
    ask([&](auto& c) { return kv_.front()->Range(&c, one, &now); });
    pb::CompactionRequest r;
    r.set_revision(now.header().revision());
    r.set_physical(true);
    pb::CompactionResponse done;
    ask([&](auto& c) { return kv_.front()->Compact(&c, r, &done); });
  }

private:
  /// Channels lie as [connection][endpoint]: slot n uses connection n mod connections, and a home endpoint that
  /// changes with the connection.
  pb::KV::Stub& stub(std::size_t slot) { return *kv_[home(slot)]; }
  std::size_t home(std::size_t slot) const {
    const auto moved = slot < moved_.size() ? moved_[slot] : 0;
    const auto connection = slot % options_.connections, endpoints = options_.endpoints.size();
    return connection * endpoints + (connection + moved) % endpoints;
  }
  template <class Response, class Begin>
  void start(std::size_t slot, Begin begin) {
    auto c = std::make_unique<call_of<Response>>(slot);
    c->context.set_deadline(std::chrono::system_clock::now() + options_.op_timeout);
    c->reader = begin(*c);
    auto* raw = c.release();
    raw->reader->Finish(&raw->response, &raw->status, raw);
  }
  template <class Ask>
  void ask(Ask fn) {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::minutes(2));
    if (const grpc::Status s = fn(context); !s.ok()) throw std::runtime_error("etcd: " + s.error_message());
  }
  static gpr_timespec deadline_after(bench_clock::duration d) {
    const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
    return gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC), gpr_time_from_nanos(std::max<std::int64_t>(ns, 0), GPR_TIMESPAN));
  }

  target_options options_;
  std::vector<std::shared_ptr<grpc::Channel>> channels_;
  std::vector<std::unique_ptr<pb::KV::Stub>> kv_;
  std::unique_ptr<pb::Maintenance::Stub> maintenance_;
  std::vector<std::size_t> moved_;
  grpc::CompletionQueue queue_;
};

} // namespace

std::unique_ptr<target> make_etcd_target(const target_options& options) {
  return std::make_unique<etcd_target>(options);
}

} // namespace troupe::bench

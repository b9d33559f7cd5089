#include "tests/support/api_lab.hpp"

#include "actors/apiserver/api_actor.hpp"
#include "actors/apiserver/authenticate.hpp"
#include "actors/apiserver/authorize.hpp"
#include "actors/apiserver/bootstrap.hpp"
#include "actors/apiserver/front.hpp"
#include "actors/apiserver/read.hpp"
#include "actors/apiserver/scale.hpp"
#include "net/http/server.hpp"

#include <filesystem>
#include <unistd.h>

namespace troupe::test {

using namespace apiserver;

std::shared_ptr<const tls::pki> test_pki() {
  static const auto made = [] {
    const auto dir = std::filesystem::temp_directory_path() / ("troupe-lab-" + std::to_string(::getpid()));
    tls::pki_options o;
    o.dir = dir;
    o.node_name = "n1";
    auto p = tls::open_pki(o).value();
    std::filesystem::remove_all(dir);
    return p;
  }();
  return made;
}

api_lab::api_lab()
    : published_(std::make_shared<store::published_view>(machine_.snapshot())),
      window_(std::make_shared<store::watch_window>()), s_(std::make_shared<apiserver::services>()) {
  window_->start(0, 0);
  s_->options.pki = test_pki();
  s_->options.state = published_;
  s_->options.hub = window_;
  s_->service_ips = *ip_range::parse("10.96.0.0/16");
  s_->tokens = *tls::token_signer::make(test_pki()->service_account_key_pem, std::string(api_audience));
  s_->rbac = std::make_shared<rbac_index>(published_, window_);
  s_->pins = std::make_shared<view_pins>();
  s_->server_address = "127.0.0.1:6443";
  as_admin();
  const auto plan = plan_bootstrap(*s_, *view(), now_, random_).value();
  for (const auto& t : plan)
    if (!apply(t).ok) throw std::runtime_error("bootstrap was refused");
  post("/api/v1/namespaces/default/serviceaccounts", R"({"metadata":{"name":"default"}})");
}

void api_lab::as_admin() {
  who_ = {};
  who_.user = "kubernetes-admin";
  who_.groups = {"system:masters", "system:authenticated"};
}

store::txn_result api_lab::apply(const store::txn& t) {
  store::log_entry e;
  e.index = store::log_index{++index_};
  e.term = store::log_term{1};
  e.kind = store::entry_kind::change;
  e.payload = std::make_shared<const std::string>(store::encode_txn(t));
  std::vector<store::change_record> changes;
  auto r = machine_.apply(e, changes);
  published_->set(machine_.snapshot());
  window_->append(changes, machine_.rev());
  return r;
}

namespace {
lab_answer seen(const response& r) {
  lab_answer a;
  a.code = r.code;
  const auto text = r.error ? r.error->to_bytes() : r.object ? std::string(r.object->bytes) : r.body;
  boost::system::error_code ec;
  a.body = json::parse(text, ec);
  for (const auto& [name, value] : r.headers)
    if (name == "Warning") a.warnings.push_back(value);
  return a;
}
} // namespace

lab_answer api_lab::write(const request& r) {
  auto t = resolve(r);
  if (!t) return seen(*refuse(t.error()));
  std::vector<store::object_ptr> collected;
  for (int attempt = 0; attempt < 20; ++attempt) {
    const auto state = view();
    const write_env e{*s_, r, *t, *state, now_, random_, r.param("dryRun") == "All", attempt};
    auto plan = plan_write(e);
    if (!plan) return seen(*refuse(plan.error()));
    if (interfere) std::exchange(interfere, nullptr)();
    store::txn_result done;
    if (!plan->empty()) {
      done = apply(plan->change);
      if (!done.ok) continue;
    }
    std::move(plan->collected.begin(), plan->collected.end(), std::back_inserter(collected));
    if (plan->more) continue;
    response out;
    out.code = plan->code;
    switch (plan->how) {
    case answer::fixed: out = std::move(plan->fixed); break;
    case answer::written:
      out = show(*t->res, *t->stored, done.written.front(), {}, r, now_).value();
      out.code = plan->code;
      break;
    case answer::written_scale: out.body = json::serialize(scale_of(*t->res, done.written.front()->parse())); break;
    case answer::collected: out.body = R"({"items":)" + std::to_string(collected.size()) + "}"; break;
    }
    add_warnings(out, plan->warnings);
    return seen(out);
  }
  return {};
}

lab_answer api_lab::call(std::string_view method, std::string_view target, std::string_view body,
                         std::string_view content_type, std::string_view accept) {
  const auto mark = target.find('?');
  auto path = parse_route(method, target.substr(0, mark));
  request r;
  r.who = who_;
  r.what = path.what;
  r.group = path.group;
  r.version = path.version;
  r.ns = path.ns;
  r.plural = path.plural;
  r.name = path.name;
  r.subresource = path.subresource;
  r.content_type = content_type;
  r.accept = accept;
  if (mark != std::string_view::npos) http::parse_query(target.substr(mark + 1), r.query);
  if (!body.empty()) r.body = std::string(body);
  if (r.what == verb::get || r.what == verb::list) return seen(*answer_read(*s_, r, view(), now_));
  if (auto ok = authorize(*s_, r, to_string(r.what), *view()); !ok) return seen(*refuse(ok.error()));
  return write(r);
}

} // namespace troupe::test

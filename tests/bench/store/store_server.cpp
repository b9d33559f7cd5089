// store_server: one member of a store, with links for clients and, in larger groups, for the other members.
// Owner:  tests/bench/store.py starts and stops it; see --help. Prints "ready PORT" when clients may come.
// Units:  -
// Errors: exit status 1 and a sentence.
// Source: ours; benchmarks only.
#include "tests/bench/store/files.hpp"
#include "tests/bench/store/raw_service.hpp"

#include "actors/link/master_mesh.hpp"
#include "actors/link/node_session.hpp"
#include "actors/raft/group_board.hpp"
#include "actors/support/scheduling.hpp"
#include "net/tls/issue.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/io/middleman.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <boost/program_options.hpp>

#include <csignal>
#include <cstdio>
#include <filesystem>
#include <iostream>
#include <random>

using namespace troupe;
namespace po = boost::program_options;

namespace {

struct settings {
  std::string data_dir, pki_dir;
  std::uint64_t member = 1;
  std::vector<std::uint16_t> ports; // of all members, by id; ours is ports[member - 1]
  int retention_s = 300;
  bool tls = false;
};

struct server_config : caf::actor_system_config {
  server_config() {
    configure_scheduler(*this, 2);
    configure_middleman(*this);
  }
};

std::string name_of(std::uint64_t member) { return "m" + std::to_string(member); }

/// One authority and a certificate per member and for the load generator, as PEM files; etcd is given the same.
int make_pki(const std::string& dir) {
  tls::pki_options o;
  o.dir = dir + "/authority";
  o.node_name = "bench";
  const auto made = tls::open_pki(o);
  if (!made) throw std::runtime_error(made.error().message);
  const auto save = [&](const std::string& file, const std::string& text) {
    if (auto ok = tls::write_private_file(dir + "/" + file, text); !ok) throw std::runtime_error(ok.error().message);
  };
  save("ca.crt", (*made)->ca_pem);
  save("client.crt", (*made)->admin.cert_pem);
  save("client.key", (*made)->admin.key_pem);
  // etcd's members dial each other with the certificate that they serve with.
  tls::detail::leaf_request both;
  both.common_name = "localhost";
  both.dns = {"localhost"};
  both.ips = {"127.0.0.1"};
  both.server = both.client = true;
  both.now = o.now;
  const auto etcd = tls::detail::sign_leaf((*made)->ca_pem, (*made)->ca_key_pem, both);
  if (!etcd) throw std::runtime_error(etcd.error().message);
  save("etcd.crt", etcd->cert_pem);
  save("etcd.key", etcd->key_pem);
  for (std::uint64_t member = 1; member <= 3; ++member) {
    const auto own = tls::issue_master(**made, name_of(member));
    if (!own) throw std::runtime_error(own.error().message);
    save(name_of(member) + ".crt", own->cert_pem);
    save(name_of(member) + ".key", own->key_pem);
  }
  return 0;
}

result<std::shared_ptr<master_mesh>> make_mesh(caf::actor_system& sys, const settings& s) {
  mesh_options m;
  m.system = &sys;
  m.self = store::member_id(s.member);
  m.name = name_of(s.member);
  m.cluster_id = "bench";
  m.store = name_of(s.member);
  m.address = "127.0.0.1";
  m.port = s.ports[s.member - 1];
  m.plain_tcp_for_benchmarks = !s.tls;
  if (s.tls) {
    m.ca_pem = bench::read_file(s.pki_dir + "/ca.crt");
    m.own = {bench::read_file(s.pki_dir + "/" + m.name + ".crt"), bench::read_file(s.pki_dir + "/" + m.name + ".key")};
  }
  for (std::uint64_t other = 1; other <= s.ports.size(); ++other)
    if (other != s.member)
      m.peers.push_back({store::member_id(other), name_of(other), "127.0.0.1", s.ports[other - 1]});
  return make_master_mesh(std::move(m));
}

template <class T>
T checked(result<T> r) {
  if (!r) throw std::runtime_error(r.error().message);
  return std::move(*r);
}

int serve(const settings& s) {
  sigset_t ends;
  sigemptyset(&ends);
  for (int signal : {SIGTERM, SIGINT})
    sigaddset(&ends, signal);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr); // all threads to come inherit it
  std::signal(SIGPIPE, SIG_IGN);

  server_config config;
  caf::actor_system sys(config);
  auto mesh = checked(make_mesh(sys, s));
  raft_options r;
  r.data_dir = s.data_dir;
  r.cluster_id = "bench";
  r.member = store::member_id(s.member);
  for (std::uint64_t m = 1; m <= s.ports.size(); ++m)
    r.founders.push_back(store::member_id(m));
  if (s.ports.size() > 1) r.transport = mesh;
  r.retention = std::chrono::seconds(s.retention_s);
  r.seed = std::random_device{}();
  auto store = checked(spawn_raft(sys, r));
  link::node_sessions_options n;
  n.cluster_id = "bench";
  n.master_name = name_of(s.member);
  n.api = {bench::spawn_raw_service(sys, store)};
  n.state = store.state;
  n.hub = store.hub;
  n.group = store.group;
  n.plain_peer.user = "bench";
  auto sessions = checked(link::make_node_sessions(sys, n));
  mesh->on_worker_session(
      [&](link::session in, std::string hello) { sessions->accept(std::move(in), std::move(hello)); });
  if (auto started = mesh->start(); !started) throw std::runtime_error(started.error().message);
  std::printf("ready %u\n", static_cast<unsigned>(mesh->port()));
  std::fflush(stdout);

  int caught = 0;
  sigwait(&ends, &caught);
  sessions->stop();
  {
    caf::scoped_actor self(sys);
    self->request(store.raft, std::chrono::seconds(30), flush_and_stop::value).receive([](bool) {}, [](caf::error&) {});
  }
  mesh->stop();
  std::fflush(nullptr);
  std::_Exit(0); // everything is on disk; a bench has nothing to take apart
}

} // namespace

int main(int argc, char** argv) {
  settings s;
  std::string ports, make;
  po::options_description o("store_server: one member of a store, for benchmarks");
  auto add = o.add_options();
  add("help", "this text");
  add("data-dir", po::value(&s.data_dir), "made when missing");
  add("member", po::value(&s.member)->default_value(1), "our number, from 1");
  add("ports", po::value(&ports), "ports of all members, in order: 7001,7002,7003");
  add("pki", po::value(&s.pki_dir), "directory with certificates; without it no TLS");
  add("make-pki", po::value(&make), "make that directory and end");
  add("retention", po::value(&s.retention_s)->default_value(300), "seconds that old versions are kept");
  try {
    po::variables_map given;
    po::store(po::parse_command_line(argc, argv, o), given);
    po::notify(given);
    if (given.count("help")) {
      std::cout << o;
      return 0;
    }
    if (!make.empty()) return make_pki(make);
    for (std::size_t at = 0; at < ports.size();) {
      const auto end = std::min(ports.find(',', at), ports.size());
      s.ports.push_back(static_cast<std::uint16_t>(std::stoul(ports.substr(at, end - at))));
      at = end + 1;
    }
    s.tls = !s.pki_dir.empty();
    if (s.data_dir.empty() || s.member < 1 || s.member > s.ports.size())
      throw std::runtime_error("--data-dir and --ports with a port for every member are needed");
    return serve(s);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "store_server: %s\n", e.what());
    std::fflush(nullptr);
    std::_Exit(1);
  }
}

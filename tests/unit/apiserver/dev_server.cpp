// dev_server: the api server over a real store and nothing else, for trying kubectl and load by hand.
// Use: dev_server DIR PORT; writes DIR/admin.kubeconfig, serves until a line (or the end) of standard input.
#include "actors/apiserver/apiserver.hpp"
#include "actors/raft/raft_actor.hpp"
#include "actors/support/scheduling.hpp"

#include <caf/actor_system.hpp>
#include <caf/actor_system_config.hpp>
#include <caf/exit_reason.hpp>
#include <caf/scoped_actor.hpp>
#include <caf/send.hpp>

#include <csignal>
#include <cstdlib>
#include <iostream>
#include <unistd.h>

int main(int argc, char** argv) {
  using namespace troupe;
  if (argc < 3) return 2;
  const std::string dir = argv[1];
  caf::actor_system_config config;
  configure_scheduler(config, 2);
  caf::actor_system system(config);
  tls::pki_options po;
  po.dir = dir + "/pki";
  po.node_name = "dev";
  po.addresses = {"10.96.0.1"};
  auto pki = tls::open_pki(po);
  if (!pki) return std::cerr << pki.error().message << "\n", 1;
  raft_options ro;
  ro.data_dir = dir + "/store";
  ro.cluster_id = "dev";
  auto raft = spawn_raft(system, ro);
  if (!raft) return std::cerr << raft.error().message << "\n", 1;
  api_options o;
  o.port = static_cast<std::uint16_t>(std::atoi(argv[2]));
  o.listen_address = "127.0.0.1";
  o.pki = *pki;
  o.raft = raft->raft;
  o.state = raft->state;
  o.hub = raft->hub;
  o.nodes = std::make_shared<node_directory>();
  auto api = spawn_apiserver(system, o);
  o = {};
  if (!api) return std::cerr << api.error().message << "\n", 1;
  const auto url = "https://127.0.0.1:" + std::to_string(api->port);
  (void)tls::write_private_file(dir + "/admin.kubeconfig", tls::kubeconfig(url, (*pki)->ca_pem, (*pki)->admin));
  std::cout << url << std::endl;
  char c = 0;
  while (::read(0, &c, 1) > 0 && c != '\n') {
  }
  api->server->stop();
  {
    caf::scoped_actor self{system};
    self->request(raft->raft, std::chrono::seconds(10), flush_and_stop::value).receive([](bool) {}, [](caf::error&) {});
  }
  caf::anon_send_exit(raft->raft, caf::exit_reason::user_shutdown);
  api = errors::internal("stopped");
  raft = errors::internal("stopped");
}

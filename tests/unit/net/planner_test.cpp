#include "net/pod/address_pool.hpp"
#include "net/pod/lease_journal.hpp"
#include "net/pod/pod_rules.hpp"
#include "net/service/iptables_planner.hpp"
#include "net/service/nft_planner.hpp"
#include "net/service/service_text.hpp"
#include "net/service/stale_flows.hpp"

#include <algorithm>
#include <doctest/doctest.h>
#include <fstream>
#include <random>
#include <sstream>
#include <unistd.h>

using namespace troupe::net;

namespace {

const proxy_config config{"ab12cd", "10.244.0.0/16", "10.96.0.0/12"};

service_port web() {
  service_port s;
  s.ns = "demo";
  s.name = "web";
  s.port_name = "http";
  s.protocol = "tcp";
  s.cluster_ip = "10.96.0.7";
  s.port = 80;
  s.endpoints = {{"10.244.0.2", 8080, true}, {"10.244.0.3", 8080, false}};
  return s;
}

std::string all_of(const iptables_rules& r) {
  std::string out;
  for (const auto& [table, chains] : r.tables)
    for (const auto& [name, chain] : chains)
      for (const auto& rule : chain.rules)
        out += table + ' ' + name + ' ' + rule + '\n';
  return out;
}

std::string all_of(const nft_rules& r) {
  std::string out;
  for (const auto& [name, chain] : r.chains)
    for (const auto& rule : chain.rules)
      out += name + ": " + rule + '\n';
  for (const auto& [name, set] : r.sets)
    for (const auto& [key, value] : set.elements)
      out += name + ": " + key + " => " + value + '\n';
  return out;
}

std::size_t lines_with(const std::string& text, const std::string& words) {
  std::size_t n = 0;
  for (auto at = text.find(words); at != text.npos; at = text.find(words, at + 1))
    ++n;
  return n;
}

/// What iptables-save would print after the restore text was loaded into an empty table.
std::string saved_after(const iptables_rules& rules, const std::string& table) {
  std::string out = '*' + table + "\n:PREROUTING ACCEPT [0:0]\n";
  auto at = rules.tables.find(table);
  for (const auto& [name, chain] : at->second)
    out += ':' + name + " - [0:0]\n";
  auto jumps = rules.jumps.find(table);
  for (const auto& [hook, rule] : jumps->second)
    out += "-A " + hook + ' ' + rule + '\n';
  for (const auto& [name, chain] : at->second)
    for (const auto& rule : chain.rules)
      out += "-A " + name + ' ' + rule + '\n';
  return out + "COMMIT\n";
}

} // namespace

TEST_CASE("iptables: a cluster IP leads through balancing to each endpoint") {
  auto text = all_of(plan_iptables({web()}, config));
  CHECK(lines_with(text, "-d 10.96.0.7/32 -p tcp -m tcp --dport 80") == 2); // entry, and masquerade of outsiders
  CHECK(lines_with(text, "--probability 0.5000000000") == 1);
  CHECK(lines_with(text, "-j DNAT --to-destination 10.244.0.2:8080") == 1);
  CHECK(lines_with(text, "-j DNAT --to-destination 10.244.0.3:8080") == 1);
  CHECK(lines_with(text, "filter ") == 0);
}

TEST_CASE("iptables: chain names fit the kernel, whatever the cluster is called") {
  for (std::string id : {"", "x", "ab12cd34", "a-much-longer-name-than-fits", "\xc3\xa4\xc3\xb6"}) {
    auto s = web();
    s.node_port = 30080;
    auto plan = plan_iptables({s}, {id, "10.244.0.0/16", ""});
    for (const auto& [table, chains] : plan.tables)
      for (const auto& [name, chain] : chains) {
        CHECK(name.size() <= 28);
        CHECK(is_service_chain(name, iptables_prefix({id, "", ""})));
      }
  }
  CHECK(iptables_prefix(config) == "TROUPE-AB12CD-");
  CHECK(!is_service_chain("TROUPE-AB12CD-FWD", "TROUPE-AB12CD-")); // the pod network's
}

TEST_CASE("both modes: no endpoints is a refusal, none on this node under policy Local a drop") {
  auto s = web();
  s.node_port = 30080;
  s.endpoints.clear();
  CHECK(lines_with(all_of(plan_iptables({s}, config)), "-j REJECT --reject-with tcp-reset") == 2);
  CHECK(lines_with(all_of(plan_nft({s}, config)), "=> goto do-reject") == 2);
  s = web();
  s.node_port = 30080;
  s.external_local = s.internal_local = true;
  s.endpoints = {{"10.244.1.3", 8080, false}};
  CHECK(lines_with(all_of(plan_iptables({s}, config)), "-j DROP") == 2);
  CHECK(lines_with(all_of(plan_nft({s}, config)), "=> drop") == 2);
}

TEST_CASE("both modes: equal states need nothing, a new plan of equal input is equal") {
  auto s = web();
  s.affinity_seconds = 60;
  s.node_port = 30080;
  auto a = plan_iptables({s}, config), b = plan_iptables({s}, config);
  CHECK(diff_iptables(a, b).empty());
  CHECK(diff_nft(plan_nft({s}, config), plan_nft({s}, config)).empty());
}

TEST_CASE("iptables: a change names only the chains of its Service") {
  auto other = web();
  other.name = "other";
  other.cluster_ip = "10.96.0.8";
  auto changed = other;
  changed.endpoints.pop_back();
  auto text = diff_iptables(plan_iptables({web(), other}, config), plan_iptables({web(), changed}, config));
  CHECK(text.find("10.96.0.7") == text.npos);
  CHECK(text.find("demo/web") == text.npos);
  CHECK(lines_with(text, "-X ") == 1); // the endpoint's chain
  CHECK(text.find("SERVICES") == text.npos);
  auto gone = diff_iptables(plan_iptables({web(), other}, config), plan_iptables({web()}, config));
  CHECK(lines_with(gone, "-D TROUPE-AB12CD-SERVICES") == 1);
  CHECK(gone.find(":TROUPE-AB12CD-SERVICES") == gone.npos); // not rewritten
  CHECK(lines_with(gone, "-X ") == 3);
}

TEST_CASE("iptables: a new process that reads back what it wants does nothing; foreign changes are undone") {
  auto s = web();
  s.node_port = 30080;
  auto none = web();
  none.name = "none";
  none.cluster_ip = "10.96.0.9";
  none.endpoints.clear();
  auto plan = plan_iptables({s, none}, config);
  auto read = [&](const std::string& nat) {
    auto k = read_iptables("nat", nat, iptables_prefix(config));
    auto f = read_iptables("filter", saved_after(plan, "filter"), iptables_prefix(config));
    k.tables.merge(f.tables);
    k.jumps.merge(f.jumps);
    return k;
  };
  auto nat = saved_after(plan, "nat");
  CHECK(reconcile_iptables(read(nat), plan).empty());
  auto cut = nat;
  auto line = cut.find("-A TROUPE-AB12CD-SERVICES");
  cut.erase(line, cut.find('\n', line) - line + 1);
  auto repair = reconcile_iptables(read(cut), plan);
  CHECK(lines_with(repair, "-A TROUPE-AB12CD-SERVICES") == 1);
  CHECK(lines_with(repair, "\n-") == 1);
  auto stranger = nat + "-A TROUPE-AB12CD-SVC-STRANGER -j ACCEPT\n-A PREROUTING -j OTHER\n";
  auto clean = reconcile_iptables(read(stranger), plan);
  CHECK(clean.find("-X TROUPE-AB12CD-SVC-STRANGER") != clean.npos);
  CHECK(clean.find("OTHER") == clean.npos);
  auto without_jump = nat;
  auto jump = without_jump.find("-A OUTPUT -j TROUPE");
  without_jump.erase(jump, without_jump.find('\n', jump) - jump + 1);
  CHECK(lines_with(reconcile_iptables(read(without_jump), plan), "-I OUTPUT") == 1);
}

TEST_CASE("iptables: removal takes our chains and jumps and nothing else") {
  auto plan = plan_iptables({web()}, config);
  auto saved = saved_after(plan, "nat") + "-A PREROUTING -j DOCKER\n-A DOCKER -j RETURN\n";
  auto text = removal_iptables("nat", saved, config);
  CHECK(lines_with(text, "-X ") == plan.tables["nat"].size());
  CHECK(lines_with(text, "-D ") == plan.jumps["nat"].size());
  CHECK(text.find("DOCKER") == text.npos);
  CHECK(removal_iptables("nat", "*nat\n-A PREROUTING -j DOCKER\nCOMMIT\n", config).empty());
}

TEST_CASE("nftables: one change touches its chain and elements only") {
  auto other = web();
  other.name = "other";
  other.cluster_ip = "10.96.0.8";
  auto changed = other;
  changed.endpoints.pop_back();
  auto text = diff_nft(plan_nft({web(), other}, config), plan_nft({web(), changed}, config));
  CHECK(lines_with(text, "flush chain") == 1);
  CHECK(lines_with(text, "element") == 0); // the other endpoint still serves web
  CHECK(lines_with(text, "add rule") == 2);
  auto gone = diff_nft(plan_nft({web(), other}, config), plan_nft({web()}, config));
  CHECK(lines_with(gone, "delete element") == 1);
  CHECK(lines_with(gone, "delete chain") == 1);
  CHECK(gone.find("delete element") < gone.find("delete chain"));
}

TEST_CASE("nftables: affinity makes a chain and a set per endpoint, and a new time-out makes new ones") {
  auto s = web();
  s.affinity_seconds = 60;
  auto a = plan_nft({s}, config);
  CHECK(std::count_if(a.sets.begin(), a.sets.end(), [](const auto& x) { return x.second.learned; }) == 2);
  s.affinity_seconds = 61;
  auto text = diff_nft(a, plan_nft({s}, config));
  CHECK(lines_with(text, "delete set") == 2);
  CHECK(lines_with(text, "\nset aff-") == 2);
}

TEST_CASE("input that no rule can express is left out and words of users do no harm") {
  auto bad = web();
  bad.ns = "a\" ; flush ruleset \n";
  bad.endpoints.push_back({"10.244.0.4; drop", 80, false});
  bad.endpoints.push_back({"10.244.0.2", 8080, false}); // twice
  bad.external_ips = {"::1", "$x", "192.0.2.5"};
  auto nft = all_of(plan_nft({bad}, config)), ipt = all_of(plan_iptables({bad}, config));
  for (const auto& text : {nft, ipt}) {
    CHECK(text.find("drop") == text.npos);
    CHECK(text.find("$x") == text.npos);
    CHECK(text.find("::1") == text.npos);
    CHECK(text.find("\" ; flush") == text.npos);
  }
  auto icmp = web();
  icmp.protocol = "icmp";
  CHECK(usable({icmp}).empty());
  auto twin = web();
  twin.name = "twin"; // same address and port
  twin.node_port = 30080;
  for (const auto& kept : {usable({twin, web()}), usable({web(), twin})}) { // whatever the order of input
    REQUIRE(kept.size() == 1);
    CHECK(kept[0].name == "twin"); // the first by name holds the address; web has nothing left
  }
}

TEST_CASE("both modes: from any state to any other, the difference ends in the wanted state") {
  // The iptables text is played on a model of the tables; nftables is played in the namespace tests.
  std::mt19937 random{3};
  auto some = [&] {
    std::vector<service_port> out;
    for (int i = 0; i < 6; ++i) {
      if (random() % 3 == 0) continue;
      auto s = web();
      s.name = "s" + std::to_string(i);
      s.cluster_ip = "10.96.0." + std::to_string(10 + i);
      s.node_port = random() % 2 ? static_cast<std::uint16_t>(30000 + i) : 0;
      s.affinity_seconds = random() % 3 ? 0 : 60;
      s.external_local = random() % 2;
      s.internal_local = random() % 4 == 0;
      s.endpoints.clear();
      for (unsigned e = 0, n = random() % 4; e < n; ++e)
        s.endpoints.push_back({"10.244.0." + std::to_string(random() % 9 + 2), 80, random() % 2 == 0});
      out.push_back(s);
    }
    return out;
  };
  using model = std::map<std::string, std::map<std::string, std::vector<std::string>>>;
  auto play = [](model& m, const std::string& text) {
    std::string table;
    std::istringstream lines{text};
    for (std::string line; std::getline(lines, line);) {
      if (line[0] == '*')
        table = line.substr(1);
      else if (line[0] == ':')
        m[table][line.substr(1, line.find(' ') - 1)].clear();
      else if (line.starts_with("-X "))
        m[table].erase(line.substr(3));
      else if (line.starts_with("-A ") || line.starts_with("-D ")) {
        auto space = line.find(' ', 3);
        auto& chain = m[table][line.substr(3, space - 3)];
        auto rule = line.substr(space + 1);
        if (line[1] == 'A')
          chain.push_back(rule);
        else {
          auto at = std::find(chain.begin(), chain.end(), rule);
          REQUIRE(at != chain.end());
          chain.erase(at);
        }
      }
    }
  };
  model m;
  iptables_rules held;
  for (int round = 0; round < 200; ++round) {
    auto wanted = plan_iptables(some(), config);
    play(m, diff_iptables(held, wanted));
    for (const auto& [table, chains] : wanted.tables) {
      CHECK(m[table].size() == chains.size());
      for (const auto& [name, chain] : chains) {
        auto have = m[table][name], want = chain.rules;
        if (!chain.ordered) {
          std::sort(have.begin(), have.end());
          std::sort(want.begin(), want.end());
        }
        CHECK(have == want);
      }
    }
    held = wanted;
  }
}

TEST_CASE("stale flows: endpoints that left, first endpoints that came, and everything else after a restart") {
  auto s = web();
  s.protocol = "udp";
  s.node_port = 30080;
  auto fewer = s;
  fewer.endpoints.pop_back();
  CHECK(stale_flows_between({s}, {fewer}, false).size() == 2); // cluster IP and node port
  CHECK(stale_flows_between({s}, {}, false).size() == 4);
  CHECK(stale_flows_between({fewer}, {s}, false).empty());
  auto none = s;
  none.endpoints.clear();
  CHECK(stale_flows_between({none}, {s}, false).size() == 2);
  auto fresh = stale_flows_between({}, {s}, true);
  REQUIRE(fresh.size() == 2);
  CHECK(fresh[0].unless.size() == 2);
  s.protocol = fewer.protocol = "tcp";
  CHECK(stale_flows_between({s}, {fewer}, false).empty());
}

TEST_CASE("address pool: a freed address is used last, and none is given twice") {
  address_pool pool{*parse_prefix("10.0.0.0/29")};
  CHECK(to_text(pool.gateway()) == "10.0.0.1");
  CHECK(pool.capacity() == 5);
  CHECK(to_text(*pool.take("a")) == "10.0.0.2");
  CHECK(to_text(*pool.take("b")) == "10.0.0.3");
  CHECK(*pool.take("a") == *pool.find("a"));
  CHECK(pool.release("a"));
  CHECK(to_text(*pool.take("c")) == "10.0.0.4");
  CHECK(to_text(*pool.take("d")) == "10.0.0.5");
  CHECK(to_text(*pool.take("e")) == "10.0.0.6");
  CHECK(to_text(*pool.take("f")) == "10.0.0.2");
  CHECK(!pool.take("g"));
  CHECK(!pool.restore("g", *parse_ipv4("10.0.0.3")));
  CHECK(!pool.restore("g", *parse_ipv4("10.0.0.7")));
  CHECK(!pool.restore("g", *parse_ipv4("10.0.0.1")));
  CHECK(!pool.release("g"));
}

TEST_CASE("lease journal: what was taken is there again, and the file stays small") {
  auto path = "/tmp/troupe-journal-" + std::to_string(::getpid());
  auto range = *parse_prefix("10.0.0.0/24");
  {
    address_pool pool{range};
    lease_journal j{path};
    REQUIRE(j.load(pool).has_value());
    for (int i = 0; i < 3000; ++i) {
      auto owner = "pod-" + std::to_string(i);
      REQUIRE(j.taken(owner, *pool.take(owner), pool).has_value());
      if (i < 2990) {
        pool.release(owner);
        REQUIRE(j.released(owner, pool).has_value());
      }
    }
  }
  std::ifstream in{path};
  std::size_t lines = 0;
  for (std::string line; std::getline(in, line);)
    ++lines;
  CHECK(lines < 1200);
  address_pool pool{range};
  lease_journal j{path};
  REQUIRE(j.load(pool).has_value());
  CHECK(pool.held() == 10);
  CHECK(pool.find("pod-2999").has_value());
  j.remove();
  CHECK(::access(path.c_str(), F_OK) != 0);
  lease_journal nowhere{"/proc/troupe/none"};
  CHECK(nowhere.load(pool).has_error());
}

TEST_CASE("addresses are read strictly") {
  for (const char* bad :
       {"", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.4 ", "01.2.3.4", "a.b.c.d", "1..2.3", "1.2.3.-4"})
    CHECK(!parse_ipv4(bad));
  CHECK(to_text(*parse_ipv4("192.0.2.255")) == "192.0.2.255");
  for (const char* bad : {"10.0.0.0", "10.0.0.0/", "10.0.0.0/33", "10.0.0.0/-1", "10.0.0.0/8x", "/8"})
    CHECK(!parse_prefix(bad));
  CHECK(to_text(*parse_prefix("10.1.2.3/8")) == "10.0.0.0/8");
  CHECK(parse_prefix("0.0.0.0/0")->contains(*parse_ipv4("8.8.8.8")));
}

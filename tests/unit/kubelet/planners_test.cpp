#include "actors/kubelet/spec/base64.hpp"
#include "actors/kubelet/spec/dns_planner.hpp"
#include "actors/kubelet/spec/env_planner.hpp"
#include "actors/kubelet/spec/resource_planner.hpp"
#include "actors/kubelet/volume/volume_planner.hpp"
#include "api/meta/object_meta.hpp"

#include <doctest/doctest.h>

#include <map>

using namespace troupe;
using namespace troupe::kubelet;

namespace {

struct world {
  std::map<std::string, json::value> objects; // table/ns/name
  void put(const std::string& table, const char* text) {
    auto v = json::parse(text);
    auto key = table + "/" + std::string{meta::ns(v)} + "/" + std::string{meta::name(v)};
    objects[key] = std::move(v);
  }
  cluster_reader reader() const {
    cluster_reader r;
    r.get = [this](std::string_view t, std::string_view ns, std::string_view n) -> std::shared_ptr<const json::value> {
      auto it = objects.find(std::string{t} + "/" + std::string{ns} + "/" + std::string{n});
      return it == objects.end() ? nullptr : std::make_shared<const json::value>(it->second);
    };
    r.list = [this](std::string_view t, std::string_view ns, const std::function<void(const json::value&)>& fn) {
      auto prefix = std::string{t} + "/" + std::string{ns} + "/";
      for (const auto& [k, v] : objects)
        if (k.starts_with(prefix)) fn(v);
    };
    return r;
  }
};

const pod_facts facts{"10.244.0.7", "192.168.1.2", "n1", 4000, std::int64_t{8} << 30};

json::value pod_with(const std::string& container, const std::string& spec = "") {
  return json::parse(R"({"metadata":{"name":"web","namespace":"shop","uid":"u1","labels":{"app":"x","b":"y"},
    "annotations":{"note":"a\"b"}},"spec":{)" +
                     spec + R"("containers":[)" + container + "]}}");
}

env_list env_of(const world& w, const std::string& container,
                const std::string& spec = R"("enableServiceLinks":false,)") {
  auto pod = pod_with(container, spec);
  auto r = plan_env(pod, jq::arr(pod, {"spec", "containers"})[0], facts, w.reader());
  REQUIRE(r.has_value());
  return *r;
}

std::string value_in(const env_list& e, std::string_view name) {
  for (const auto& [k, v] : e)
    if (k == name) return v;
  return "<absent>";
}

} // namespace

TEST_CASE("expansion replaces known names, keeps unknown ones and honours the escape") {
  std::map<std::string, std::string, std::less<>> vars{{"A", "1"}, {"B", "$(A)"}, {"E", ""}};
  auto value = [&](std::string_view n) -> const std::string* {
    auto it = vars.find(n);
    return it == vars.end() ? nullptr : &it->second;
  };
  struct row {
    std::string_view in, out;
  };
  for (const auto& r : {row{"$(A)", "1"}, row{"x$(A)y$(A)", "x1y1"}, row{"$(B)", "$(A)"}, row{"$(NO)", "$(NO)"},
                        row{"$$(A)", "$(A)"}, row{"$$$(A)", "$1"}, row{"$(A", "$(A"}, row{"$A", "$A"}, row{"$", "$"},
                        row{"$$", "$"}, row{"$(E)", ""}, row{"$()", "$()"}, row{"a$", "a$"}}) {
    CAPTURE(r.in);
    CHECK(expand(r.in, value) == r.out);
  }
}

TEST_CASE("env reads fields, resources, ConfigMaps and Secrets") {
  world w;
  w.put("configmaps", R"({"metadata":{"name":"c","namespace":"shop"},"data":{"k":"v","odd key":"n"}})");
  w.put("secrets", R"({"metadata":{"name":"s","namespace":"shop"},"data":{"p":"aHVudGVyMg=="}})");
  auto e = env_of(w, R"j({"name":"a","resources":{"limits":{"cpu":"1500m","memory":"64Mi"}},
    "envFrom":[{"prefix":"C_","configMapRef":{"name":"c"}},{"secretRef":{"name":"s"}},{"configMapRef":{"name":"no","optional":true}}],
    "env":[{"name":"L","value":"$(C_k)-$(LATER)"},{"name":"LATER","value":"x"},{"name":"EMPTY"},
     {"name":"IP","valueFrom":{"fieldRef":{"fieldPath":"status.podIP"}}},
     {"name":"NODE","valueFrom":{"fieldRef":{"fieldPath":"spec.nodeName"}}},
     {"name":"APP","valueFrom":{"fieldRef":{"fieldPath":"metadata.labels['app']"}}},
     {"name":"CPU","valueFrom":{"resourceFieldRef":{"resource":"limits.cpu"}}},
     {"name":"MEM","valueFrom":{"resourceFieldRef":{"resource":"limits.memory","divisor":"1Mi"}}},
     {"name":"REQ","valueFrom":{"resourceFieldRef":{"resource":"requests.cpu"}}},
     {"name":"PW","valueFrom":{"secretKeyRef":{"name":"s","key":"p"}}},
     {"name":"CM","valueFrom":{"configMapKeyRef":{"name":"c","key":"k"}}},
     {"name":"OPT","valueFrom":{"configMapKeyRef":{"name":"c","key":"none","optional":true}}}]})j");
  CHECK(value_in(e, "C_k") == "v");
  CHECK(value_in(e, "C_odd key") == "n"); // level 1.32 accepts any printable name
  CHECK(value_in(e, "p") == "hunter2");
  CHECK(value_in(e, "L") == "v-$(LATER)");
  CHECK(value_in(e, "EMPTY").empty());
  CHECK(value_in(e, "IP") == "10.244.0.7");
  CHECK(value_in(e, "NODE") == "n1");
  CHECK(value_in(e, "APP") == "x");
  CHECK(value_in(e, "CPU") == "2");
  CHECK(value_in(e, "MEM") == "64");
  CHECK(value_in(e, "REQ") == "0");
  CHECK(value_in(e, "PW") == "hunter2");
  CHECK(value_in(e, "CM") == "v");
  CHECK(value_in(e, "OPT") == "<absent>");
}

TEST_CASE("what env refers to in vain is named") {
  world w;
  w.put("configmaps", R"({"metadata":{"name":"c","namespace":"shop"},"data":{}})");
  auto message = [&](const std::string& env) {
    auto pod = pod_with(R"({"name":"a",)" + env + "}");
    auto r = plan_env(pod, jq::arr(pod, {"spec", "containers"})[0], facts, w.reader());
    return r ? std::string{"ok"} : r.error().message;
  };
  CHECK(message(R"("env":[{"name":"X","valueFrom":{"configMapKeyRef":{"name":"no","key":"k"}}}])") ==
        "configmap \"no\" not found");
  CHECK(message(R"("env":[{"name":"X","valueFrom":{"secretKeyRef":{"name":"no","key":"k"}}}])") ==
        "secret \"no\" not found");
  CHECK(message(R"("env":[{"name":"X","valueFrom":{"configMapKeyRef":{"name":"c","key":"k"}}}])") ==
        "couldn't find key k in ConfigMap shop/c");
  CHECK(message(R"("envFrom":[{"secretRef":{"name":"no"}}])") == "secret \"no\" not found");
}

TEST_CASE("services appear as variables, those of the pod's namespace and kubernetes itself") {
  world w;
  w.put("services", R"({"metadata":{"name":"kubernetes","namespace":"default"},"spec":{"clusterIP":"10.96.0.1",
    "ports":[{"name":"https","port":443}]}})");
  w.put("services", R"({"metadata":{"name":"my-db","namespace":"shop"},"spec":{"clusterIP":"10.96.0.9",
    "ports":[{"name":"sql","port":5432,"protocol":"TCP"},{"name":"x","port":9,"protocol":"UDP"}]}})");
  w.put("services",
        R"({"metadata":{"name":"headless","namespace":"shop"},"spec":{"clusterIP":"None","ports":[{"port":1}]}})");
  auto e = env_of(w, R"({"name":"a"})", "");
  CHECK(value_in(e, "KUBERNETES_SERVICE_HOST") == "10.96.0.1");
  CHECK(value_in(e, "KUBERNETES_SERVICE_PORT") == "443");
  CHECK(value_in(e, "KUBERNETES_SERVICE_PORT_HTTPS") == "443");
  CHECK(value_in(e, "MY_DB_SERVICE_HOST") == "10.96.0.9");
  CHECK(value_in(e, "MY_DB_PORT") == "tcp://10.96.0.9:5432");
  CHECK(value_in(e, "MY_DB_PORT_9_UDP_PROTO") == "udp");
  CHECK(value_in(e, "HEADLESS_SERVICE_HOST") == "<absent>");
  auto without = env_of(w, R"({"name":"a"})");
  CHECK(value_in(without, "MY_DB_SERVICE_HOST") == "<absent>");
  CHECK(value_in(without, "KUBERNETES_SERVICE_HOST") == "10.96.0.1");
}

TEST_CASE("command and args stand against entrypoint and cmd as the API says") {
  using v = std::vector<std::string>;
  v entry{"/e"}, cmd{"c"};
  CHECK(merge_command({{}, {}}, entry, cmd) == v{"/e", "c"});
  CHECK(merge_command({{"/x"}, {}}, entry, cmd) == v{"/x"});
  CHECK(merge_command({{}, {"a"}}, entry, cmd) == v{"/e", "a"});
  CHECK(merge_command({{"/x"}, {"a"}}, entry, cmd) == v{"/x", "a"});
  auto c = json::parse(R"j({"command":["sh","-c","echo $(X) $$(X)"],"args":["$(NO)"]})j");
  auto line = plan_command(c, {{"X", "1"}});
  CHECK(line.command == v{"sh", "-c", "echo 1 $(X)"});
  CHECK(line.args == v{"$(NO)"});
}

TEST_CASE("resolv.conf follows the DNS policy") {
  dns_setup s{"10.96.0.10", "cluster.local",
              "# host\nsearch corp.example lab\nnameserver 1.1.1.1\noptions timeout:2\n"};
  auto conf = [&](const std::string& spec) { return plan_resolv_conf(pod_with(R"({"name":"a"})", spec), s); };
  CHECK(conf("") == "search shop.svc.cluster.local svc.cluster.local cluster.local corp.example lab\n"
                    "nameserver 10.96.0.10\noptions ndots:5\n");
  std::string host = "search corp.example lab\nnameserver 1.1.1.1\noptions timeout:2\n";
  CHECK(conf(R"("dnsPolicy":"Default",)") == host);
  CHECK(conf(R"("hostNetwork":true,)") == host);
  CHECK(conf(R"("hostNetwork":true,"dnsPolicy":"ClusterFirstWithHostNet",)").find("10.96.0.10") != std::string::npos);
  CHECK(
      conf(
          R"("dnsPolicy":"None","dnsConfig":{"nameservers":["9.9.9.9"],"searches":["a.b"],"options":[{"name":"ndots","value":"2"},{"name":"edns0"}]},)") ==
      "search a.b\nnameserver 9.9.9.9\noptions ndots:2 edns0\n");
  CHECK(conf(R"("dnsConfig":{"options":[{"name":"ndots","value":"1"}]},)").find("options ndots:1\n") !=
        std::string::npos);
  s.cluster_dns.clear();
  CHECK(conf("") == host);
}

TEST_CASE("hostname and hosts file know subdomain, aliases and the host's network") {
  auto pod =
      pod_with(R"({"name":"a"})", R"("subdomain":"sub","hostAliases":[{"ip":"1.2.3.4","hostnames":["x","y"]}],)");
  CHECK(plan_hostname(pod, "cluster.local", "n1") == "web");
  auto hosts = plan_hosts(pod, "10.244.0.7", "cluster.local", "");
  CHECK(hosts.find("10.244.0.7\tweb.sub.shop.svc.cluster.local\tweb\n") != std::string::npos);
  CHECK(hosts.find("1.2.3.4\tx\ty\n") != std::string::npos);
  auto on_host = pod_with(R"({"name":"a"})", R"("hostNetwork":true,)");
  CHECK(plan_hostname(on_host, "cluster.local", "n1") == "n1");
  CHECK(plan_hosts(on_host, "1.1.1.1", "cluster.local", "127.0.0.1 me\n").find("127.0.0.1 me\n") != std::string::npos);
}

TEST_CASE("requests and limits become shares, quota, bytes and scores") {
  auto c = [](const char* r) { return json::parse(std::string{R"({"name":"a","resources":)"} + r + "}"); };
  auto l =
      plan_container_limits(c(R"({"requests":{"cpu":"250m","memory":"1Gi"},"limits":{"cpu":"500m","memory":"2Gi"}})"),
                            "Burstable", std::int64_t{8} << 30);
  CHECK(l.cpu_shares == 256);
  CHECK(l.cpu_quota_us == 50000);
  CHECK(l.memory_bytes_max == std::int64_t{2} << 30);
  CHECK(l.oom_score_adj == 875);
  auto none = plan_container_limits(c("{}"), "BestEffort", 1);
  CHECK(none.cpu_shares == 2);
  CHECK(none.cpu_quota_us == 0);
  CHECK(none.oom_score_adj == 1000);
  CHECK(plan_container_limits(c("{}"), "Guaranteed", 1).oom_score_adj == -997);
  CHECK(milli_cpu_to_quota_us(1) == 1000);
}

TEST_CASE("security contexts merge, and runAsNonRoot is checked") {
  auto sec = [](const std::string& c, const std::string& spec, std::string_view image_user) {
    auto pod = pod_with(R"({"name":"a","securityContext":)" + c + "}", spec);
    return plan_security(pod, jq::arr(pod, {"spec", "containers"})[0], image_user);
  };
  auto r = sec(
      R"({"runAsUser":7,"capabilities":{"add":["NET_ADMIN"],"drop":["ALL"]},"allowPrivilegeEscalation":false,"readOnlyRootFilesystem":true})",
      R"("securityContext":{"runAsUser":5,"runAsGroup":6,"supplementalGroups":[9],"fsGroup":10},)", "");
  REQUIRE(r.has_value());
  CHECK(r->uid == std::optional<std::int64_t>{7});
  CHECK(r->gid == std::optional<std::int64_t>{6});
  CHECK(r->supplemental_groups == std::vector<std::int64_t>{9, 10});
  CHECK(r->add_capabilities == std::vector<std::string>{"NET_ADMIN"});
  CHECK(r->no_new_privileges);
  CHECK(r->read_only_rootfs);
  CHECK_FALSE(sec(R"({"runAsNonRoot":true})", "", "").has_value());
  CHECK_FALSE(sec(R"({"runAsNonRoot":true})", "", "www").has_value());
  CHECK_FALSE(sec(R"({"runAsNonRoot":true,"runAsUser":0})", "", "5").has_value());
  CHECK(sec(R"({"runAsNonRoot":true})", "", "5:5").has_value());
}

TEST_CASE("volumes are planned with keys, modes, options and refusals") {
  world w;
  w.put("configmaps", R"({"metadata":{"name":"c","namespace":"shop"},"data":{"k":"v"},"binaryData":{"b":"aGk="}})");
  auto pod = pod_with(R"({"name":"a"})");
  auto plan = [&](const std::string& v) {
    return plan_volume(pod, json::parse(v), facts, w.reader(), {{"v/token", "t"}});
  };
  auto all = plan(R"({"name":"v","configMap":{"name":"c","defaultMode":256}})");
  REQUIRE(all.has_value());
  CHECK(all->files.at("k").bytes == "v");
  CHECK(all->files.at("b").bytes == "hi");
  CHECK(all->files.at("k").mode == 0400);
  auto some = plan(R"({"name":"v","configMap":{"name":"c","items":[{"key":"k","path":"d/e","mode":292}]}})");
  REQUIRE(some.has_value());
  CHECK(some->files.size() == 1);
  CHECK(some->files.at("d/e").mode == 0444);
  CHECK(plan(R"({"name":"v","configMap":{"name":"no"}})").error().message == "configmap \"no\" not found");
  CHECK(plan(R"({"name":"v","configMap":{"name":"no","optional":true}})").has_value());
  CHECK(plan(R"({"name":"v","configMap":{"name":"c","items":[{"key":"x","path":"x"}]}})").error().message ==
        "configmap references non-existent config key: x");
  auto projected = plan(R"({"name":"v","projected":{"sources":[{"serviceAccountToken":{"path":"token"}},
    {"configMap":{"name":"c"}},{"downwardAPI":{"items":[{"path":"ns","fieldRef":{"fieldPath":"metadata.namespace"}},
    {"path":"labels","fieldRef":{"fieldPath":"metadata.labels"}}]}}]}})");
  REQUIRE(projected.has_value());
  CHECK(projected->files.at("token").bytes == "t");
  CHECK(projected->files.at("ns").bytes == "shop");
  CHECK(projected->files.at("labels").bytes == "app=\"x\"\nb=\"y\"");
  auto memory = plan(R"({"name":"v","emptyDir":{"medium":"Memory","sizeLimit":"1Mi"}})");
  CHECK(memory->memory);
  CHECK(memory->bytes_max == 1 << 20);
  CHECK(plan(R"({"name":"v","nfs":{"server":"x","path":"/"}})")->why.find("volume kind nfs is not supported") == 0);
}

TEST_CASE("mounts expand subPathExpr and refuse to leave the volume") {
  auto mounts = [](const char* text) { return plan_mounts(json::parse(text), {{"POD", "web"}}); };
  auto m = mounts(R"j({"volumeMounts":[{"name":"v","mountPath":"/d","subPathExpr":"logs/$(POD)","readOnly":true}]})j");
  REQUIRE(m.has_value());
  CHECK(m->front().sub_path == "logs/web");
  CHECK(m->front().read_only);
  CHECK_FALSE(mounts(R"({"volumeMounts":[{"name":"v","mountPath":"/d","subPath":"../x"}]})").has_value());
  CHECK_FALSE(mounts(R"({"volumeMounts":[{"name":"v","mountPath":"/d","subPath":"/etc"}]})").has_value());
}

TEST_CASE("references of volumes and tokens are found") {
  auto pod = pod_with(R"({"name":"a"})",
                      R"("volumes":[{"name":"x","configMap":{"name":"c"}},{"name":"y","secret":{"secretName":"s"}},
    {"name":"z","projected":{"sources":[{"serviceAccountToken":{"path":"token","expirationSeconds":3607,"audience":"me"}},
    {"configMap":{"name":"root"}}]}}],)");
  auto r = volume_sources(pod);
  CHECK(r.config_maps == std::vector<std::string>{"c", "root"});
  CHECK(r.secrets == std::vector<std::string>{"s"});
  auto t = token_wishes(pod);
  REQUIRE(t.size() == 1);
  CHECK(t[0].key() == "z/token");
  CHECK(t[0].expiration_s == 3607);
  CHECK(t[0].audience == "me");
}

TEST_CASE("base64 survives a round trip") {
  std::string bytes{"\0\x01\xff\n hello", 9};
  CHECK(decode_base64(encode_base64(bytes)) == bytes);
}

"""Several nodes on one machine: three masters and two workers come up, any master answers anything, a dead leader is
replaced under watches and writes, and nothing is left behind."""
import json
import os
import re
import shutil
import subprocess
import threading
import time
import unittest

from harness import TROUPE, Cluster, Group, SharedCluster, alive, main, run, until

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  replicas: 4
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      topologySpreadConstraints:
      - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: DoNotSchedule,
         labelSelector: {matchLabels: {app: web}}}
      containers: [{name: web, image: "docker.io/troupe/demo:1"}]
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
"""


def config_map(name, value="1"):
    return json.dumps({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": value}})


def ask(address, port):
    """By nc: wget of the static busybox crashes for want of a resolver library."""
    return ["sh", "-c", r"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 %s %d" % (address, port)]


def traces(cluster_id):
    """Everything on the host that carries the cluster's id."""
    found = []
    for cmd in (["ip", "link"], ["ip", "netns"], ["nft", "list", "tables"], ["iptables-save"], ["ip", "route"]):
        out = run(cmd, check=False).stdout
        found += ["%s: %s" % (" ".join(cmd), line) for line in out.splitlines() if cluster_id in line]
    with open("/proc/self/mountinfo") as f:
        found += [line for line in f if cluster_id in line]
    for base in ("/run/netns", "/run/troupe", "/sys/fs/cgroup"):
        for root, dirs, _ in os.walk(base):
            found += [os.path.join(root, d) for d in dirs if cluster_id in d]
            if root.count("/") > 5:
                dirs.clear()
    return found


class WholeCluster(SharedCluster):
    @classmethod
    def setUpClass(cls):
        cls.c = cls.g = Group(masters=3, workers=2)
        cls.g.__enter__()

    def test_1_every_master_answers_and_the_workers_are_ready(self):
        g = self.g
        for n in g.nodes:
            with open("/proc/%d/cmdline" % g.pid(n), "rb") as f:
                self.assertIn(b"--node\0" + n.encode() + b"\0", f.read())
            self.assertTrue(os.path.isdir(os.path.join(g.data, n)))
        for m in g.masters:
            until("both workers are Ready, asked at " + m,
                  lambda: g.out("get", "nodes", at=m, check=False).count(" Ready ") == 2)
        contexts = g.out("config", "get-contexts", "-o", "name").split()
        self.assertEqual(contexts, g.masters)
        self.assertEqual(g.out("config", "current-context").strip(), "m1")
        again = g.up()
        self.assertEqual(again.stdout.count("runs already"), 5)

    def test_2_pods_run_on_both_workers_and_reach_each_other(self):
        g = self.g
        g.import_demo()
        listed = run([TROUPE, "image", "ls", "--data-dir", g.data]).stdout
        self.assertEqual(listed.count("docker.io/troupe/demo:1"), 2, listed)
        unknown = run([TROUPE, "image", "ls", "--data-dir", g.data, "--node", "m1"], check=False)
        self.assertEqual(unknown.returncode, 1)
        self.assertIn("no worker named m1", unknown.stderr)
        g.apply(DEPLOYMENT, at="m2")
        until("four replicas are ready", lambda: g.get("deploy", "web", at="m3")["status"].get("readyReplicas") == 4, 60)
        pods = g.get("pods", "-l", "app=web")["items"]
        self.assertEqual({p["spec"]["nodeName"] for p in pods}, {"w1", "w2"})
        ranges = {n["metadata"]["name"]: n["spec"]["podCIDR"] for n in g.get("nodes")["items"]}
        self.assertEqual(len(set(ranges.values())), 2)
        here = next(p for p in pods if p["spec"]["nodeName"] == "w1")
        there = next(p for p in pods if p["spec"]["nodeName"] == "w2")
        for at in g.masters:  # logs and exec go over the session the worker has with that master
            got = g.out("exec", here["metadata"]["name"], "--", *ask(there["status"]["podIP"], 8080), at=at)
            self.assertIn("200 OK", got)
            g.out("logs", there["metadata"]["name"], at=at)
        service = g.get("svc", "web")["spec"]["clusterIP"]
        for p in (here, there):
            until("the service answers in a pod of " + p["spec"]["nodeName"],
                  lambda: "200 OK" in g.out("exec", p["metadata"]["name"], "--", *ask(service, 80), check=False))

    def test_3_a_killed_leader_is_replaced_under_watch_and_writes(self):
        g = self.g
        leader = g.leader()
        others = [m for m in g.masters if m != leader]
        watch = subprocess.Popen(["kubectl", "get", "configmaps", "-w", "-o", "name"], stdout=subprocess.PIPE, text=True,
                                 env=g.env_of(others[0]))
        seen = []
        reader = threading.Thread(target=lambda: seen.extend(line.strip() for line in watch.stdout))
        reader.start()
        try:
            acknowledged, gap, killed = [], 0.0, False
            last = time.monotonic()
            for i in range(60):
                name = "w-%02d" % i
                if i == 20:
                    g.kill9(leader)
                    killed = True
                until(name + " is written", lambda: g.apply(config_map(name), at=others[i % 2], check=False,
                                                            timeout=30).returncode == 0)
                now = time.monotonic()
                if killed:
                    gap = max(gap, now - last)
                last = now
                acknowledged.append("configmap/" + name)
            print("longest write after the kill: %.2f s" % gap, flush=True)
            until("the watch shows every write", lambda: set(acknowledged) <= set(seen))
            new = g.leader(among=others)
            self.assertNotEqual(new, leader)
            for m in others:
                names = set(g.out("get", "configmaps", "-o", "name", at=m).split())
                self.assertTrue(set(acknowledged) <= names)
            mine = [s for s in seen if s.startswith("configmap/w-")]
            self.assertEqual(mine, acknowledged)  # in order, none twice
            self.assertLess(gap, 5.0)
        finally:
            watch.kill()
            reader.join()
        g.start(leader)
        until("the old leader has every write", lambda: set(acknowledged) <= set(
            g.out("get", "configmaps", "-o", "name", at=leader).split()))

    def test_4_a_killed_worker_finds_its_containers_again(self):
        g = self.g
        if g.kubectl("get", "deploy", "web", check=False).returncode != 0:
            self.skipTest("needs the pods of an earlier test")
        before = {p["metadata"]["name"]: p["status"]["containerStatuses"][0]["containerID"]
                  for p in g.get("pods", "-l", "app=web")["items"]}
        g.kill9("w1")
        g.start("w1")
        until("w1 is Ready", lambda: g.out("get", "nodes", "w1").count(" Ready ") == 1)
        after = {p["metadata"]["name"]: p["status"]["containerStatuses"][0]["containerID"]
                 for p in g.get("pods", "-l", "app=web")["items"]}
        self.assertEqual(before, after)

    def test_5_down_and_purge_leave_nothing(self):
        g = self.g
        cluster_id = g.id
        pids = [g.pid(n) for n in g.nodes]
        out = g.down().stdout.split("\n")
        stopped = [line.split()[1] for line in out if line.endswith("stopped")]
        self.assertEqual(set(stopped[:2]), {"w1", "w2"})
        self.assertEqual(set(stopped), set(g.nodes))
        self.assertFalse([p for p in pids if alive(p)])
        g.up()
        until("both workers are Ready again", lambda: g.out("get", "nodes", check=False).count(" Ready ") == 2)
        g.down("--purge")
        self.assertEqual(traces(cluster_id), [])
        self.assertFalse(os.path.exists(g.data))


class Combined(SharedCluster):
    """Every node is master and worker: any master answers for the pods of any node."""
    @classmethod
    def setUpClass(cls):
        cls.c = cls.g = Group(masters=3, combined=True)
        cls.g.__enter__()

    def test_1_logs_exec_and_copies_go_through_every_master(self):
        g = self.g
        until("all nodes are Ready", lambda: g.out("get", "nodes", check=False).count(" Ready ") == 3)
        g.import_demo()
        g.apply(DEPLOYMENT.replace("replicas: 4", "replicas: 3"))
        until("one replica on each node", lambda: g.get("deploy", "web")["status"].get("readyReplicas") == 3, 60)
        pods = {p["spec"]["nodeName"]: p["metadata"]["name"] for p in g.get("pods", "-l", "app=web")["items"]}
        self.assertEqual(set(pods), set(g.masters))
        for at in g.masters:
            for node, pod in pods.items():
                word = "asked at %s of %s" % (at, node)
                got = until(word, lambda: g.out("exec", pod, "--", "echo", word, at=at))
                self.assertEqual(got.strip(), word)
                g.out("logs", pod, at=at)
                if node == at:
                    continue
                file = os.path.join(g.dir, "copied")
                with open(file, "w") as f:
                    f.write(word)
                g.out("cp", file, pod + ":/tmp/copied", at=at)
                self.assertEqual(g.out("exec", pod, "--", "cat", "/tmp/copied", at=at), word)

    def test_2_a_node_that_is_down_is_said_to_be(self):
        g = self.g
        if g.kubectl("get", "deploy", "web", check=False).returncode != 0:
            self.skipTest("needs the pods of an earlier test")
        pod = next(p["metadata"]["name"] for p in g.get("pods", "-l", "app=web")["items"]
                   if p["spec"]["nodeName"] == "m3")
        g.kill9("m3")
        for at in ("m1", "m2"):
            def refused():
                got = g.kubectl("logs", pod, at=at, check=False)
                return got.returncode != 0 and "the kubelet of node m3 is not connected" in got.stderr
            until("%s says that m3 is not connected" % at, refused)
        g.start("m3")
        for at in g.masters:
            until("m3 answers again, asked at " + at,
                  lambda: g.kubectl("exec", pod, "--", "true", at=at, check=False).returncode == 0)


class Membership(unittest.TestCase):
    """Masters come and go while the group runs."""

    def master(self, *words):
        return run([TROUPE, "master", *words, "--data-dir", self.g.data], env=self.g.env, timeout=60).stdout

    def start(self, node):
        return subprocess.Popen([TROUPE, "up", "-f", self.g.config, "--data-dir", self.g.data, "--node", node,
                                 "--detach"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=self.g.env)

    def said(self, node, words):
        try:
            with open(os.path.join(self.g.data, node, "troupe.log")) as f:
                return words in f.read()
        except FileNotFoundError:
            return False

    def member(self, node):
        with open(os.path.join(self.g.data, node, "member.json")) as f:
            return json.load(f)["member"]

    def join(self, node, starting):
        out = self.master("add", node, "--address", self.g.address(node))
        self.assertIn(node + " belongs to the group", out)
        told, _ = starting.communicate(timeout=60)
        self.assertEqual(starting.returncode, 0, told)
        until(node + " has what the others have",
              lambda: "before" in self.g.out("get", "configmaps", at=node, check=False))

    def test_a_master_is_added_and_one_that_lost_its_data_gets_a_new_id(self):
        with Group(masters=3) as g:
            self.g = g
            g.apply(config_map("before"))
            g.write_config(["m1", "m2", "m3", "m4"], [])
            starting = self.start("m4")
            until("m4 says what to do", lambda: self.said("m4", "run `troupe master add m4 --address "))
            self.join("m4", starting)
            self.assertEqual(self.member("m4"), 4)

            g.kill9("m2")
            shutil.rmtree(os.path.join(g.data, "m2"))
            starting = self.start("m2")
            until("m2 says what to do", lambda: self.said("m2", "run `troupe master remove m2`"))
            self.assertIn("no longer belongs", self.master("remove", "m2"))
            self.join("m2", starting)
            self.assertEqual(self.member("m2"), 5)

            # A copy of another member's directory is refused with both names.
            g.kill9("m3")
            shutil.rmtree(os.path.join(g.data, "m3"))
            shutil.copytree(os.path.join(g.data, "m1"), os.path.join(g.data, "m3"))
            told = run([TROUPE, "up", "-f", g.config, "--data-dir", g.data, "--node", "m3", "--detach"], check=False)
            self.assertNotEqual(told.returncode, 0)
            self.assertIn("that of node m1, but this node is m3", told.stderr + told.stdout)


class Growth(unittest.TestCase):
    """A cluster that one node founded gets masters and a worker while it runs."""

    def setUp(self):
        self.c = Cluster(name="laptop")
        self.addCleanup(self.c.close)

    def master(self, *words, check=True, at="laptop"):
        kubeconfig = os.path.join(self.c.data, at, "admin.kubeconfig")
        return run([TROUPE, "master", *words, "--kubeconfig", kubeconfig], check=check, env=self.c.env, timeout=60)

    def masters(self, at="laptop"):
        """Name -> health."""
        rows = [line.split() for line in self.master("ls", at=at).stdout.splitlines()[1:]]
        return {r[0]: r[-1] for r in rows}

    def grown_config(self):
        with open(self.c.config) as f:
            text = f.read()
        grown = os.path.join(self.c.dir, "grown.yaml")
        with open(grown, "w") as f:
            f.write(text + "".join("- {name: %s, roles: [%s]}\n" % (n, role) for n, role in
                                   (("m2", "master"), ("m3", "master"), ("w1", "worker"))))
        return grown

    def test_one_node_becomes_three_masters_and_keeps_its_pods(self):
        c = self.c
        c.up()
        c.ready()
        self.assertEqual(self.masters(), {"laptop": "ok"})
        c.import_demo()
        c.apply(DEPLOYMENT.replace("replicas: 4", "replicas: 1"))
        until("the pod is ready", lambda: c.get("deploy", "web")["status"].get("readyReplicas") == 1)
        pod = c.get("pods", "-l", "app=web")["items"][0]
        pid = c.pid

        up = [TROUPE, "up", "-f", self.grown_config(), "--data-dir", c.data, "--detach"]
        told = subprocess.Popen(up, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=c.env)
        commands = {}
        for line in told.stdout:  # each new master says what to type
            said = re.search(r"node (\S+) waits: run `troupe master (add [^`]*)`", line)
            if said:
                commands[said[1]] = said[2].split()
            if len(commands) == 2:
                break
        added = run([TROUPE, "master", *commands["m2"]], env=c.env)
        self.assertIn("m2 belongs to the group", added.stdout)
        self.assertIn("2 voting masters survive the loss of 0", added.stderr)
        self.assertIn("m3 belongs to the group", run([TROUPE, "master", *commands["m3"]], env=c.env).stdout)
        rest, _ = told.communicate(timeout=60)
        self.assertEqual(told.returncode, 0, rest)
        until("all three are well", lambda: self.masters() == {"laptop": "ok", "m2": "ok", "m3": "ok"})
        self.assertEqual(c.pid, pid)  # it never stopped

        until("both nodes are Ready", lambda: c.out("get", "nodes", check=False).count(" Ready ") == 2)
        c.import_demo()  # into w1, too
        c.kubectl("scale", "deploy", "web", "--replicas=2")
        until("a second pod is ready", lambda: c.get("deploy", "web")["status"].get("readyReplicas") == 2)
        pods = c.get("pods", "-l", "app=web")["items"]
        self.assertEqual({p["spec"]["nodeName"] for p in pods}, {"laptop", "w1"})
        for asking, asked in (pods, reversed(pods)):
            got = c.out("exec", asking["metadata"]["name"], "--", *ask(asked["status"]["podIP"], 8080))
            self.assertIn("200 OK", got)

        c.kill9()
        until("the others go on", lambda: self.masters(at="m2") and run(
            ["kubectl", "create", "configmap", "after"], check=False,
            env=dict(c.env, KUBECONFIG=os.path.join(c.data, "m2", "admin.kubeconfig"))).returncode == 0)
        c.up()  # with the file that names this node alone
        until("the founder has it, too", lambda: "after" in c.out("get", "configmaps", check=False))
        again = c.get("pod", pod["metadata"]["name"])
        self.assertEqual(again["status"]["containerStatuses"][0]["containerID"],
                         pod["status"]["containerStatuses"][0]["containerID"])
        cluster_id = c.id
        c.down("--purge")
        self.assertEqual(traces(cluster_id), [])

    def test_a_node_that_holds_the_whole_pod_range_refuses_at_once(self):
        c = self.c
        os.makedirs(c.data)
        with open(os.path.join(c.data, "cluster.json"), "w") as f:  # as clusters of one node were made once
            json.dump({"format": 1, "id": "%06x" % (os.getpid() % (1 << 24)), "podCIDR": "10.243.0.0/16",
                       "serviceCIDR": "10.242.0.0/16"}, f)
        c.up()
        c.ready()
        self.assertEqual(c.get("node", "laptop")["spec"]["podCIDR"], "10.243.0.0/16")
        self.assertEqual(self.masters(), {"laptop": "ok"})
        refused = self.master("add", "m2", "--address", "10.0.0.2", check=False)
        self.assertEqual(refused.returncode, 1)
        self.assertIn("holds the whole pod range", refused.stderr)
        self.assertIn("troupe backup FILE", refused.stderr)
        self.assertEqual(self.masters(), {"laptop": "ok"})


class Foreground(unittest.TestCase):
    def test_a_supervisor_starts_dead_nodes_again_and_stops_all(self):
        g = Group(masters=1, workers=1)
        try:
            up = subprocess.Popen([TROUPE, "up", "-f", g.config, "--data-dir", g.data], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, env=g.env)
            until("both nodes run", lambda: g.out("get", "nodes", check=False).count(" Ready ") == 1, 60)
            old = g.pid("w1")
            g.kill9("w1")
            until("w1 runs again", lambda: g.pid("w1") != old and alive(g.pid("w1")))
            until("w1 is Ready", lambda: g.out("get", "nodes", check=False).count(" Ready ") == 1)
            pids = [g.pid(n) for n in g.nodes]
            up.terminate()
            out, _ = up.communicate(timeout=60)
            self.assertEqual(up.returncode, 0, out)
            self.assertIn("was killed by signal 9", out)
            self.assertFalse([p for p in pids if alive(p)])
        finally:
            g.close()


if __name__ == "__main__":
    main()

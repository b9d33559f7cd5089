"""Backup of a live cluster, restore into a new one and in place, recover: what is there afterwards, and what is refused."""
import contextlib
import json
import os
import shutil
import subprocess
import unittest

from harness import TROUPE, Cluster, Group, main, run, until


def config_map(name):
    return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {v: \"%s\"}\n" % (name, "x" * 2000)


class Backup(unittest.TestCase):
    def setUp(self):
        self.c = Cluster()
        self.addCleanup(self.c.close)
        self.c.up()
        self.c.ready()
        self.file = os.path.join(self.c.dir, "state.backup")

    def say(self, *args, code=0, stdin=""):
        """What a verb said; its exit status is checked."""
        r = subprocess.run([TROUPE, *args], capture_output=True, text=True, timeout=120, input=stdin, env=self.c.env)
        self.assertEqual(r.returncode, code, r.stdout + r.stderr)
        return r.stdout + r.stderr

    def names(self, c):
        return {i["metadata"]["name"] for i in c.get("configmaps")["items"]}

    def revision(self, c):
        return int(c.call("GET", "/api/v1/configmaps")[1]["metadata"]["resourceVersion"])

    def backup(self):
        return self.say("backup", self.file, "--data-dir", self.c.data)

    def test_restored_elsewhere_the_objects_are_there_at_a_newer_revision(self):
        for i in range(30):
            self.c.apply(config_map("before-%d" % i))
        old = self.revision(self.c)
        self.assertIn("checked", self.backup())
        self.assertIn("never overwrites", self.say("backup", self.file, "--data-dir", self.c.data, code=1))
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        self.assertFalse(os.path.exists(self.file + ".partial"))
        self.c.apply(config_map("after"))
        kept = self.names(self.c) - {"after"}
        self.c.down()
        other = Cluster()
        self.addCleanup(other.close)
        said = self.say("restore", self.file, "--data-dir", other.data, "-f", other.config)
        self.assertIn("restored", said)
        other.up()
        other.ready()
        self.assertEqual(self.names(other), kept)
        self.assertNotEqual(other.id, self.c.id)
        self.assertGreater(self.revision(other), old + 1000000000)
        code, answer, _ = other.call("GET", "/api/v1/configmaps?watch=1&timeoutSeconds=5&resourceVersion=%d" % old)
        self.assertIn("410", "%s %s" % (code, answer))
        other.apply(config_map("later"))
        self.assertIn("later", self.names(other))
        with open(os.path.join(other.data, other.node, "history.log")) as f:
            self.assertRegex(f.read(), r"^20\d\d-.*Z restore: \d+ objects from ")

    def test_in_place_and_what_is_refused(self):
        self.c.apply(config_map("kept"))
        self.backup()
        self.c.apply(config_map("lost"))
        store = os.path.join(self.c.data, self.c.node, "store")
        where = ["--data-dir", self.c.data, "--node", self.c.node]
        self.assertIn("holds a store already", self.say("restore", self.file, *where, code=1))
        self.assertIn("stop it first", self.say("recover", *where, "--yes", code=1))
        self.c.down()
        self.assertIn("holds a store already", self.say("restore", self.file, *where, code=1))
        shutil.move(store, store + ".old")
        bent = self.file + ".bent"
        with open(self.file, "rb") as f:
            data = bytearray(f.read())
        data[len(data) // 2] ^= 4
        with open(bent, "wb") as f:
            f.write(data)
        self.assertRegex(self.say("restore", bent, *where, code=1), r"damaged at byte \d+: checksum mismatch")
        with open(bent, "wb") as f:
            f.write(data[:1000])
        self.assertRegex(self.say("restore", bent, *where, code=1), r"cut off|damaged at byte")
        self.assertIn("cannot read", self.say("restore", self.file + ".none", *where, code=1))
        self.say("restore", self.file, *where)
        self.c.up()
        self.c.ready()
        names = self.names(self.c)
        self.assertIn("kept", names)
        self.assertNotIn("lost", names)

    def test_recover_asks_and_keeps_everything(self):
        for i in range(10):
            self.c.apply(config_map("kept-%d" % i))
        before = self.names(self.c)
        self.c.kill9()
        where = ["--data-dir", self.c.data, "--node", self.c.node]
        self.assertIn("nothing was changed", self.say("recover", *where, code=1, stdin="yes\n"))
        self.assertIn("is the whole group now", self.say("recover", *where, stdin=self.c.id + "\n"))
        self.c.up()
        self.c.ready()
        self.assertEqual(self.names(self.c), before)
        with open(os.path.join(self.c.data, self.c.node, "history.log")) as f:
            self.assertIn(" recover: member 1 is the whole group now", f.read())
        self.assertIn("no cluster.json", self.say("recover", "--data-dir", self.c.dir, "--node", "x", code=1))

    def test_a_backup_that_cannot_be_had_leaves_nothing_behind(self):
        self.c.down()
        said = self.say("backup", self.file, "--data-dir", self.c.data, code=1)
        self.assertIn("cannot reach", said)
        self.assertEqual([f for f in os.listdir(self.c.dir) if f.startswith("state.backup")], [])
        self.assertIn("name the file", self.say("backup", code=2))
        self.assertNotEqual(run([TROUPE, "backup", self.file, "--data-dir", "/nowhere"], check=False).returncode, 0)


class Masters(unittest.TestCase):
    def setUp(self):
        self.g = Group(3)
        self.addCleanup(self.g.close)
        self.g.up()
        for i in range(5):
            self.g.apply(config_map("kept-%d" % i))

    def names(self, at):
        return {i["metadata"]["name"] for i in self.g.get("configmaps", at=at)["items"]}

    def test_one_survivor_becomes_the_whole_group(self):
        before = self.names("m1")
        self.g.down()
        for lost in ("m2", "m3"):
            shutil.rmtree(os.path.join(self.g.data, lost))
        run([TROUPE, "recover", "--data-dir", self.g.data, "--node", "m1", "--yes"])
        self.g.start("m1")
        self.assertEqual(self.names("m1"), before)
        self.g.apply(config_map("later"), at="m1")
        self.assertIn("later", self.names("m1"))

    def test_a_damaged_master_is_repaired_by_the_others(self):
        self.g.kill9("m2")
        self.g.apply(config_map("meanwhile"), at="m1")
        store = os.path.join(self.g.data, "m2", "store")
        data = os.path.join(store, "data-1")
        wal = max((os.path.join(data, f) for f in os.listdir(data) if f.endswith(".log")), key=os.path.getsize)
        with open(wal, "r+b") as f:
            f.seek(os.path.getsize(wal) // 2)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 0x55]))
        self.g.start("m2")
        self.assertIn("damaged-1", os.listdir(store))
        with open(os.path.join(self.g.data, "m2", "troupe.log")) as f:
            self.assertIn("the store is damaged", f.read())

        def repaired():
            with open(os.path.join(store, "member")) as f:
                return "\ndamage \n" in f.read()
        until("the others have given everything back", repaired)
        self.assertIn("meanwhile", self.names("m2"))


DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata: {name: NAME}
spec:
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
      - name: c
        image: docker.io/troupe/demo:1
        readinessProbe: {periodSeconds: 1, exec: {command: [test, -e, /tmp/ready]}}
---
apiVersion: v1
kind: Service
metadata: {name: NAME}
spec: {selector: {app: NAME}, ports: [{port: 80, targetPort: 8080}]}
"""


class RunningWorkers(unittest.TestCase):
    """The state is put back to an older one under a worker that goes on running."""

    def group(self, masters):
        self.g = Group(masters, workers=1)
        self.addCleanup(self.g.close)
        self.g.__enter__()
        until("the worker is Ready", lambda: " Ready " in self.g.out("get", "nodes", check=False))
        self.g.import_demo()

    def start_app(self, name, at):
        self.g.apply(DEPLOYMENT.replace("NAME", name), at=at)
        return until(name + " runs", lambda: self.container(name, at), 60)

    def make_ready(self, name, pod, at):
        self.g.kubectl("exec", pod, "--", "touch", "/tmp/ready", at=at)
        until(name + " is ready", lambda: self.ready(name, at))

    def run_app(self, name, at):
        made = self.start_app(name, at)
        self.make_ready(name, made[0], at)
        return made

    def ready(self, name, at):
        return self.g.get("deploy", name, at=at)["status"].get("readyReplicas") == 1

    def container(self, name, at):
        """Pod and container id, once it runs."""
        for p in self.g.get("pods", "-l", "app=" + name, at=at)["items"]:
            c = p["status"].get("containerStatuses", [{}])[0]
            if "deletionTimestamp" not in p["metadata"] and "running" in c.get("state", {}):
                return p["metadata"]["name"], c["containerID"].split("//")[1]
        return None

    def runs(self, container):
        return run(["pgrep", "-f", container], check=False).returncode == 0

    def reaches(self, pod, service, at):
        """From a pod, through the worker's DNS and its Service rules."""
        def inside(*cmd):
            return self.g.out("exec", pod, "--", *cmd, at=at, check=False)
        known = self.g.kubectl("get", "svc", service, "-o", "jsonpath={.spec.clusterIP}", at=at, check=False).stdout
        named = inside("nslookup", service + ".default.svc.cluster.local")
        if not known or known not in named:
            return False
        return "200 OK" in inside("sh", "-c", r"printf 'GET / HTTP/1.0\r\n\r\n' | nc -w 3 %s 80" % known)

    def check_worker_went_on(self, at, pid, kept, late):
        g = self.g
        until("the worker has begun anew", lambda: "everything is read anew" in g.log("w1"))
        until("the worker is Ready", lambda: " Ready " in g.out("get", "nodes", at=at, check=False))
        until("the state knows again what is ready", lambda: self.ready("kept", at))
        until("what the state does not know has ended", lambda: not self.runs(late[1]), 60)
        self.assertNotEqual(g.kubectl("get", "deploy", "late", at=at, check=False).returncode, 0)
        fresh = self.run_app("fresh", at)
        self.assertTrue(self.runs(fresh[1]))
        self.assertEqual(self.container("kept", at), kept)
        self.assertTrue(self.runs(kept[1]))
        until("names and services of after work", lambda: self.reaches(kept[0], "fresh", at))
        until("those of before still do", lambda: self.reaches(fresh[0], "kept", at))
        self.assertFalse(self.reaches(kept[0], "late", at))
        self.assertEqual(g.pid("w1"), pid)

    def watch(self, at, revision):
        c = self.g.https(at)
        c.request("GET", "/api/v1/configmaps?watch=1&timeoutSeconds=5&resourceVersion=%d" % revision)
        with contextlib.closing(c):
            r = c.getresponse()
            return r.status, r.read().decode(), r.getheader("Retry-After")

    def revision(self, at):
        return int(json.loads(self.g.out("get", "--raw", "/api/v1/configmaps", at=at))["metadata"]["resourceVersion"])

    def test_after_an_older_disk(self):
        self.group(1)
        g = self.g
        kept, pid = self.run_app("kept", "m1"), g.pid("w1")
        store = os.path.join(g.data, "m1", "store")
        g.stop("m1")
        shutil.copytree(store, store + ".old")
        g.start("m1")
        late = self.run_app("late", "m1")
        # The worker must be ahead of all that the older state does before it is back.
        g.apply("---\n".join(config_map("late-%d" % i) for i in range(60)))
        ahead = self.revision("m1")
        g.stop("m1")
        shutil.rmtree(store)
        os.rename(store + ".old", store)
        g.start("m1")
        self.check_worker_went_on("m1", pid, kept, late)
        status, said, retry = self.watch("m1", ahead + 1000000)
        self.assertEqual((status, retry), (504, "1"))
        self.assertIn("Too large resource version", said)

    def test_after_a_recovery_that_lost_writes(self):
        self.group(3)
        g = self.g
        kept, pid = self.start_app("kept", "m2"), g.pid("w1")
        until("m1 knows that it runs", lambda: self.container("kept", "m1"))
        g.kill9("m1")
        self.make_ready("kept", kept[0], "m2")  # which m1 never hears
        late = self.run_app("late", "m2")
        before = self.revision("m2")
        for lost in ("m2", "m3"):
            g.kill9(lost)
            shutil.rmtree(os.path.join(g.data, lost))
        run([TROUPE, "recover", "--data-dir", g.data, "--node", "m1", "--yes"])
        g.start("m1")
        self.check_worker_went_on("m1", pid, kept, late)
        self.assertIn('"code":410', self.watch("m1", before)[1])


if __name__ == "__main__":
    main()

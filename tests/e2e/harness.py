"""harness: real clusters for black-box tests: the real binary, the real kubectl, real containers.

Each test file is a unittest program; `run()` at its end prints one line per test and exits 77 with the reason when the
machine cannot run it (not root, no kubectl). Nothing here sleeps for a fixed time: `until` asks again until an answer
holds or a deadline passes, and the deadline is a failure.
"""
import base64
import contextlib
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILD = os.environ.get("TROUPE_BUILD_DIR", os.path.join(ROOT, "build"))
TROUPE = os.path.join(BUILD, "troupe")
SHELL = os.path.join(BUILD, "actor-shell")


def free_ports(count):
    """Ports that were free a moment ago; held open together so that they differ."""
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            s = stack.enter_context(socket.socket())
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
        return ports


def run(cmd, check=True, timeout=60, stdin=None, env=None):
    done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, input=stdin,
                          env=env)
    if check and done.returncode != 0:
        raise AssertionError("%s\nexit status %d\n%s%s" % (" ".join(cmd), done.returncode, done.stdout, done.stderr))
    return done


def alive(pid):
    """Runs, rather than waits as a zombie for whoever adopted it."""
    try:
        with open("/proc/%d/stat" % pid) as f:
            return f.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except OSError:
        return False


def until(what, probe, seconds=30.0):
    """The first true answer of `probe`; fails with `what` when the deadline passes."""
    deadline = time.monotonic() + seconds
    last = None
    pause = 0.01
    while True:
        try:
            got = probe()
            if got:
                return got
            last = got
        except AssertionError as e:
            last = e
        if time.monotonic() > deadline:
            raise AssertionError("not within %.0f s: %s (last: %s)" % (seconds, what, str(last)[:2000]))
        time.sleep(pause)
        pause = min(pause * 1.5, 0.25)


class Cluster:
    """A one-node cluster in a data dir and a port set of its own."""

    def __init__(self, mode="auto", name="e2e"):
        self.dir = tempfile.mkdtemp(prefix="troupe-e2e-")
        self.data = os.path.join(self.dir, "data")
        self.node = name
        self.api_port, actors, health = free_ports(3)
        self.health_port = health
        self.node_ports = (31000 + os.getpid() % 1500, 31000 + os.getpid() % 1500 + 200)
        self.config = os.path.join(self.dir, "cluster.yaml")
        with open(self.config, "w") as f:
            f.write("""apiVersion: troupe/v1
kind: TroupeCluster
name: e2e
network: {serviceMode: %s, nodePorts: %d-%d}
nodes:
- name: %s
  roles: [master, worker]
  ports: {api: %d, actors: %d, proxyHealth: %d}
""" % (mode, *self.node_ports, self.node, self.api_port, actors, health))
        self.kubeconfig = os.path.join(self.data, "admin.kubeconfig")
        self.env = dict(os.environ, KUBECONFIG=self.kubeconfig, HOME=self.dir)

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        if exc[0] is not None:
            self.tell()
        self.close()

    def tell(self):
        """The end of the node's log, for whoever reads a failed run."""
        with contextlib.suppress(OSError):
            with open(os.path.join(self.data, self.node, "troupe.log")) as f:
                print("---- node log (end)\n" + f.read()[-6000:], file=sys.stderr)

    def up(self):
        return run([TROUPE, "up", "-f", self.config, "--data-dir", self.data, "--detach"], env=self.env)

    def down(self, *more):
        return run([TROUPE, "down", "--data-dir", self.data, *more], env=self.env, timeout=120)

    def close(self):
        run([TROUPE, "down", "--data-dir", self.data, "--purge"], check=False, timeout=120)
        shutil.rmtree(self.dir, ignore_errors=True)

    @property
    def id(self):
        with open(os.path.join(self.data, "cluster.json")) as f:
            return json.load(f)["id"]

    @property
    def pid(self):
        with open(os.path.join(self.data, self.node, "lock")) as f:
            return int(f.read())

    def kill9(self):
        pid = self.pid
        fd = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([fd], [], [], 10)
        os.close(fd)

    def kubectl(self, *args, check=True, stdin=None, timeout=90):
        return run(["kubectl", *args], check=check, stdin=stdin, timeout=timeout, env=self.env)

    def out(self, *args, **kw):
        return self.kubectl(*args, **kw).stdout

    def get(self, *args):
        return json.loads(self.out("get", *args, "-o", "json"))

    def apply(self, text, *args):
        return self.kubectl("apply", "-f", "-", *args, stdin=text)

    def shell(self, commands, check=True):
        return run([SHELL, "--data-dir", self.data, "-c", commands], check=check, env=self.env)

    def ready(self):
        return until("the node is Ready", lambda: self.out("get", "node", self.node, "-o", "jsonpath={.status.conditions"
                                                           "[?(@.type=='Ready')].status}", check=False) == "True")

    def import_demo(self):
        for tag in ("1", "2"):
            tar = os.path.join(self.dir, "demo-%s.tar" % tag)
            run([os.path.join(ROOT, "configs/demo/build-image.sh"), tar, tag])
            run([TROUPE, "image", "import", tar, "--data-dir", self.data])

    # ---- raw HTTPS, for what kubectl would never send
    def tls(self, client_certificate=True):
        with open(self.kubeconfig) as f:
            text = f.read()

        def data(key):
            return base64.b64decode(re.search(key + r"-data:\s*(\S+)", text).group(1)).decode()

        ctx = ssl.create_default_context(cadata=data("certificate-authority"))
        if client_certificate:
            pem = os.path.join(self.dir, "client.pem")
            with open(pem, "w") as f:
                f.write(data("client-certificate") + data("client-key"))
            ctx.load_cert_chain(pem)
        return ctx

    def https(self, client_certificate=True):
        return http.client.HTTPSConnection("127.0.0.1", self.api_port, context=self.tls(client_certificate), timeout=30)

    def call(self, method, path, body=None, content_type="application/json", headers=None, client_certificate=True):
        """(status, parsed or text body, headers)"""
        c = self.https(client_certificate)
        h = {"Accept": "application/json", **(headers or {})}
        if body is not None:
            h["Content-Type"] = content_type
            if not isinstance(body, (str, bytes)):
                body = json.dumps(body)
        c.request(method, path, body=body, headers=h)
        r = c.getresponse()
        text = r.read().decode(errors="replace")
        c.close()
        try:
            return r.status, json.loads(text), r.headers
        except ValueError:
            return r.status, text, r.headers


class Group:
    """A cluster of several nodes on this machine, each a process in a network namespace of its own."""

    def __init__(self, masters=3, workers=0, raft="", name="ha", combined=False):
        """`combined`: every master is a worker, too."""
        self.dir = tempfile.mkdtemp(prefix="troupe-e2e-")
        self.master_roles = "master, worker" if combined else "master"
        self.data = os.path.join(self.dir, "data")
        self.masters = ["m%d" % (i + 1) for i in range(masters)]
        self.workers = ["w%d" % (i + 1) for i in range(workers)]
        self.config = os.path.join(self.dir, "cluster.yaml")
        self.raft = raft
        self.write_config(self.masters, self.workers, name)
        self.kubeconfig = os.path.join(self.data, "admin.kubeconfig")
        self.env = dict(os.environ, KUBECONFIG=self.kubeconfig, HOME=self.dir)

    def write_config(self, masters, workers, name="ha"):
        self.masters, self.workers = list(masters), list(workers)
        with open(self.config, "w") as f:
            f.write("apiVersion: troupe/v1\nkind: TroupeCluster\nname: %s\n" % name)
            if self.raft:
                f.write("raft: %s\n" % self.raft)
            f.write("nodes:\n")
            for n in self.masters:
                f.write("- {name: %s, roles: [%s]}\n" % (n, self.master_roles))
            for n in self.workers:
                f.write("- {name: %s, roles: [worker]}\n" % n)

    @property
    def nodes(self):
        return self.masters + self.workers

    def __enter__(self):
        try:
            self.up()
        except BaseException:
            self.tell()
            self.close()
            raise
        return self

    def __exit__(self, *exc):
        if exc[0] is not None:
            self.tell()
        self.close()

    def tell(self, lines=40):
        """The end of each node's log, for whoever reads a failed run."""
        for n in self.nodes:
            with contextlib.suppress(OSError):
                with open(os.path.join(self.data, n, "troupe.log")) as f:
                    print("---- %s (end of log)\n%s" % (n, "".join(f.readlines()[-lines:])), file=sys.stderr)

    def up(self, *more):
        return run([TROUPE, "up", "-f", self.config, "--data-dir", self.data, "--detach", *more], env=self.env,
                   timeout=120)

    def start(self, node):
        return self.up("--node", node)

    def down(self, *more):
        return run([TROUPE, "down", "--data-dir", self.data, *more], env=self.env, timeout=180)

    def close(self):
        run([TROUPE, "down", "--data-dir", self.data, "--purge"], check=False, timeout=180)
        shutil.rmtree(self.dir, ignore_errors=True)

    def cluster(self):
        with open(os.path.join(self.data, "cluster.json")) as f:
            return json.load(f)

    @property
    def id(self):
        return self.cluster()["id"]

    def address(self, node):
        return self.cluster()["addresses"][node]

    def netns(self, node):
        return "troupe-%s-%s" % (self.id, node)

    def pid(self, node):
        with open(os.path.join(self.data, node, "lock")) as f:
            return int(f.read())

    def kill9(self, node):
        pid = self.pid(node)
        fd = os.pidfd_open(pid)
        os.kill(pid, signal.SIGKILL)
        select.select([fd], [], [], 10)
        os.close(fd)

    def stop(self, node):
        """SIGTERM, and waits until it is gone."""
        fd = os.pidfd_open(self.pid(node))
        os.kill(self.pid(node), signal.SIGTERM)
        if not select.select([fd], [], [], 60)[0]:
            raise AssertionError(node + " does not stop")
        os.close(fd)

    def log(self, node):
        with open(os.path.join(self.data, node, "troupe.log")) as f:
            return f.read()

    def env_of(self, master):
        return dict(self.env, KUBECONFIG=os.path.join(self.data, master, "admin.kubeconfig"))

    def kubectl(self, *args, at=None, check=True, stdin=None, timeout=90):
        """Asks one master, the first of the kubeconfig by default."""
        return run(["kubectl", *args], check=check, stdin=stdin, timeout=timeout,
                   env=self.env_of(at) if at else self.env)

    def out(self, *args, **kw):
        return self.kubectl(*args, **kw).stdout

    def get(self, *args, **kw):
        return json.loads(self.out("get", *args, "-o", "json", **kw))

    def apply(self, text, *args, **kw):
        return self.kubectl("apply", "-f", "-", *args, stdin=text, **kw)

    def import_demo(self):
        for tag in ("1", "2"):
            tar = os.path.join(self.dir, "demo-%s.tar" % tag)
            run([os.path.join(ROOT, "configs/demo/build-image.sh"), tar, tag])
            run([TROUPE, "image", "import", tar, "--data-dir", self.data])  # into every worker

    def raft_status(self, master):
        """What that master says of the group; None when it does not answer."""
        done = self.kubectl("get", "--raw", "/troupe/v1/raft", at=master, check=False, timeout=20)
        return json.loads(done.stdout) if done.returncode == 0 else None

    def leader(self, among=None):
        """The master that says it leads; waits for one."""
        def ask():
            for m in among or self.masters:
                s = self.raft_status(m)
                if s and s.get("role") == "leader":
                    return m
            return None
        return until("a leader", ask)

    # ---- raw HTTPS to one master
    def tls(self):
        with open(os.path.join(self.data, self.masters[0], "admin.kubeconfig")) as f:
            text = f.read()

        def data(key):
            return base64.b64decode(re.search(key + r"-data:\s*(\S+)", text).group(1)).decode()

        ctx = ssl.create_default_context(cadata=data("certificate-authority"))
        pem = os.path.join(self.dir, "client.pem")
        with open(pem, "w") as f:
            f.write(data("client-certificate") + data("client-key"))
        ctx.load_cert_chain(pem)
        return ctx

    def https(self, master, timeout=30):
        return http.client.HTTPSConnection(self.address(master), 6443, context=self.tls(), timeout=timeout)


def skip_reason():
    if os.geteuid() != 0:
        return "needs root"
    for tool in ("kubectl", "crun", "conmon"):
        if not shutil.which(tool):
            return "needs %s (./dev deps)" % tool
    return None


class SharedCluster(unittest.TestCase):
    """One cluster, `cls.c`, for all tests of a class: told when one of them failed, closed after the last."""
    failed = False

    @classmethod
    def tearDownClass(cls):
        if cls.failed:
            cls.c.tell()
        cls.c.close()

    def run(self, result=None):
        before = len(result.failures) + len(result.errors)
        super().run(result)
        if len(result.failures) + len(result.errors) > before:
            type(self).failed = True


class Case(SharedCluster):
    """A cluster of one node; set `mode` and `demo`."""
    mode = "auto"
    demo = True

    @classmethod
    def setUpClass(cls):
        cls.c = Cluster(cls.mode)
        try:
            cls.c.up()
            cls.c.ready()
            if cls.demo:
                cls.c.import_demo()
        except BaseException:
            cls.c.tell()
            cls.c.close()
            raise


def main():
    reason = skip_reason()
    if reason:
        print("SKIP: " + reason)
        sys.exit(77)
    unittest.main(verbosity=2)

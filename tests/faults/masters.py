"""masters: a group of real masters, each in its network namespace, as `troupe up -f` makes them."""
import base64
import json
import os
import re
import select
import shutil
import signal
import ssl
import subprocess
import tempfile
import time

from disk import Disks
from places import TROUPE


def run(cmd, check=True, timeout=60, stdin=None, env=None):
    done = subprocess.run(cmd, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=timeout, input=stdin,
                          env=env)
    if check and done.returncode != 0:
        raise RuntimeError("%s\nexit status %d\n%s%s" % (" ".join(cmd), done.returncode, done.stdout, done.stderr))
    return done


class Master:
    def __init__(self, group, name):
        self.group, self.name = group, name
        self.dir = os.path.join(group.data, name)
        self.kubeconfig = os.path.join(self.dir, "admin.kubeconfig")
        self.host = self.port = self.context = None
        self.address = None
        self.disk = None

    def learn(self):
        """Reads where it answers and how to prove who we are."""
        with open(self.kubeconfig) as f:
            text = f.read()
        self.host, port = re.search(r"server:\s*https://([^:/\s]+):(\d+)", text).groups()
        self.port = int(port)

        def data(key):
            return base64.b64decode(re.search(key + r"-data:\s*(\S+)", text).group(1)).decode()

        self.context = ssl.create_default_context(cadata=data("certificate-authority"))
        pem = os.path.join(self.group.dir, self.name + ".pem")
        with open(os.open(pem, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
            f.write(data("client-certificate") + data("client-key"))
        self.context.load_cert_chain(pem)

    @property
    def pid(self):
        with open(os.path.join(self.dir, "lock")) as f:
            return int(f.read())

    def signal(self, number):
        os.kill(self.pid, number)

    def kill9(self):
        pid = self.pid
        fd = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGKILL)
            select.select([fd], [], [], 10)
        finally:
            os.close(fd)

    def stop(self):
        pid = self.pid
        fd = os.pidfd_open(pid)
        try:
            os.kill(pid, signal.SIGTERM)
            select.select([fd], [], [], 20)
        finally:
            os.close(fd)

    def start(self):
        # Without waiting for readiness: it may come back into a group without a majority.
        return subprocess.Popen([TROUPE, "up", "-f", self.group.config, "--data-dir", self.group.data, "--node",
                                 self.name, "--detach"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                                env=self.group.environment)

    def inside(self, cmd, stdin=None, check=True):
        """Runs a command in the master's network namespace."""
        return run(["nsenter", "--net=" + self.namespace] + cmd, stdin=stdin, check=check)

    @property
    def namespace(self):
        return "/run/netns/troupe-%s-%s" % (self.group.id, self.name)

    def log_end(self, size=3000):
        try:
            with open(os.path.join(self.dir, "troupe.log"), errors="replace") as f:
                return f.read()[-size:]
        except OSError as e:
            return str(e)


class Masters:
    def __init__(self, count, keep=False):
        self.dir = tempfile.mkdtemp(prefix="troupe-faults-")
        self.data = os.path.join(self.dir, "data")
        self.config = os.path.join(self.dir, "cluster.yaml")
        self.keep = keep
        self.all = [Master(self, "m%d" % (i + 1)) for i in range(count)]
        disks = Disks(os.path.join(self.dir, "disks"), [os.path.join(m.dir, "store") for m in self.all])
        self.environment = disks.environment
        for m, disk in zip(self.all, disks.all):
            m.disk = disk
        with open(self.config, "w") as f:
            f.write("apiVersion: troupe/v1\nkind: TroupeCluster\nname: faults\nnodes:\n")
            for m in self.all:
                f.write("- {name: %s, roles: [master]}\n" % m.name)

    def __enter__(self):
        try:
            run([TROUPE, "up", "-f", self.config, "--data-dir", self.data, "--detach"], timeout=60,
                env=self.environment)
            with open(os.path.join(self.data, "cluster.json")) as f:
                identity = json.load(f)
            self.id = identity["id"]
            for m in self.all:
                m.learn()
                m.address = identity.get("addresses", {}).get(m.name, m.host)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for m in self.all:
            # What is stopped cannot be asked to end.
            try:
                m.signal(signal.SIGCONT)
            except (OSError, ValueError):
                pass
        if self.keep:
            self.save_logs()
        run([TROUPE, "down", "--data-dir", self.data, "--purge"], check=False, timeout=120)
        if not self.keep:
            run(["rm", "-rf", self.dir], check=False)

    def save_logs(self):
        """Beside the record, where they outlive the data."""
        for m in self.all:
            try:
                shutil.copy(os.path.join(m.dir, "troupe.log"), os.path.join(self.dir, m.name + ".log"))
            except OSError:
                pass

    def statuses(self):
        """What each master says of itself (None: no answer in time)."""
        from client import Connection, Failed
        out = {}
        for m in self.all:
            c = Connection(m, timeout=0.7)
            try:
                code, body, _ = c.call("GET", "/troupe/v1/raft")
                out[m] = json.loads(body) if code == 200 else None
            except (Failed, ValueError):
                out[m] = None
            finally:
                c.close()
        return out

    def leader(self, seconds=15):
        """The master that leads, as those of the highest term see it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            known = {m: s for m, s in self.statuses().items() if s}
            leaders = [(s["term"], m) for m, s in known.items() if s["role"] == "leader"]
            if leaders:
                return max(leaders, key=lambda x: x[0])[1]
            time.sleep(0.05)
        raise RuntimeError("no leader within %d s" % seconds)

    def until_all_answer(self, seconds=60):
        """Only a minority may be broken at a time: the one before must be back."""
        deadline = time.monotonic() + seconds
        while not all(self.statuses().values()):
            if time.monotonic() > deadline:
                return self.until_ready(1)  # says who is missing, with its log
            time.sleep(0.1)

    def until_ready(self, seconds=60):
        """All masters answer, and each has applied what a leader had committed when they were asked the time before:
        they are asked one after the other, while clients go on writing."""
        deadline = time.monotonic() + seconds
        last, goal = None, None
        while time.monotonic() < deadline:
            last = self.statuses()
            if all(last.values()):
                leaders = [s for s in last.values() if s["role"] == "leader"]
                if len(leaders) == 1:
                    if goal is not None and all(s["appliedIndex"] >= goal for s in last.values()):
                        return last
                    goal = leaders[0]["commitIndex"]
            time.sleep(0.1)
        raise RuntimeError("not all masters are back within %d s: %s\n%s" % (
            seconds, {m.name: s for m, s in last.items()},
            "\n".join("---- %s\n%s" % (m.name, m.log_end()) for m, s in last.items() if not s)))

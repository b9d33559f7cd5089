#!/usr/bin/env python3
"""The store comparison behind `./dev bench store`: etcd and ours, measured one after the other with the same load, on
the same disk, by the same load generator (tests/bench/store). Prints one table.

usage: store.py BUILD_DIR [--smoke] [--only troupe|etcd] [--json FILE]

Everything lives in a directory of its own below BUILD_DIR; processes started here are ended by id.
"""
import argparse
import contextlib
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

TICK = os.sysconf("SC_CLK_TCK")
CLIENTS = (1, 64, 1000)


def free_ports(count):
    with contextlib.ExitStack() as stack:
        ports = []
        for _ in range(count):
            s = stack.enter_context(socket.socket())
            s.bind(("127.0.0.1", 0))
            ports.append(s.getsockname()[1])
        return ports


def proc_kib(pid, key):
    with open("/proc/%d/status" % pid) as f:
        for line in f:
            if line.startswith(key + ":"):
                return int(line.split()[1])
    return 0


class Store:
    """A group of processes of one kind. A member is its number, from 0."""

    def __init__(self, bench, members, tls, extra=()):
        self.bench, self.members, self.tls, self.extra = bench, members, tls, list(extra)
        self.dir = tempfile.mkdtemp(prefix=self.kind + "-", dir=bench.dir)
        self.processes = [None] * members
        self.choose_ports()

    def __enter__(self):
        for m in range(self.members):
            self.start(m)
        self.leader = self.find_leader()
        return self

    def __exit__(self, *_):
        for m in range(self.members):
            self.kill(m)
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, member):
        log = open(os.path.join(self.dir, "log-%d" % member), "ab")
        with log:
            self.processes[member] = subprocess.Popen(self.command(member), stdout=log, stderr=log, cwd=self.dir)
            self.bench.children.append(self.processes[member])

    def kill(self, member):
        p = self.processes[member]
        if p and p.poll() is None:
            p.kill()
            p.wait()

    def stop(self, member):
        p = self.processes[member]
        p.terminate()
        p.wait(60)

    def pid(self, member):
        return self.processes[member].pid

    def cpu_seconds(self):
        total = 0
        for p in self.processes:
            with open("/proc/%d/stat" % p.pid) as f:
                fields = f.read().rsplit(")", 1)[1].split()
            total += int(fields[11]) + int(fields[12])
        return total / TICK

    def endpoints(self, first=0):
        return ["127.0.0.1:%d" % self.ports[(first + i) % self.members] for i in range(self.members)]

    def find_leader(self, seconds=30):
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for m in range(self.members):
                if self.processes[m].poll() is not None:
                    raise SystemExit("store bench: %s ended at its start:\n%s" % (self.kind, self.log(m)))
                done = self.load("leads", endpoints=["127.0.0.1:%d" % self.ports[m]], check=False)
                if done and done["leads"]:
                    return m
            time.sleep(0.05)
        raise SystemExit("store bench: %s found no leader within %d s\n%s" % (self.kind, seconds, self.log(0)))

    def log(self, member):
        with open(os.path.join(self.dir, "log-%d" % member), errors="replace") as f:
            return f.read()[-3000:]

    def load_command(self, case, endpoints, options):
        cmd = [self.bench.program("store_load"), "--store", self.kind, "--case", case, "--endpoints",
               ",".join(endpoints)]
        if self.tls:
            cmd += ["--ca", self.bench.pki("ca.crt"), "--cert", self.bench.pki("client.crt"), "--key",
                    self.bench.pki("client.key")]
        for key, value in options.items():
            cmd += ["--" + key.replace("_", "-"), str(value)]
        return cmd

    def load(self, case, endpoints=None, check=True, **options):
        done = subprocess.run(self.load_command(case, endpoints or self.endpoints(self.leader), options),
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=240)
        if done.returncode != 0 and check:
            raise SystemExit("store bench: %s %s failed\n%s%s\n%s" % (
                self.kind, case, done.stdout, done.stderr, self.log(self.leader)))
        return json.loads(done.stdout) if done.returncode == 0 else None

    def measure(self, case, **options):
        before = self.cpu_seconds()
        result = self.load(case, **options)
        result["serverCpuMicros"] = (self.cpu_seconds() - before) * 1e6 / max(result["ops"], 1)
        return result

    def failovers(self, count):
        """Kills the leader, again and again; the time without a successful put around each kill, in seconds."""
        gaps = []
        for _ in range(count):
            self.leader = self.find_leader()
            seconds = 8
            writer = subprocess.Popen(
                self.load_command("failover", self.endpoints(self.leader),
                                  {"clients": 6, "connections": 6, "timeout_ms": 150, "seconds": seconds, "keys": 1000}),
                stdout=subprocess.PIPE, text=True)
            self.bench.children.append(writer)
            time.sleep(1.5)
            victim = self.leader
            killed = time.monotonic_ns()
            self.kill(victim)
            seen = []
            for line in writer.stdout:
                seen.append(int(line))
                # One second of writes after the kill ends the round.
                if seen[-1] > killed + 200_000_000 and len(seen) > 1 and self.recovered(seen, killed):
                    break
            writer.kill()
            writer.wait()
            before = [t for t in seen if t <= killed]
            after = [t for t in seen if t > killed]
            # What was under way may still be answered after the kill: the gap is the longest pause from the kill on.
            steps = [killed] + after
            if not before or not after:
                gaps.append(float(seconds))
            else:
                gaps.append(max(b - a for a, b in zip(steps, steps[1:])) / 1e9)
            self.start(victim)
        self.leader = self.find_leader()
        return gaps

    @staticmethod
    def recovered(seen, killed):
        """A pause is over when writes went on for 0.7 s after the longest one."""
        after = [t for t in seen if t > killed]
        steps = [killed] + after
        longest, end = max((b - a, b) for a, b in zip(steps, steps[1:]))
        return after[-1] - end > 700_000_000 and longest > 0

    def restart_seconds(self, member=0):
        """From the start of the process to the first linearizable read."""
        self.stop(member)
        begun = time.monotonic()
        self.start(member)
        while True:
            if self.load("get", check=False, seconds=0.001, timeout_ms=1000, keys=1) is not None:
                return time.monotonic() - begun
            if time.monotonic() - begun > 120:
                raise SystemExit("store bench: %s does not serve again\n%s" % (self.kind, self.log(member)))
            time.sleep(0.01)


class Etcd(Store):
    kind = "etcd"

    def choose_ports(self):
        ports = free_ports(2 * self.members)
        self.ports, self.peer_ports = ports[:self.members], ports[self.members:]

    def command(self, m):
        scheme = "https" if self.tls else "http"
        client = "%s://127.0.0.1:%d" % (scheme, self.ports[m])
        peers = ["%s://127.0.0.1:%d" % (scheme, p) for p in self.peer_ports]
        cmd = [self.bench.etcd, "--name", "m%d" % m, "--data-dir", os.path.join(self.dir, "data-%d" % m),
               "--listen-client-urls", client, "--advertise-client-urls", client,
               "--listen-peer-urls", peers[m], "--initial-advertise-peer-urls", peers[m],
               "--initial-cluster", ",".join("m%d=%s" % x for x in enumerate(peers)),
               "--initial-cluster-state", "new", "--log-level", "error", "--logger", "zap",
               "--quota-backend-bytes", str(8 << 30)]
        if self.tls:
            for prefix in ("", "peer-"):
                cmd += ["--%scert-file" % prefix, self.bench.pki("etcd.crt"), "--%skey-file" % prefix,
                        self.bench.pki("etcd.key"), "--%strusted-ca-file" % prefix, self.bench.pki("ca.crt")]
            cmd += ["--client-cert-auth", "--peer-client-cert-auth"]
        return cmd


class Troupe(Store):
    kind = "troupe"

    def choose_ports(self):
        self.ports = free_ports(self.members)

    def command(self, m):
        cmd = [self.bench.program("store_server"), "--data-dir", os.path.join(self.dir, "data-%d" % m), "--member",
               str(m + 1), "--ports", ",".join(map(str, self.ports))]
        if self.tls:
            cmd += ["--pki", self.bench.pki("")]
        return cmd + self.extra


class Bench:
    def __init__(self, build, smoke, only):
        self.build, self.smoke, self.only = build, smoke, only
        self.children = []
        self.dir = tempfile.mkdtemp(prefix="bench-store-", dir=build)
        self.etcd = shutil.which("etcd")
        self.rows = []
        self.failed = []

    def program(self, name):
        return os.path.join(self.build, "tests/bench/store", name)

    def pki(self, name):
        return os.path.join(self.dir, "pki", name)

    def close(self):
        for p in self.children:
            if p.poll() is None:
                p.kill()
                p.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    def kinds(self):
        kinds = [Etcd, Troupe]
        if self.only:
            kinds = [k for k in kinds if k.kind == self.only]
        if Etcd in kinds and not self.etcd:
            print("etcd is not installed (./dev deps): only ours is measured", file=sys.stderr)
            kinds.remove(Etcd)
        return kinds

    def say(self, text):
        print("  " + text, file=sys.stderr, flush=True)

    def row(self, what, unit, got, aim, show, compare):
        """`got`: {kind: figure}; `compare`: ours and etcd's -> how the two relate, as text."""
        cells = [show(got[k]) if k in got else "-" for k in ("etcd", "troupe")]
        related = compare(got["troupe"], got["etcd"]) if len(got) == 2 else ""
        self.rows.append((what + (" (" + unit + ")" if unit else ""), *cells, related, aim))

    def throughput(self, members, tls):
        got = {}
        for kind in self.kinds():
            with kind(self, members, tls) as store:
                for case in ("put", "get"):
                    for clients in (CLIENTS[:2] if self.smoke else CLIENTS):
                        seconds = 0.2 if self.smoke else 2
                        r = store.measure(case, clients=clients, connections=6, seconds=seconds,
                                          keys=2000 if self.smoke else 100000)
                        self.say("%s, %d members, TLS %s, %s, %d clients: %.0f/s, p50 %.0f us, p99 %.0f us, "
                                 "server %.0f us CPU" % (kind.kind, members, "on" if tls else "off", case, clients,
                                                         r["perSecond"], r["p50"], r["p99"], r["serverCpuMicros"]))
                        got.setdefault((case, clients), {})[kind.kind] = r
                if members == 3:
                    gaps = store.failovers(1 if self.smoke else 5)
                    self.say("%s, TLS %s, failover: %s s" % (kind.kind, "on" if tls else "off",
                                                             " ".join("%.2f" % g for g in gaps)))
                    got.setdefault(("failover", 0), {})[kind.kind] = statistics.median(gaps)
        where = "%d member%s, TLS %s" % (members, "s" if members > 1 else "", "on" if tls else "off")
        for (case, clients), both in got.items():
            if case == "failover":
                self.row("%s: failover, median" % where, "s", both, "<= 1 s", lambda v: "%.2f" % v,
                         lambda ours, theirs: "%.2f x" % (ours / theirs))
                continue
            name = "durable puts" if case == "put" else "linearizable reads"
            self.row("%s: %s, %d client%s" % (where, name, clients, "s" if clients > 1 else ""), "1/s; p99 ms", both,
                     ">= 2 x", lambda r: "%.0f; %.1f" % (r["perSecond"], r["p99"] / 1000),
                     lambda ours, theirs: "%.1f x" % (ours["perSecond"] / theirs["perSecond"]))

    def million(self):
        """A million keys of 1 KiB: memory, writes while the store compacts and streams a snapshot, restart."""
        keys = 20000 if self.smoke else 1000000
        quiet, busy, memory, restart = {}, {}, {}, {}
        for kind in self.kinds():
            extra = ["--retention", "2" if self.smoke else "8"] if kind is Troupe else []
            with kind(self, 1, False, extra) as store:
                r = store.load("fill", clients=200, connections=6, keys=keys, value_bytes=1024, per_txn=10)
                rss, anonymous = proc_kib(store.pid(0), "VmRSS") / 1024, proc_kib(store.pid(0), "RssAnon") / 1024
                self.say("%s: %d keys of 1 KiB in %.1f s; resident %.0f MiB, of it anonymous %.0f MiB" % (
                    kind.kind, keys, r["seconds"], rss, anonymous))
                memory[kind.kind] = rss
                r = store.load("disturbed", clients=64, connections=6, keys=keys, value_bytes=1024,
                               rate=500, seconds=0.5 if self.smoke else 3)
                self.say("%s: put p99 %.1f ms quiet, %.1f ms while compacting (%.1f s) and streaming a snapshot "
                         "(%.1f s, %.0f MiB)" % (kind.kind, r["quietP99"] / 1000, r["p99"] / 1000, r["compactSeconds"],
                                                 r["snapshotSeconds"], r["snapshotBytes"] / 2**20))
                quiet[kind.kind], busy[kind.kind] = r["quietP99"] / 1000, r["p99"] / 1000
                restart[kind.kind] = store.restart_seconds()
                rss = proc_kib(store.pid(0), "VmRSS") / 1024
                self.say("%s: serves again after %.2f s, then resident %.0f MiB" % (kind.kind, restart[kind.kind], rss))
        ratio = lambda ours, theirs: "%.2f x" % (ours / theirs)
        count = "%d keys of 1 KiB" % keys
        self.row(count + ": resident", "MiB", memory, "<= 0.5 x", lambda v: "%.0f" % v, ratio)
        self.row(count + ": restart to serving", "s", restart, "<= 3 s", lambda v: "%.2f" % v, ratio)
        self.row(count + ": put p99, 500/s, quiet", "ms", quiet, "", lambda v: "%.1f" % v, ratio)
        self.row(count + ": put p99, 500/s, while compacting and in a snapshot", "ms", busy, "<= 2 x quiet",
                 lambda v: "%.1f" % v, ratio)

    def table(self):
        head = ("what", "etcd 3.4", "troupe", "troupe / etcd", "aim")
        rows = [head] + self.rows
        widths = [max(len(r[i]) for r in rows) for i in range(5)]
        for r in rows:
            print("%-*s  %*s  %*s  %*s  %s" % (widths[0], r[0], widths[1], r[1], widths[2], r[2], widths[3], r[3], r[4]))

    def run(self):
        os.mkdir(os.path.join(self.dir, "pki"))
        subprocess.run([self.program("store_server"), "--make-pki", os.path.join(self.dir, "pki")], check=True)
        for tls in (False, True):
            for members in (1, 3):
                self.throughput(members, tls)
        self.million()
        self.table()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("build")
    p.add_argument("--smoke", action="store_true", help="a few seconds, small numbers: that everything works")
    p.add_argument("--only", choices=("etcd", "troupe"))
    args = p.parse_args()
    # Ended from outside: clean up all the same.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("store bench: ended"))
    bench = Bench(os.path.abspath(args.build), args.smoke, args.only)
    try:
        begun = time.monotonic()
        bench.run()
        print("measured in %.0f s" % (time.monotonic() - begun))
    finally:
        bench.close()


if __name__ == "__main__":
    main()

"""nemesis: the faults: what each does, and how it is undone. One at a time, chosen by a seeded generator."""
import glob
import os
import signal
import subprocess
import sys
import threading
import time

from disk_faults import DiskFaults

HERE = os.path.dirname(os.path.abspath(__file__))
ACTORS_PORT = 6444
RELAY_PORT = 17444
MARK = 0x7472
TABLE = "troupe_faults"

RULES = """
table inet %(table)s {
  set from_cut { type ipv4_addr; }
  set to_cut { type ipv4_addr; }
  set relayed { type ipv4_addr; }
  chain loss { }
  chain in_ { type filter hook input priority 0; policy accept;
    ip saddr @from_cut drop
    tcp dport %(port)d jump loss
    tcp sport %(port)d jump loss
  }
  chain out_ { type filter hook output priority 0; policy accept;
    ip daddr @to_cut drop
    meta mark %(mark)d accept
    ip daddr @relayed tcp dport %(port)d reject with tcp reset
  }
  chain redirect_ { type nat hook output priority -100; policy accept;
    meta mark %(mark)d accept
    ip daddr @relayed tcp dport %(port)d redirect to :%(relay)d
  }
}
"""


class Wires:
    """Packet rules and the relay inside one master's namespace. The last two rules work together: a link that exists
    is reset, and the new one goes through the relay."""

    def __init__(self, master):
        self.master = master
        self.nft(RULES % {"table": TABLE, "port": ACTORS_PORT, "mark": MARK, "relay": RELAY_PORT})
        self.relay = subprocess.Popen(
            ["nsenter", "--net=" + master.namespace, sys.executable, os.path.join(HERE, "relay.py"), str(RELAY_PORT),
             str(MARK)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.relay.stdout.readline().strip() != "ready":
            raise RuntimeError("the relay of %s did not start" % master.name)

    def nft(self, text):
        self.master.inside(["nft", "-f", "-"], stdin=text)

    def cut(self, peers, incoming, outgoing):
        for name, wanted in (("from_cut", incoming), ("to_cut", outgoing)):
            if wanted:
                self.nft("add element inet %s %s { %s }\n" % (TABLE, name, ", ".join(p.address for p in peers)))

    def lose(self, percent):
        self.nft("add rule inet %s loss numgen random mod 100 < %d drop\n" % (TABLE, percent))

    def slow(self, peers, milliseconds, jitter):
        self.relay.stdin.write("delay %d %d\n" % (milliseconds, jitter))
        self.relay.stdin.flush()
        self.nft("add element inet %s relayed { %s }\n" % (TABLE, ", ".join(p.address for p in peers)))

    def heal(self):
        self.nft("".join("flush set inet %s %s\n" % (TABLE, s) for s in ("from_cut", "to_cut", "relayed")) +
                 "flush chain inet %s loss\n" % TABLE)
        self.relay.stdin.write("delay 0 0\n")
        self.relay.stdin.flush()

    def close(self):
        self.relay.stdin.close()
        try:
            self.relay.wait(2)
        except subprocess.TimeoutExpired:
            self.relay.kill()
            self.relay.wait()


class Stutter(threading.Thread):
    """Lets a process run for a fraction of the time: a slow machine, disk included."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()

    def run(self):
        try:
            while not self.over.is_set():
                os.kill(self.pid, signal.SIGSTOP)
                time.sleep(0.03)
                os.kill(self.pid, signal.SIGCONT)
                time.sleep(0.01)
        except ProcessLookupError:
            pass


class Nemesis(DiskFaults):
    """`step` injects one fault, holds it, undoes it."""

    # name -> weight; leaders die most often, because that is what availability is measured by
    WEIGHTS = {"kill_leader": 30, "kill_follower": 8, "stop_leader": 5, "pause_leader": 8, "pause_follower": 4,
               "stutter_leader": 5, "cut_leader": 8, "cut_leader_in": 6, "cut_leader_out": 6, "cut_follower": 4,
               "loss": 6, "delay": 6, "kill_all": 2, "slow_disk_leader": 7, "slow_disk_follower": 4,
               "full_disk_leader": 7, "full_disk_follower": 4, "failing_disk_leader": 4, "failing_disk_follower": 3,
               "power_leader": 5, "power_follower": 4}

    def __init__(self, masters, chance, say):
        self.masters, self.chance, self.say = masters, chance, say
        self.wires = {m: Wires(m) for m in masters.all}
        self.starting = []
        self.kills = []  # times at which a leader was killed
        self.was_leader = None  # when the fault began
        self.reads_while_refused = 0  # asked of a master whose disk took no writes
        self.slow = []  # from when to when a disk was slow
        self.log = []
        self.problems = []  # what did not hold while a fault lasted

    def close(self):
        for w in self.wires.values():
            w.close()
        for p in self.starting:
            p.kill()
            p.wait()

    def choose(self):
        names = list(self.WEIGHTS)
        return self.chance.choices(names, [self.WEIGHTS[n] for n in names])[0]

    def step(self, name):
        self.masters.until_all_answer()
        leader = self.was_leader = self.masters.leader()
        others = [m for m in self.masters.all if m is not leader]
        follower = self.chance.choice(others)
        seconds = self.chance.uniform(1.0, 2.5)
        victim = follower if name.endswith("follower") else leader
        self.say("%s: %s (leader %s) for %.1f s" % (name, victim.name, leader.name, seconds))
        self.log.append((time.monotonic(), name, victim.name))
        getattr(self, name)(victim, others if victim is leader else [m for m in self.masters.all if m is not victim],
                            seconds)

    def restart(self, master):
        self.starting.append(master.start())
        self.starting = [p for p in self.starting if p.poll() is None]

    def kill_leader(self, victim, _, seconds):
        self.kills.append(time.monotonic())
        victim.kill9()
        time.sleep(seconds)
        self.restart(victim)

    def kill_follower(self, victim, _, seconds):
        victim.kill9()
        time.sleep(seconds)
        self.restart(victim)

    def power(self, victim, _, seconds):
        """A machine without power: its process is dead, and so is what it had not synced. One at a time, and only while
        all have everything. Its syncs are slow before, so that it dies in one more often than not."""
        self.masters.until_ready()
        damaged = os.path.join(victim.disk.directory, "damaged-*")
        before = glob.glob(damaged)
        victim.disk.slow(100, 300)
        try:
            time.sleep(0.3)  # until one has begun
            if victim is self.was_leader:
                self.kills.append(time.monotonic())
            victim.kill9()
        finally:
            victim.disk.heal()
        self.say("  " + victim.disk.cut_power(self.chance.randrange(1 << 32)))
        time.sleep(seconds)
        self.restart(victim)
        self.masters.until_all_answer()
        if glob.glob(damaged) != before:
            self.problems.append("%s took a loss of power for damage" % victim.name)

    power_leader = power_follower = power

    def stop_leader(self, victim, _, seconds):
        victim.stop()
        time.sleep(seconds)
        self.restart(victim)

    def kill_all(self, victim, others, seconds):
        for m in [victim] + others:
            m.kill9()
        for m in [victim] + others:
            self.restart(m)

    def pause(self, victim, _, seconds):
        victim.signal(signal.SIGSTOP)
        try:
            time.sleep(seconds)
        finally:
            victim.signal(signal.SIGCONT)

    pause_leader = pause_follower = pause

    def stutter_leader(self, victim, _, seconds):
        s = Stutter(victim.pid)
        s.start()
        time.sleep(seconds)
        s.over.set()
        s.join()

    def cut(self, victim, others, seconds, incoming, outgoing):
        self.wires[victim].cut(others, incoming, outgoing)
        try:
            time.sleep(seconds)
        finally:
            self.wires[victim].heal()

    def cut_leader(self, victim, others, seconds):
        self.cut(victim, others, seconds, True, True)

    cut_follower = cut_leader

    def cut_leader_in(self, victim, others, seconds):
        self.cut(victim, others, seconds, True, False)

    def cut_leader_out(self, victim, others, seconds):
        self.cut(victim, others, seconds, False, True)

    def loss(self, victim, others, seconds):
        for w in self.wires.values():
            w.lose(self.chance.choice((5, 15, 30)))
        try:
            time.sleep(seconds + 1)
        finally:
            for w in self.wires.values():
                w.heal()

    def delay(self, victim, others, seconds):
        milliseconds = self.chance.choice((20, 60, 150))
        for m in self.masters.all:
            self.wires[m].slow([x for x in self.masters.all if x is not m], milliseconds, milliseconds)
        try:
            time.sleep(seconds + 1.5)
        finally:
            for w in self.wires.values():
                w.heal()

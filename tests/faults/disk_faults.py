"""disk_faults: what the nemesis does to disks, and what must hold while one is full: reads go on, a write is refused
with 507 or done by others, and it heals by itself when there is space again."""
import json
import time

from client import Connection, Failed
from workload import NAMESPACE, PATH, PROBES, config_map

HEALED_SECONDS = 5  # after space came back: until every master takes writes again
LIST = PATH.replace(NAMESPACE, PROBES)
PROBE = LIST + "/full-disk"
MIB = 1 << 20


def ask(master, method, path, body=None, timeout=4.0):
    """(code, document); code 0: no answer."""
    c = Connection(master, timeout=timeout)
    try:
        code, text, _ = c.call(method, path, body)
        return code, json.loads(text)
    except (Failed, ValueError):
        return 0, {}
    finally:
        c.close()


class DiskFaults:
    """Part of the nemesis: `masters`, `chance`, `say`, `slow` and `problems` are its own."""

    def slow_disk(self, victim, _, seconds):
        """Slow syncs, or none at all for a while. No more than that master's own answers may suffer."""
        before = victim.disk.late
        stall = self.chance.random() < 0.4
        if stall:
            seconds = self.chance.uniform(1.0, 5.0)
            victim.disk.stall()
        else:
            seconds += 1.0
            low, high = self.chance.choice(((20, 60), (50, 200), (200, 500)))
            victim.disk.slow(low, high)
        self.say("  %s" % ("nothing is written" if stall else "a sync takes %d to %d ms" % (low, high)))
        begun = time.monotonic()
        try:
            time.sleep(seconds)
        finally:
            victim.disk.heal()
        self.slow.append((begun, time.monotonic()))
        if victim.disk.late == before:
            self.problems.append("the slow disk of %s was not felt" % victim.name)

    slow_disk_leader = slow_disk_follower = slow_disk

    def full_disk(self, victim, others, seconds):
        """Seen in time, at the last moment, or only by the write that fails (torn in its middle)."""
        before = victim.disk.refused
        how = self.chance.choice(("low", "brim", "sudden"))
        room, told = {"low": (1 << 50, 32 * MIB), "brim": (self.chance.randrange(8192), 0),
                      "sudden": (self.chance.randrange(65536), 1 << 40)}[how]
        victim.disk.fill(room, told)
        try:
            begun = time.monotonic()
            answers = self.while_full(victim, others)
            time.sleep(max(0.0, begun + seconds + 1.0 - time.monotonic()))
        finally:
            victim.disk.heal()
        self.say("  %s: %s; %d writes to the disk failed; healed after %.1f s" % (
            how, answers, victim.disk.refused - before, self.until_written(victim)))
        if how == "sudden" and victim.disk.refused == before:
            self.problems.append("the full disk of %s was not felt" % victim.name)

    full_disk_leader = full_disk_follower = full_disk

    def while_full(self, victim, others):
        """Asks every master to read and to write. What any of them says must be one of the promised answers."""
        told = []
        for m in [victim] + others:
            stale, _ = ask(m, "GET", LIST + "?resourceVersion=0")
            read, said = ask(m, "GET", LIST)
            write, document = ask(m, "PUT", PROBE, config_map("full-disk", "x", namespace=PROBES))
            told.append("%s %d %d %d" % (m.name, stale, read, write))
            if stale != 200:
                self.problems.append("%s: a read of what is there: %d while the disk of %s is full" % (
                    m.name, stale, victim.name))
            # Who cannot write down a new term is mute in it: one that was surprised while it wrote may be.
            if m is victim:
                self.read_while_full.append(read)
            if read != 200 and (m is not victim or read != 503):
                self.problems.append("%s: a read: %d while the disk of %s is full: %s" % (
                    m.name, read, victim.name, said.get("message", "")))
            if write == 507 and m is not victim:
                self.problems.append("%s: a write: 507 though only the disk of %s is full" % (m.name, victim.name))
            if write == 507 and document.get("reason") != "InsufficientStorage":
                self.problems.append("%s: 507 with another reason: %s" % (m.name, json.dumps(document)))
            if write not in (200, 201, 404, 409, 503, 507):
                self.problems.append("%s: a write: %d while the disk of %s is full: %s" % (
                    m.name, write, victim.name, json.dumps(document)))
        return ", ".join(told)

    def until_written(self, victim):
        """Seconds until the one whose disk was full takes part in a write of its own again."""
        begun = time.monotonic()
        while time.monotonic() < begun + HEALED_SECONDS:
            code, _ = ask(victim, "PUT", PROBE, config_map("full-disk", "healed", namespace=PROBES), timeout=1.0)
            if code in (200, 201):
                return time.monotonic() - begun
            time.sleep(0.02)
        self.problems.append("%s takes no writes %d s after its disk has space again" % (victim.name, HEALED_SECONDS))
        return HEALED_SECONDS

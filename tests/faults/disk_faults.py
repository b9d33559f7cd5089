"""disk_faults: what the nemesis does to disks, and what must hold while one is full or fails to sync: reads go on, a
write is refused or done by others, and it heals by itself when the disk does."""
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
    """Part of the nemesis: `masters`, `chance`, `say`, `slow`, `problems` and `reads_while_refused` are its own."""

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
        how = self.chance.choice(("low", "brim", "sudden"))
        room, told = {"low": (1 << 50, 32 * MIB), "brim": (self.chance.randrange(8192), 0),
                      "sudden": (self.chance.randrange(65536), 1 << 40)}[how]
        victim.disk.fill(room, told)
        refused = self.refusing(victim, others, seconds, "full (%s)" % how, 507)
        if how == "sudden" and refused == 0:
            self.problems.append("the full disk of %s was not felt" % victim.name)

    full_disk_leader = full_disk_follower = full_disk

    def failing_disk(self, victim, others, seconds):
        """Syncs fail. Nobody may count what this master was to hold."""
        victim.disk.fail()
        if self.refusing(victim, others, seconds, "failing", 500) == 0:
            self.problems.append("the failing disk of %s was not felt" % victim.name)

    failing_disk_leader = failing_disk_follower = failing_disk

    def refusing(self, victim, others, seconds, how, refusal):
        """Its disk takes no writes for a second longer than `seconds`, or until all have answered. How often it was
        felt."""
        before = victim.disk.refused
        begun = time.monotonic()
        try:
            answers = self.while_refused(victim, others, how, refusal)
            time.sleep(max(0.0, begun + seconds + 1.0 - time.monotonic()))  # how long the fault lasts
        finally:
            victim.disk.heal()
        refused = victim.disk.refused - before
        self.say("  %s: %s; %d writes or syncs failed; healed after %.1f s" % (
            how, answers, refused, self.until_written(victim)))
        return refused

    def while_refused(self, victim, others, how, refusal):
        """Asks every master to read and to write. What any of them says must be one of the promised answers."""
        disk = "while the disk of %s is %s" % (victim.name, how)
        told = []
        for m in [victim] + others:
            stale, _ = ask(m, "GET", LIST + "?resourceVersion=0")
            read, said = ask(m, "GET", LIST)
            write, document = ask(m, "PUT", PROBE, config_map("full-disk", "x", namespace=PROBES))
            told.append("%s %d %d %d" % (m.name, stale, read, write))
            if stale != 200:
                self.problems.append("%s: a read of what is there: %d %s" % (m.name, stale, disk))
            if m is victim:
                self.reads_while_refused += 1
            if read != 200:
                self.problems.append("%s: a read: %d %s: %s" % (m.name, read, disk, said.get("message", "")))
            if write == refusal and m is not victim:
                self.problems.append("%s: a write: %d, but only %s" % (m.name, write, disk[6:]))
            if write == 507 and document.get("reason") != "InsufficientStorage":
                self.problems.append("%s: 507 with another reason: %s" % (m.name, json.dumps(document)))
            if write not in (200, 201, 404, 409, 503, refusal):
                self.problems.append("%s: a write: %d %s: %s" % (m.name, write, disk, json.dumps(document)))
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

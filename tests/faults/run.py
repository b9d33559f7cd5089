#!/usr/bin/env python3
"""Real masters under faults: every acknowledged write is there at the end, reads were linearizable, watchers missed,
repeated and reordered nothing, and a dead leader was replaced in time. Needs root.

usage: run.py [--minutes M | --seconds S] [--masters N] [--seed S] [--faults NAME,NAME] [--keep]

Exit status 0 when all of that held, 77 with a reason where it cannot run.
"""
import argparse
import datetime
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import Connection, Failed
from disk_faults import LIST
from masters import Masters
from nemesis import Nemesis
from places import CHECKER, DISK_FAULT, POWER_CUT, TROUPE
from workload import NAMESPACE, PATH, PROBES, Creator, Prober, Record, Register, Watcher, config_map

GAP_AIM_SECONDS = 1.5
SETTLE = (1.0, 2.0)  # seconds without a fault between two
GAP_WINDOW = 10.0    # a gap belongs to the kill that it began with


class Run:
    def __init__(self, masters, seed, calm, path):
        self.masters, self.seed, self.calm = masters, seed, calm
        self.begun = time.monotonic()
        self.began = datetime.datetime.utcnow().strftime("%H:%M:%S.%f")
        self.over = threading.Event()
        self.record = Record(path)
        self.surprises = {}
        self.refusals = {}  # code -> how often

    def say(self, text):
        print("%7.1f  %s" % (time.monotonic() - self.begun, text), flush=True)

    def refused(self, code):
        self.refusals[code] = self.refusals.get(code, 0) + 1

    def surprise(self, text):
        """An answer that no fault explains; told once per kind."""
        kind = text[:120]
        if kind not in self.surprises:
            self.say("surprising answer: " + text[:400])
        self.surprises[kind] = self.surprises.get(kind, 0) + 1


def skip_reason():
    if os.geteuid() != 0:
        return "needs root (network namespaces)"
    for tool in ("nft", "nsenter", "ip"):
        if not shutil.which(tool):
            return "needs %s (./dev deps)" % tool
    for program in (TROUPE, CHECKER, DISK_FAULT, POWER_CUT):
        if not os.path.exists(program):
            return "needs %s (./dev build)" % program
    return None


def insist(masters, what, method, path, body=None, wanted=(200, 201), seconds=20):
    """An answer from whoever gives it, until it is one that is wanted."""
    deadline = time.monotonic() + seconds
    last = None
    while time.monotonic() < deadline:
        for m in masters:
            c = Connection(m, timeout=3.0)
            try:
                code, text, _ = c.call(method, path, body)
                if code in wanted:
                    return json.loads(text)
                last = "%d %s" % (code, text[:300])
            except Failed as e:
                last = str(e)
            finally:
                c.close()
        time.sleep(0.1)
    raise RuntimeError("%s: not within %d s: %s" % (what, seconds, last))


def gap_after(kill, successes):
    """The longest pause between two successes that lies in the window after the kill, seconds."""
    before = [t for t in successes if t <= kill]
    inside = [t for t in successes if kill < t <= kill + GAP_WINDOW]
    steps = before[-1:] + inside
    if not before or not inside:
        return GAP_WINDOW
    # Later faults make gaps of their own: only the pause that spans or first follows the kill counts, as long as no
    # other fault can have begun (the victim is still down for a second at least).
    steps = [t for t in steps if t <= kill + 1.0] + [t for t in steps if t > kill + 1.0][:1]
    return max(b - a for a, b in zip(steps, steps[1:])) if len(steps) > 1 else GAP_WINDOW


def longest_pause(begun, ended, successes):
    """Between two successes, while something lasted."""
    inside = [begun] + [t for t in successes if begun < t < ended] + [ended]
    return max(b - a for a, b in zip(inside, inside[1:]))


def quantile(values, q):
    return sorted(values)[min(len(values) - 1, int(q * len(values)))]


def final_reads(run, creators):
    """What every master says at the end: into the record as reads, and compared with each other and with what was
    acknowledged to those who created."""
    lists = {}
    for m in run.masters.all:
        begun = time.monotonic_ns()
        document = insist([m], "the final list of " + m.name, "GET", PATH)
        ended = time.monotonic_ns()
        lists[m.name] = {i["metadata"]["name"]: (i["data"]["v"], i["metadata"]["resourceVersion"])
                         for i in document["items"] if "v" in i.get("data", {})}
        for name, (value, _) in lists[m.name].items():
            run.record.add(op="get", key=NAMESPACE + "/" + name, value=value, start_ns=begun, end_ns=ended,
                           outcome="ok", client=9000)
    problems = []
    first = run.masters.all[0].name
    for name, held in lists.items():
        if held != lists[first]:
            differing = [k for k in set(held) | set(lists[first]) if held.get(k) != lists[first].get(k)]
            problems.append("%s and %s differ in %d objects, e.g. %s: %s and %s" % (
                first, name, len(differing), differing[0], lists[first].get(differing[0]), held.get(differing[0])))
        lost = [n for c in creators for n in c.acknowledged if n not in held]
        if lost:
            problems.append("%d acknowledged objects are not at %s: %s" % (len(lost), name, ", ".join(lost[:5])))
    return problems, sum(len(c.acknowledged) for c in creators)


def inject(run, nemesis, chance, args):
    chosen = args.faults.split(",") if args.faults else None
    end = run.begun + args.seconds
    step = 0
    while time.monotonic() < end:
        name = chosen[step % len(chosen)] if chosen else nemesis.choose()
        nemesis.step(name)
        step += 1
        time.sleep(chance.uniform(*SETTLE))
    return step


def judge(run, nemesis, prober, creators, path, args):
    problems = []
    gaps = [gap_after(k, prober.successes) for k in nemesis.kills]
    problems += [w.problem for w in run.workers if w.problem] + nemesis.problems
    more, acknowledged = final_reads(run, creators)
    problems += more
    run.record.close()
    done = subprocess.run([CHECKER, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout.rstrip())
    if done.returncode != 0:
        problems.append("the recorded history is not what was promised (above)")
    if gaps:
        print("%d leader kills: longest time without a write p50 %.2f s, p99 %.2f s, longest %.2f s (aim: p99 <= %.1f s)"
              % (len(gaps), quantile(gaps, 0.5), quantile(gaps, 0.99), max(gaps), GAP_AIM_SECONDS))
        for kill, gap in zip(nemesis.kills, gaps):
            if gap > GAP_AIM_SECONDS:
                print("the kill at %.1f s: %.2f s without a write" % (kill - run.begun, gap))
        if quantile(gaps, 0.99) > GAP_AIM_SECONDS * args.patience:
            problems.append("a dead leader was replaced too late")
    if nemesis.slow:
        pauses = [longest_pause(begun, ended, prober.successes) for begun, ended in nemesis.slow]
        print("%d slow disks: longest time without a write p50 %.2f s, longest %.2f s" % (
            len(pauses), quantile(pauses, 0.5), max(pauses)))
        if max(pauses) > GAP_AIM_SECONDS * args.patience:
            problems.append("the slow disk of one master held up the others")
    if nemesis.reads_while_refused:
        print("%d linearizable reads asked of masters with a full or failing disk" % nemesis.reads_while_refused)
    print("%d objects created and acknowledged, all looked for on every master; answers: %s" % (
        acknowledged, ", ".join("%s %d" % x for x in sorted(run.record.counts.items()))))
    print("refusals: %s" % (", ".join("%d: %d" % x for x in sorted(run.refusals.items())) or "none"))
    return problems


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--minutes", type=float)
    p.add_argument("--seconds", type=float, default=60)
    p.add_argument("--masters", type=int, default=3)
    p.add_argument("--seed", type=int, default=int(time.time()))
    p.add_argument("--faults", help="these, in turn, instead of chosen by the seed")
    p.add_argument("--calm", type=float, default=1.0, help="factor on the pauses of the clients")
    p.add_argument("--patience", type=float, default=1.0, help="factor on the aim for availability, for busy machines")
    p.add_argument("--keep", action="store_true", help="leave the data and the record")
    args = p.parse_args()
    reason = skip_reason()
    if reason:
        print("SKIP: " + reason)
        return 77
    if args.minutes:
        args.seconds = args.minutes * 60
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("faults: ended"))
    print("faults: seed %d, %d masters, %.0f s" % (args.seed, args.masters, args.seconds), flush=True)
    chance = random.Random(args.seed)
    with Masters(args.masters, keep=args.keep) as masters:
        try:
            return measure(masters, chance, args)
        except BaseException:
            for m in masters.all:
                print("---- %s (end of its log)\n%s" % (m.name, m.log_end()), file=sys.stderr)
            raise


def measure(masters, chance, args):
    masters.until_ready()
    for name in (NAMESPACE, PROBES):
        insist(masters.all, "the namespace", "POST", "/api/v1/namespaces",
               {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}, wanted=(201, 409))
    insist(masters.all, "the object written while a disk is full", "POST", LIST,
           config_map("full-disk", "", namespace=PROBES), wanted=(201, 409))
    path = os.path.join(masters.dir, "history.jsonl")
    run = Run(masters, args.seed, args.calm, path)
    nemesis = Nemesis(masters, chance, run.say)
    prober = Prober(run, 100)
    creators = [Creator(run, 20 + n) for n in range(2)]
    run.workers = [prober] + creators + [Register(run, n) for n in range(5)] + \
                  [Watcher(run, 50 + n) for n in range(len(masters.all))]
    for w in run.workers:
        w.start()
    try:
        time.sleep(1)
        steps = inject(run, nemesis, chance, args)
        run.say("%d faults; healing" % steps)
        masters.until_ready()
        time.sleep(1)  # watchers read to the end
        run.over.set()
        for w in run.workers:
            w.join(10)
        problems = judge(run, nemesis, prober, creators, path, args)
    finally:
        run.over.set()
        nemesis.close()
    for text, count in run.surprises.items():
        print("surprising answer, %d times: %s" % (count, text))
    for text in problems:
        print("FAILED: " + text)
    if problems:
        masters.keep = True
        print("record and logs: %s; time 0 is %s UTC" % (masters.dir, run.began))
    print("faults: seed %d, %d masters, %d faults in %.0f s: %s" % (
        args.seed, args.masters, steps, args.seconds, "as promised" if not problems else "NOT as promised"))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())

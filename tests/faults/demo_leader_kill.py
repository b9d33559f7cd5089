#!/usr/bin/env python3
"""The transcript "killing the leader under kubectl get -w": three masters, a watch at one that follows, writes through
another, kill -9 of the leader in between. Prints commands and what they said. Needs root and kubectl."""
import os
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from masters import Masters


class Watch(threading.Thread):
    """kubectl get -w; prints each line with its time."""

    def __init__(self, tell, master):
        super().__init__(daemon=True)
        self.tell, self.lines = tell, []
        self.process = subprocess.Popen(
            ["kubectl", "--kubeconfig", master.kubeconfig, "get", "configmaps", "-l", "demo=leader-kill", "-w",
             "--output-watch-events"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def run(self):
        for line in self.process.stdout:
            self.lines.append(line)
            self.tell("    watch | " + line.rstrip())


def main():
    begun = time.monotonic()
    lock = threading.Lock()

    def tell(text):
        with lock:
            print("%6.2f  %s" % (time.monotonic() - begun, text), flush=True)

    with Masters(3) as masters:
        masters.until_ready()
        begun = time.monotonic()
        leader = masters.leader()
        others = [m for m in masters.all if m is not leader]
        tell("leader is %s; the watch is at %s, the writes go to %s" % (leader.name, others[0].name, others[1].name))
        tell("$ kubectl get configmaps -l demo=leader-kill -w --output-watch-events   # at %s" % others[0].name)
        watch = Watch(tell, others[0])
        watch.start()

        def create(n):
            sent = time.monotonic()
            done = subprocess.run(["kubectl", "--kubeconfig", others[1].kubeconfig, "create", "-f", "-"], text=True,
                                  stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                  input="apiVersion: v1\nkind: ConfigMap\nmetadata: {name: note-%d, labels: {demo: "
                                        "leader-kill}}\n" % n)
            tell("$ kubectl create …   # %s (%.2f s)" % (done.stdout.strip(), time.monotonic() - sent))
            return done.returncode == 0

        def seen():
            return sum("ADDED" in line for line in watch.lines)

        fine = all([create(n) for n in (1, 2)])
        deadline = time.monotonic() + 10
        while seen() < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        tell("kill -9 %d   # %s, the leader" % (leader.pid, leader.name))
        leader.kill9()
        fine = all([create(n) for n in (3, 4, 5)]) and fine
        deadline = time.monotonic() + 10
        while seen() < 5 and time.monotonic() < deadline:
            time.sleep(0.01)
        now = masters.leader()
        tell("leader is %s now; the watch went on without a break" % now.name)
        tell("$ troupe up -f … --node %s --detach" % leader.name)
        leader.start().wait(30)
        masters.until_ready()
        fine = create(6) and fine
        deadline = time.monotonic() + 10
        while seen() < 6 and time.monotonic() < deadline:
            time.sleep(0.01)
        names = [line.split()[1] for line in watch.lines if line.startswith("ADDED")]
        watch.process.kill()
        wanted = ["note-%d" % n for n in range(1, 7)]
        fine = fine and names == wanted
        tell("the watch saw %s: %s" % (" ".join(names), "each once, in order" if names == wanted else "NOT what was made"))
        return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())

"""What dies comes back: a container's process killed on the host, its supervisor (conmon) killed, the node killed."""
import os
import signal
import time
import unittest

from harness import Case, main, until

POD = """
apiVersion: v1
kind: Pod
metadata: {name: %s}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: 'docker.io/troupe/demo:1'}]
"""


def read(path):
    try:
        with open(path, "rb") as f:
            return f.read().decode(errors="replace")
    except OSError:
        return ""


def processes():
    """{pid: (parent, command line)}"""
    out = {}
    for pid in filter(str.isdigit, os.listdir("/proc")):
        line = read("/proc/%s/stat" % pid)
        if line:
            out[int(pid)] = (int(line.rsplit(")", 1)[1].split()[1]), read("/proc/%s/cmdline" % pid).replace("\0", " "))
    return out


class Deaths(Case):
    def start(self, name):
        self.c.apply(POD % name)
        self.c.kubectl("wait", "--for=condition=Ready", "pod/" + name, "--timeout=30s")
        return self.state(name)

    def state(self, name):
        return self.c.get("pod", name)["status"]["containerStatuses"][0]

    def supervisor_and_main(self, state):
        """Host pids of the container's conmon and of its first process."""
        container = state["containerID"].split("//")[1]
        table = processes()
        conmon = [p for p, (_, line) in table.items() if "conmon" in line.split(" ")[0] and container in line]
        self.assertEqual(len(conmon), 1)
        children = [p for p, (parent, _) in table.items() if parent == conmon[0]]
        self.assertEqual(len(children), 1)
        return conmon[0], children[0]

    def came_back(self, name, before):
        def probe():
            s = self.state(name)
            return s["restartCount"] == before["restartCount"] + 1 and s["ready"] and s
        began = time.monotonic()
        after = until("the container was started again", probe, 15)
        self.assertNotEqual(after["containerID"], before["containerID"])
        return after, time.monotonic() - began

    def test_a_process_killed_on_the_host_is_back_within_seconds(self):
        before = self.start("killed")
        os.kill(self.supervisor_and_main(before)[1], signal.SIGKILL)
        after, took = self.came_back("killed", before)
        self.assertEqual(after["lastState"]["terminated"]["exitCode"], 137)
        self.assertLess(took, 3.0)
        self.assertIn("serving", self.c.out("logs", "killed", "--previous"))

    def test_a_killed_conmon_is_noticed_and_its_container_replaced(self):
        before = self.start("unsupervised")
        conmon, first = self.supervisor_and_main(before)
        os.kill(conmon, signal.SIGKILL)
        self.came_back("unsupervised", before)
        until("nothing of the lost container runs on", lambda: first not in processes(), 10)
        self.assertIn("serving", self.c.out("logs", "unsupervised"))
        self.assertEqual(self.c.out("exec", "unsupervised", "--", "hostname").strip(), "unsupervised")

    def test_deaths_while_the_node_was_away_are_noticed_on_return(self):
        before, other = self.start("away-main"), self.start("away-conmon")
        pid, conmon = self.supervisor_and_main(before)[1], self.supervisor_and_main(other)[0]
        self.c.kill9()
        os.kill(pid, signal.SIGKILL)
        os.kill(conmon, signal.SIGKILL)
        self.c.up()
        self.c.ready()
        self.came_back("away-main", before)
        self.came_back("away-conmon", other)

    def test_no_component_was_restarted_by_all_this(self):
        rows = self.c.shell("actors").stdout.splitlines()
        at = rows[0].index("RESTARTS")
        for row in rows[1:]:
            if "pod " not in row and row[at:at + 8].strip():
                self.assertEqual(row[at:at + 8].strip(), "0", row)


if __name__ == "__main__":
    main()

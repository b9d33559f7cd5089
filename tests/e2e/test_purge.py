"""`troupe down --purge` leaves no chain, mount, namespace, cgroup, bridge, process or file behind."""
import glob
import os
import unittest

from harness import ROOT, Cluster, main, run


def traces(cid):
    """Everything on this host that carries the cluster's id."""
    found = []
    for cmd in (["nft", "list", "ruleset"], ["iptables-save"], ["iptables-legacy-save"], ["ip", "-o", "link"],
                ["ip", "netns"]):
        found += [" ".join(cmd) + ": " + line for line in run(cmd, check=False).stdout.splitlines()
                  if cid.lower() in line.lower()]
    with open("/proc/self/mountinfo") as f:
        found += ["mount: " + line for line in f if cid in line]
    for pattern in ("/sys/fs/cgroup/troupe-%s*", "/sys/fs/cgroup/*/troupe-%s*", "/run/troupe/%s"):
        found += glob.glob(pattern % cid)
    return found


def processes(*needles):
    found = []
    for p in glob.glob("/proc/[0-9]*/cmdline"):
        try:
            with open(p) as f:
                line = f.read().replace("\0", " ")
        except OSError:
            continue
        if any(n in line for n in needles) and p != "/proc/%d/cmdline" % os.getpid():
            found.append(line)
    return found


class Purge(unittest.TestCase):
    def check(self, mode):
        with Cluster(mode) as c:
            c.ready()
            c.import_demo()
            with open(os.path.join(ROOT, "configs/demo/demo.yaml")) as f:
                c.apply(f.read().replace("nodePort: 30080", "nodePort: %d" % c.node_ports[0]))
            c.kubectl("rollout", "status", "deployment/demo", "--timeout=60s")
            cid = c.id
            self.assertTrue(traces(cid), "the test looks in the right places")
            self.assertTrue(processes(c.data))
            c.down("--purge")
            self.assertEqual(traces(cid), [])
            self.assertEqual(processes(c.data), [])
            self.assertFalse(os.path.exists(c.data), os.listdir(c.data) if os.path.exists(c.data) else "")

    def test_after_iptables_mode(self):
        self.check("iptables")

    def test_after_nftables_mode(self):
        self.check("nftables")

    def test_down_alone_keeps_containers_running(self):
        with Cluster() as c:
            c.ready()
            c.import_demo()
            c.kubectl("run", "keep", "--image=docker.io/troupe/demo:1")
            c.kubectl("wait", "--for=condition=Ready", "pod/keep", "--timeout=30s")
            before = c.get("pod", "keep")["status"]["containerStatuses"][0]["containerID"]
            c.down()
            self.assertTrue(processes(c.data), "conmon goes on")
            c.up()
            c.ready()
            after = c.get("pod", "keep")["status"]["containerStatuses"][0]
            self.assertEqual(after["containerID"], before)
            self.assertEqual(after["restartCount"], 0)


if __name__ == "__main__":
    main()

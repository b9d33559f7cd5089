"""Two clusters side by side on one machine: both serve the demo, and the end of one is no business of the other."""
import os
import unittest

from harness import ROOT, Cluster, main, run, until

DEMO = os.path.join(ROOT, "configs/demo/demo.yaml")


class TwoClusters(unittest.TestCase):
    def start(self, number):
        c = Cluster(name="side%d" % number)
        self.addCleanup(c.close)
        first = 33000 + os.getpid() % 700 + number * 800  # apart from the other one's, and from other tests'
        with open(c.config) as f:
            text = f.read()
        with open(c.config, "w") as f:
            f.write(text.replace("nodePorts: %d-%d" % c.node_ports, "nodePorts: %d-%d" % (first, first + 50)))
        c.node_ports = (first, first + 50)
        c.up()
        c.ready()
        c.import_demo()
        with open(DEMO) as f:
            c.apply(f.read().replace("nodePort: 30080", "nodePort: %d" % first))
        c.kubectl("rollout", "status", "deployment/demo", "--timeout=60s")
        return c

    def answers(self, c):
        """Pod names that the Service of `c` answered with, by cluster address and by node port."""
        ip = c.out("get", "service", "demo", "-o", "jsonpath={.spec.clusterIP}")
        said = ""
        for url in ["http://%s/" % ip] * 12 + ["http://127.0.0.1:%d/" % c.node_ports[0]] * 6:
            said += run(["curl", "-sS", "--max-time", "5", url]).stdout
        return said

    def served(self, c, other=None):
        pods = c.out("get", "pods", "-l", "app=demo", "-o", "jsonpath={.items[*].metadata.name}").split()
        self.assertEqual(len(pods), 3)
        said = until("every replica answers", lambda: (lambda t: all(p in t for p in pods) and t)(self.answers(c)))
        if other:
            foreign = other.out("get", "pods", "-l", "app=demo", "-o", "jsonpath={.items[*].metadata.name}").split()
            self.assertFalse([p for p in foreign if p in said], "the other cluster answered")

    def test_both_serve_and_a_purge_of_one_leaves_the_other_working(self):
        one, two = self.start(0), self.start(1)
        self.assertNotEqual(one.id, two.id)
        self.served(one, two)
        self.served(two, one)
        before = two.get("pods", "-l", "app=demo")["items"]
        one.down("--purge")
        self.served(two)
        after = two.get("pods", "-l", "app=demo")["items"]
        self.assertEqual([p["status"]["containerStatuses"][0]["containerID"] for p in before],
                         [p["status"]["containerStatuses"][0]["containerID"] for p in after])
        two.kubectl("scale", "deployment/demo", "--replicas=4")
        two.kubectl("rollout", "status", "deployment/demo", "--timeout=60s")
        self.assertIn(two.id, run(["ip", "-o", "link"]).stdout)
        self.assertFalse(os.path.exists(os.path.join(one.data, "admin.kubeconfig")))


if __name__ == "__main__":
    main()

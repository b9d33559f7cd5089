"""A user's first ten minutes with kubectl, on real containers."""
import os
import re
import subprocess
import unittest

from harness import ROOT, Case, main, run, until

DEMO = os.path.join(ROOT, "configs/demo/demo.yaml")


def node_port_free(text, c):
    return text.replace("nodePort: 30080", "nodePort: %d" % c.node_ports[0])


class FirstMinutes(Case):
    def names(self):
        return self.c.out("get", "pods", "-l", "app=demo", "-o", "jsonpath={.items[*].metadata.name}").split()

    def answers(self, url, count=12):
        return [run(["curl", "-sS", "--max-time", "5", url]).stdout for _ in range(count)]

    def deploy(self):
        with open(DEMO) as f:
            self.c.apply(node_port_free(f.read(), self.c))
        self.c.kubectl("rollout", "status", "deployment/demo", "--timeout=60s")

    def test_01_apply_makes_three_replicas_that_answer_in_turn(self):
        self.deploy()
        table = self.c.out("get", "pods", "-l", "app=demo")
        self.assertRegex(table.splitlines()[0], r"NAME +READY +STATUS +RESTARTS +AGE")
        self.assertEqual(len(re.findall(r"1/1 +Running", table)), 3, table)
        ip = self.c.out("get", "service", "demo", "-o", "jsonpath={.spec.clusterIP}")
        names = self.names()
        until("every replica answers through the Service",
              lambda: all(any(n in a for a in self.answers("http://%s/" % ip)) for n in names))
        self.assertTrue(any(names[0] in a for a in self.answers("http://127.0.0.1:%d/" % self.c.node_ports[0], 30)))

    def test_02_describe_shows_events_and_containers(self):
        text = self.c.out("describe", "pod", self.names()[0])
        for word in ("Scheduled", "Pulled", "Created", "Started", "docker.io/troupe/demo:1", "Ready"):
            self.assertIn(word, text)

    def test_03_logs_exec_and_cp(self):
        pod = self.names()[0]
        self.assertEqual(self.c.out("exec", pod, "--", "hostname").strip(), pod)
        failed = self.c.kubectl("exec", pod, "--", "sh", "-c", "exit 7", check=False)
        self.assertEqual(failed.returncode, 7)
        piped = self.c.out("exec", "-i", pod, "--", "cat", stdin="hello\n" * 1000)
        self.assertEqual(piped, "hello\n" * 1000)
        src = os.path.join(self.c.dir, "file.txt")
        with open(src, "w") as f:
            f.write("some text\n" * 10000)
        self.c.kubectl("cp", src, "%s:/tmp/file.txt" % pod)
        self.c.kubectl("cp", "%s:/tmp/file.txt" % pod, src + ".back")
        with open(src) as a, open(src + ".back") as b:
            self.assertEqual(a.read(), b.read())

    def test_04_logs_follow_and_tail(self):
        self.c.apply("""
apiVersion: v1
kind: Pod
metadata: {name: talker}
spec:
  restartPolicy: Never
  containers:
  - name: c
    image: docker.io/troupe/demo:1
    command: [sh, -c, 'i=0; while [ $i -lt 20 ]; do echo line $i; i=$((i+1)); sleep 0.1; done']
""")
        follow = self.c.out("logs", "-f", "--pod-running-timeout=30s", "talker") if until(
            "talker has started", lambda: self.c.out("get", "pod", "talker", "-o", "jsonpath={.status.phase}") in
            ("Running", "Succeeded")) else ""
        self.assertEqual(follow.splitlines(), ["line %d" % i for i in range(20)])
        self.assertEqual(self.c.out("logs", "--tail=2", "talker").splitlines(), ["line 18", "line 19"])
        self.assertRegex(self.c.out("logs", "--timestamps", "--tail=1", "talker"), r"^\d{4}-\d\d-\d\dT\S+Z line 19")
        until("talker is Succeeded",
              lambda: self.c.out("get", "pod", "talker", "-o", "jsonpath={.status.phase}") == "Succeeded")
        self.c.kubectl("delete", "pod", "talker")

    def test_05_scale_up_and_down(self):
        self.c.kubectl("scale", "deployment/demo", "--replicas=6")
        self.c.kubectl("rollout", "status", "deployment/demo", "--timeout=60s")
        self.assertEqual(len(self.names()), 6)
        self.c.kubectl("scale", "deployment/demo", "--replicas=2")
        until("two pods are left", lambda: len(self.names()) == 2)

    def test_06_set_image_rolls_and_undo_rolls_back(self):
        self.c.kubectl("set", "image", "deployment/demo", "web=docker.io/troupe/demo:2")
        self.c.kubectl("rollout", "status", "deployment/demo", "--timeout=60s")
        images = self.c.out("get", "pods", "-l", "app=demo", "-o", "jsonpath={.items[*].spec.containers[0].image}")
        self.assertIn("demo:2", images)
        self.assertIn("2", self.c.out("rollout", "history", "deployment/demo"))
        self.c.kubectl("rollout", "undo", "deployment/demo")
        self.c.kubectl("rollout", "status", "deployment/demo", "--timeout=60s")
        until("only the first image runs", lambda: set(self.c.out(
            "get", "pods", "-l", "app=demo", "-o", "jsonpath={.items[*].spec.containers[0].image}").split()) ==
              {"docker.io/troupe/demo:1"})

    def test_07_a_killed_container_comes_back(self):
        pod = self.names()[0]
        before = self.c.get("pod", pod)["status"]["containerStatuses"][0]
        self.c.kubectl("exec", pod, "--", "sh", "-c", "kill 1", check=False)

        def restarted():
            s = self.c.get("pod", pod)["status"]["containerStatuses"][0]
            return s["restartCount"] == before["restartCount"] + 1 and s["ready"]
        until("the container was started again", restarted)

    def test_08_watch_tells_of_a_deletion(self):
        pod = self.names()[0]
        w = subprocess.Popen(["kubectl", "get", "pods", "-l", "app=demo", "-w", "-o", "name"], env=self.c.env,
                             stdout=subprocess.PIPE, text=True)
        try:
            seen = w.stdout.readline()
            self.c.kubectl("delete", "pod", pod, "--wait=false")
            lines = {seen.strip()}
            while len(lines) < 3:  # the two that were there and the replacement
                lines.add(w.stdout.readline().strip())
        finally:
            w.kill()
            w.wait()
            w.stdout.close()

    def test_09_delete_removes_everything(self):
        self.c.kubectl("delete", "-f", DEMO)
        until("no pod is left", lambda: not self.names())
        self.assertEqual(self.c.out("get", "replicasets", "-o", "name"), "")
        until("no endpoint slice is left", lambda: "demo" not in self.c.out("get", "endpointslices", "-o", "name"))


if __name__ == "__main__":
    main()

"""The same walk with every kubectl that lies on this machine: PATH's, and those of other minor versions beside it."""
import glob
import os
import re
import shutil
import subprocess
import unittest

from harness import Case, main, run, until

MANIFEST = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {mode: %s}
"""


def found():
    """(label, path) of PATH's kubectl and of the siblings kubectl.1.NN of the file that it really is."""
    on_path = shutil.which("kubectl")
    clients = [("on PATH", on_path)]
    beside = os.path.join(os.path.dirname(os.path.realpath(on_path)), "kubectl.1.*")
    clients += [(os.path.basename(p), p) for p in sorted(glob.glob(beside)) if os.access(p, os.X_OK)]
    return clients


class KubectlVersions(Case):
    def walk(self, label, kubectl, namespace):
        def k(*args, check=True, stdin=None):
            return run([kubectl, "-n", namespace, *args], check=check, stdin=stdin, env=self.c.env, timeout=90).stdout

        minor = int(re.search(r'(?:v1\.|Minor:")(\d+)', k("version", "--client")).group(1))
        print("%s: kubectl 1.%d" % (label, minor), flush=True)
        k("create", "namespace", namespace)
        k("create", "deployment", "web", "--image=docker.io/troupe/demo:1", "--replicas=2")
        k("rollout", "status", "deployment/web", "--timeout=60s")
        self.assertRegex(k("get", "deployment,replicaset,pods"), r"deployment.apps/web +2/2 +2 +2")
        k("scale", "deployment/web", "--replicas=3")
        k("set", "image", "deployment/web", "demo=docker.io/troupe/demo:2")
        k("rollout", "status", "deployment/web", "--timeout=60s")
        self.assertIn("2", k("rollout", "history", "deployment/web"))
        k("rollout", "undo", "deployment/web")
        k("rollout", "status", "deployment/web", "--timeout=60s")
        image = "-o=jsonpath={.spec.template.spec.containers[0].image}"
        self.assertEqual(k("get", "deployment", "web", image), "docker.io/troupe/demo:1")

        k("label", "deployment/web", "tier=front")
        k("annotate", "deployment/web", "note=hello")
        self.assertIn("web", k("get", "deployments", "-l", "tier=front"))
        k("patch", "deployment/web", "-p", '{"spec":{"replicas":2}}')
        k("patch", "deployment/web", "--type=merge", "-p", '{"metadata":{"labels":{"tier":null}}}')
        k("patch", "deployment/web", "--type=json", "-p", '[{"op":"replace","path":"/spec/replicas","value":1}]')
        self.assertEqual(k("get", "deployment", "web", "-o=jsonpath={.spec.replicas} {.metadata.labels.tier}"), "1 ")
        edited = run(["env", "EDITOR=sed -i s/hello/edited/", kubectl, "-n", namespace, "edit", "deployment/web"],
                     env=self.c.env)
        self.assertIn("edited", edited.stdout)
        self.assertEqual(k("get", "deployment", "web", "-o=jsonpath={.metadata.annotations.note}"), "edited")

        for value, says in (("a", "created"), ("a", "unchanged"), ("b", "configured")):
            self.assertIn("configmap/settings " + says, k("apply", "-f", "-", stdin=MANIFEST % value))
        self.assertIn("mode", k("diff", "-f", "-", stdin=MANIFEST % "c", check=False))
        k("create", "secret", "generic", "s", "--from-literal=p=w")
        k("expose", "deployment", "web", "--port=80", "--target-port=8080")
        k("wait", "--for=condition=Available", "deployment/web", "--timeout=30s")

        until("one pod is left", lambda: len(k("get", "pods", "-o", "name").split()) == 1)
        pod = k("get", "pods", "-o=jsonpath={.items[0].metadata.name}")
        described = k("describe", "pod", pod)
        for word in ("Scheduled", "Started", "docker.io/troupe/demo:1"):
            self.assertIn(word, described)
        self.assertIn("Scaled up replica set", k("describe", "deployment", "web"))
        self.assertIn("serving version 1", k("logs", pod))
        self.assertIn("replicas", k("explain", "deployment.spec.replicas"))
        self.assertIn("yes", k("auth", "can-i", "delete", "pods"))
        if minor >= 24:
            self.assertEqual(len(k("create", "token", "default").strip().split(".")), 3)
        if minor >= 30:  # the first that asks for WebSocket by itself
            self.assertEqual(k("exec", pod, "--", "hostname").strip(), pod)

        with subprocess.Popen([kubectl, "-n", namespace, "get", "configmap", "settings", "-w"], env=self.c.env,
                              stdout=subprocess.PIPE, text=True) as watch:
            self.assertRegex(watch.stdout.readline(), r"NAME +DATA +AGE")
            self.assertRegex(watch.stdout.readline(), r"settings +1 ")
            k("patch", "configmap", "settings", "-p", '{"data":{"more":"x"}}')
            self.assertRegex(watch.stdout.readline(), r"settings +2 ")
            watch.kill()
        k("delete", "deployment", "web")
        k("delete", "-f", "-", stdin=MANIFEST % "b")
        k("delete", "namespace", namespace, "--timeout=60s")
        self.assertNotIn(namespace, k("get", "namespaces", "-o", "name"))

    def test_every_client_on_this_machine(self):
        clients = found()
        have = " ".join(p for _, p in clients)
        for minor in (20, *range(27, 34)):
            if "kubectl.1.%d" % minor not in have:
                print("kubectl 1.%d: not beside PATH's kubectl, tried only if it is that one" % minor, flush=True)
        for number, (label, path) in enumerate(clients):
            with self.subTest(client=label):
                self.walk(label, path, "client-%d" % number)


if __name__ == "__main__":
    main()

"""What the process tells and what it keeps to itself: log levels while running, line form, file modes, no secret."""
import os
import re
import stat
import unittest

from harness import Case, main, until

LINE = re.compile(r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z (trace|debug|info|warning|error|critical) [a-z0-9_-]+ \S")
SECRET = "dont-tell-4711"


class LogsAndSecrets(Case):
    @property
    def log(self):
        with open(os.path.join(self.c.data, self.c.node, "troupe.log")) as f:
            return f.read()

    def test_levels_change_while_running(self):
        self.assertIn("proxy is now debug", self.c.shell("loglevel proxy debug").stdout)
        before = len(self.log)
        self.c.kubectl("create", "service", "clusterip", "noisy", "--tcp=80:8080")
        until("the proxy tells details", lambda: "Z debug proxy " in self.log[before:], 10)
        self.assertNotIn("Z debug controllers ", self.log, "the others keep their level")
        self.c.shell("loglevel proxy info")
        before = len(self.log)
        self.c.kubectl("delete", "service", "noisy")
        self.assertNotIn("Z debug ", self.log[before:])
        wrong = self.c.shell("loglevel prxy debug", check=False)
        self.assertEqual(wrong.returncode, 1)

    def test_every_line_has_time_level_and_component(self):
        for line in self.log.splitlines():
            self.assertRegex(line, LINE)

    def test_no_secret_reaches_the_log_even_at_trace_level(self):
        self.c.shell("loglevel trace")
        self.c.apply("""
apiVersion: v1
kind: Secret
metadata: {name: keep}
stringData: {password: %s}
---
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: c
    image: docker.io/troupe/demo:1
    env: [{name: P, valueFrom: {secretKeyRef: {name: keep, key: password}}}]
    volumeMounts: [{name: v, mountPath: /v}]
  volumes: [{name: v, secret: {secretName: keep}}]
""" % SECRET)
        self.c.kubectl("wait", "--for=condition=Ready", "pod/reader", "--timeout=30s")
        self.assertEqual(self.c.out("exec", "reader", "--", "sh", "-c", "echo $P; cat /v/password"),
                         SECRET + "\n" + SECRET)
        token = self.c.out("create", "token", "default").strip()
        code, _, _ = self.c.call("GET", "/api/v1/namespaces/default/pods", client_certificate=False,
                                 headers={"Authorization": "Bearer " + token})
        self.assertIn(code, (200, 403))
        self.c.call("GET", "/api", client_certificate=False, headers={"Authorization": "Bearer wrong-" + SECRET})
        self.c.call("POST", "/api/v1/namespaces/default/secrets", '{"kind": "Secret", "data": {"a": "%s' % SECRET)
        self.c.kubectl("delete", "pod", "reader")
        self.c.kubectl("delete", "secret", "keep")
        self.c.shell("loglevel info")
        import base64
        for hidden in (SECRET, base64.b64encode(SECRET.encode()).decode(), token, token.split(".")[2]):
            self.assertNotIn(hidden, self.log)
        self.assertNotIn("PRIVATE KEY", self.log)

    def test_keys_and_kubeconfig_are_for_their_owner_alone(self):
        pki = os.path.join(self.c.data, "pki")
        self.assertEqual(stat.S_IMODE(os.stat(pki).st_mode), 0o700)
        keys = [os.path.join(d, f) for d, _, files in os.walk(pki) for f in files]
        self.assertTrue(keys)
        node = os.path.join(self.c.data, self.c.node)
        for path in keys + [self.c.kubeconfig, os.path.join(node, "admin.kubeconfig"),
                            os.path.join(node, "troupe.log")]:
            self.assertEqual(oct(stat.S_IMODE(os.stat(path).st_mode)), "0o600", path)
        self.assertEqual(stat.S_IMODE(os.stat(os.path.join(node, "store")).st_mode), 0o700)

    def test_the_kubeconfig_was_there_before_ready(self):
        self.c.down()
        os.unlink(self.c.kubeconfig)
        self.c.up()  # returns when /readyz says ok
        self.assertEqual(self.c.call("GET", "/readyz")[0], 200)
        self.assertEqual(oct(stat.S_IMODE(os.stat(self.c.kubeconfig).st_mode)), "0o600")
        self.c.ready()


if __name__ == "__main__":
    main()

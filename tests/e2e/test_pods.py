"""What a pod is given: volumes, environment, init containers, probes, limits, hooks, restarts."""
import unittest

from harness import Case, main, until


def pod(name, spec):
    return "apiVersion: v1\nkind: Pod\nmetadata: {name: %s, labels: {app: %s}}\nspec:\n  terminationGracePeriodSeconds: 1\n%s" % (
        name, name, spec)


class Pods(Case):
    def phase(self, name):
        return self.c.out("get", "pod", name, "-o", "jsonpath={.status.phase}", check=False)

    def wait_ready(self, name):
        self.c.kubectl("wait", "--for=condition=Ready", "pod/" + name, "--timeout=30s")

    def finished(self, name, phase="Succeeded"):
        until("%s is %s" % (name, phase), lambda: self.phase(name) == phase)
        return self.c.out("logs", name)

    def test_environment_and_volumes(self):
        self.c.kubectl("create", "configmap", "conf", "--from-literal=key=value", "--from-literal=file.txt=content")
        self.c.kubectl("create", "secret", "generic", "hidden", "--from-literal=password=s3cret")
        self.c.apply(pod("env", """
  restartPolicy: Never
  initContainers:
  - {name: init, image: 'docker.io/troupe/demo:1', command: [sh, -c, 'echo from-init > /shared/f'], volumeMounts: [{name: shared, mountPath: /shared}]}
  containers:
  - name: c
    image: docker.io/troupe/demo:1
    command: [sh, -c]
    args: ['echo $(LIT) $NAME $KEY $PASSWORD; cat /shared/f /conf/file.txt /hidden/password /labels/labels; ls -l /run/t; id -u; echo $CPU']
    env:
    - {name: LIT, value: literal}
    - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
    - {name: KEY, valueFrom: {configMapKeyRef: {name: conf, key: key}}}
    - {name: PASSWORD, valueFrom: {secretKeyRef: {name: hidden, key: password}}}
    - {name: CPU, valueFrom: {resourceFieldRef: {resource: limits.memory}}}
    resources: {limits: {memory: 32Mi}}
    securityContext: {runAsUser: 1234}
    volumeMounts:
    - {name: shared, mountPath: /shared}
    - {name: conf, mountPath: /conf}
    - {name: hidden, mountPath: /hidden, readOnly: true}
    - {name: labels, mountPath: /labels}
    - {name: token, mountPath: /run/t}
  volumes:
  - {name: shared, emptyDir: {}}
  - {name: conf, configMap: {name: conf}}
  - {name: hidden, secret: {secretName: hidden}}
  - {name: labels, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}]}}
  - name: token
    projected: {sources: [{serviceAccountToken: {path: token, expirationSeconds: 3600}}]}
"""))
        log = self.finished("env")
        for word in ("literal env value s3cret", "from-init", "content", 'app="env"', "token", "1234", "33554432"):
            self.assertIn(word, log)

    def test_a_configmap_volume_follows_its_object(self):
        self.c.kubectl("create", "configmap", "live", "--from-literal=k=one")
        self.c.apply(pod("live", """
  containers:
  - {name: c, image: 'docker.io/troupe/demo:1', command: [sleep, '3600'], volumeMounts: [{name: v, mountPath: /v}]}
  volumes: [{name: v, configMap: {name: live}}]
"""))
        self.wait_ready("live")
        self.c.kubectl("patch", "configmap", "live", "-p", '{"data":{"k":"two"}}')
        until("the file changed", lambda: self.c.out("exec", "live", "--", "cat", "/v/k") == "two", 90)

    def test_restart_policy_and_back_off(self):
        self.c.apply(pod("crash", """
  containers: [{name: c, image: 'docker.io/troupe/demo:1', command: [sh, -c, 'echo run; exit 3']}]
"""))

        def backing_off():
            s = self.c.get("pod", "crash")["status"].get("containerStatuses", [{}])[0]
            return s.get("state", {}).get("waiting", {}).get("reason") == "CrashLoopBackOff" and s
        s = until("it is in CrashLoopBackOff", backing_off)
        self.assertEqual(s["lastState"]["terminated"]["exitCode"], 3)
        self.assertIn("CrashLoopBackOff", self.c.out("get", "pod", "crash"))
        until("it was started again", lambda: self.c.get("pod", "crash")["status"]["containerStatuses"][0]["restartCount"] >= 2, 60)
        self.assertIn("run", self.c.out("logs", "--previous", "crash"))

    def test_liveness_restarts_and_readiness_gates(self):
        self.c.apply(pod("probed", """
  containers:
  - name: c
    image: docker.io/troupe/demo:1
    command: [sh, -c, 'touch /tmp/live; sleep 3600']
    livenessProbe: {exec: {command: [test, -e, /tmp/live]}, periodSeconds: 1, failureThreshold: 1}
    readinessProbe: {exec: {command: [test, -e, /tmp/ready]}, periodSeconds: 1}
    startupProbe: {exec: {command: ['true']}, periodSeconds: 1}
"""))
        until("it runs", lambda: self.phase("probed") == "Running")
        self.assertIn("0/1", self.c.out("get", "pod", "probed"))
        self.c.kubectl("exec", "probed", "--", "touch", "/tmp/ready")
        self.wait_ready("probed")
        self.c.kubectl("exec", "probed", "--", "rm", "/tmp/live")
        until("it was restarted",
              lambda: self.c.get("pod", "probed")["status"]["containerStatuses"][0]["restartCount"] >= 1)
        self.assertIn("Unhealthy", self.c.out("describe", "pod", "probed"))

    def test_a_missing_image_says_so(self):
        self.c.apply(pod("noimage", "  containers: [{name: c, image: 'docker.io/troupe/none:1', imagePullPolicy: Never}]\n"))
        until("the reason is shown", lambda: "ErrImageNeverPull" in self.c.out("get", "pod", "noimage"))

    def test_an_unschedulable_pod_says_why(self):
        self.c.apply(pod("toobig", """
  containers: [{name: c, image: 'docker.io/troupe/demo:1', resources: {requests: {cpu: '1000'}}}]
"""))
        until("the reason is an event", lambda: "0/1 nodes are available: 1 Insufficient cpu" in self.c.out("describe", "pod", "toobig"))
        self.assertIn("Pending", self.c.out("get", "pod", "toobig"))

    def test_memory_limit_kills_and_is_told(self):
        self.c.apply(pod("hungry", """
  restartPolicy: Never
  containers:
  - name: c
    image: docker.io/troupe/demo:1
    command: [sh, -c, 'x=a; while true; do x=$x$x; done']
    resources: {limits: {memory: 16Mi}}
"""))
        until("it failed", lambda: self.phase("hungry") == "Failed", 60)
        state = self.c.get("pod", "hungry")["status"]["containerStatuses"][0]["state"]["terminated"]
        self.assertEqual(state["reason"], "OOMKilled", state)

    def test_termination_runs_prestop_and_keeps_to_the_grace(self):
        self.c.apply("""
apiVersion: v1
kind: Pod
metadata: {name: graceful}
spec:
  terminationGracePeriodSeconds: 20
  containers:
  - name: c
    image: docker.io/troupe/demo:1
    command: [sh, -c, 'trap "echo got TERM >> /out/log; exit 0" TERM; while true; do sleep 0.1; done']
    lifecycle: {preStop: {exec: {command: [sh, -c, 'echo prestop >> /out/log']}}}
    volumeMounts: [{name: out, mountPath: /out}]
  volumes: [{name: out, hostPath: {path: %s/out, type: DirectoryOrCreate}}]
""" % self.c.dir)
        self.wait_ready("graceful")
        self.c.kubectl("delete", "pod", "graceful", "--timeout=15s")
        with open(self.c.dir + "/out/log") as f:
            self.assertEqual(f.read(), "prestop\ngot TERM\n")

    def test_exec_with_a_terminal(self):
        self.c.kubectl("run", "tty", "--image=docker.io/troupe/demo:1", "--command", "--", "sleep", "3600")
        self.wait_ready("tty")
        import os
        import pty
        import subprocess
        main_fd, side = pty.openpty()
        p = subprocess.Popen(["kubectl", "exec", "-it", "tty", "--", "sh"], stdin=side, stdout=side, stderr=side,
                             env=self.c.env, start_new_session=True)
        os.close(side)
        os.write(main_fd, b"tty && echo marker-$((40+2))\nexit 5\n")
        text = b""
        try:
            while True:
                piece = os.read(main_fd, 4096)
                if not piece:
                    break
                text += piece
        except OSError:
            pass
        self.assertEqual(p.wait(20), 5)
        os.close(main_fd)
        self.assertIn(b"marker-42", text)
        self.assertIn(b"/dev/pts/", text)


if __name__ == "__main__":
    main()

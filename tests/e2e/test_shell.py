"""actor-shell as a user has it: commands by -c, a script, standard input, and a terminal with keys."""
import os
import pty
import select
import signal
import subprocess
import time
import unittest

from harness import SHELL, Case, main, run

TALKER = """
apiVersion: v1
kind: Pod
metadata: {name: talker, labels: {app: talker}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - {name: c, image: 'docker.io/troupe/demo:1', command: [sh, -c, 'while true; do echo tick; sleep 0.1; done']}
"""


class Terminal:
    """A console on a pseudo terminal: type keys, wait for what must appear."""

    def __init__(self, c):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execve(SHELL, [SHELL, "--data-dir", c.data], dict(c.env, TERM="xterm", COLUMNS="160"))
        self.seen = ""

    def expect(self, text, seconds=20):
        """Reads until `text` has appeared after what was expected before; returns what came up to it."""
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.fd], [], [], left)[0]:
                raise AssertionError("no %r in the console within %d s; it shows %r" % (text, seconds, self.seen))
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:
                raise AssertionError("the console ended before %r; it showed %r" % (text, self.seen))
        before, _, self.seen = self.seen.partition(text)
        return before

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def line(self, text):
        """Types a line and passes its echo, so that later expectations see only what it printed."""
        self.type(text + "\r")
        self.expect("\n")

    def status(self):
        """The exit status, once it ends."""
        while select.select([self.fd], [], [], 10)[0]:
            try:
                self.seen += os.read(self.fd, 65536).decode(errors="replace")
            except OSError:  # the last one who had the terminal open is gone
                return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        raise AssertionError("the console does not end; it shows %r" % self.seen)

    def close(self):
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        os.close(self.fd)


class Shell(Case):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.c.apply(TALKER)
        cls.c.kubectl("wait", "--for=condition=Ready", "pod/talker", "--timeout=30s")

    def terminal(self):
        t = Terminal(self.c)
        self.addCleanup(t.close)
        t.expect("default> ")
        return t

    # ---- unattended
    def test_status_is_zero_only_when_every_command_succeeded(self):
        good = self.c.shell("get pods; raft; images")
        self.assertIn("talker", good.stdout)
        self.assertIn("role: leader", good.stdout)
        self.assertIn("docker.io/troupe/demo:1", good.stdout)
        self.assertEqual(good.stderr, "")
        mixed = self.c.shell("get pods no-such-pod; get pods", check=False)
        self.assertEqual(mixed.returncode, 1)
        self.assertIn("talker", mixed.stdout, "later commands run all the same")
        self.assertIn('pods "no-such-pod" not found', mixed.stderr)

    def test_unknown_words_are_told_with_the_nearest_known_one(self):
        for text, says in (("gte pods", "did you mean get?"), ("xyzzyq", "help lists what there is"),
                           ("get pdos", "did you mean pods?"), ("get pods --namespce=x", "did you mean --namespace?"),
                           ("get", "get what?"), ("get pods 'open", "is not closed"),
                           ("loglevel kubelet loud", "levels are trace, debug"),
                           ("scale deployment/x many", "expected a number"), ("logs", "logs of which pod?")):
            done = self.c.shell(text, check=False)
            self.assertEqual((done.returncode, done.stdout), (1, ""), text)
            self.assertIn(says, done.stderr, text)

    def test_an_empty_command_line_does_nothing(self):
        done = run([SHELL, "--data-dir", self.c.data, "-c", ""], stdin="get pods\n", env=self.c.env)
        self.assertEqual((done.stdout, done.stderr), ("", ""))

    def test_get_shows_several_kinds_and_several_names(self):
        several = self.c.shell("get pods,services").stdout
        self.assertIn("pod/talker", several)
        self.assertIn("service/kubernetes", several)
        self.assertIn("pod/talker", self.c.shell("get all").stdout)
        two = self.c.shell("get namespaces default kube-system").stdout.splitlines()
        self.assertEqual([line.split()[0] for line in two], ["NAME", "default", "kube-system"])
        self.assertEqual(self.c.shell("get pod talker -o name").stdout, "pod/talker\n")
        self.assertIn("name: talker", self.c.shell("get pod talker -o yaml").stdout)

    def test_describe_logs_and_actors(self):
        self.assertIn("Scheduled", self.c.shell("describe pod talker").stdout)
        self.assertEqual(self.c.shell("logs talker --tail 3").stdout, "tick\n" * 3)
        actors = self.c.shell("actors").stdout
        for name in ("MAILBOX", "scheduler", "controllers", "kubelet", "proxy", "dns", "pod default/talker"):
            self.assertIn(name, actors)

    def test_script_stdin_and_kubeconfig(self):
        script = os.path.join(self.c.dir, "steps.ash")
        with open(script, "w") as f:
            f.write("# a comment\nuse kube-system\nget configmaps\n")
        by_script = run([SHELL, "--data-dir", self.c.data, script], env=self.c.env)
        self.assertIn("kube-root-ca.crt", by_script.stdout)
        by_stdin = run([SHELL, "--kubeconfig", self.c.kubeconfig], stdin="get pods\nget nodes; nonsense\n",
                       check=False, env=self.c.env)
        self.assertEqual(by_stdin.returncode, 1)
        self.assertIn("talker", by_stdin.stdout)
        self.assertIn("Ready", by_stdin.stdout)
        self.assertNotIn(">", by_stdin.stdout.replace("<none>", ""), "no prompt where nobody types")

    def test_wrong_invocations_say_what_is_wrong(self):
        both = run([SHELL, "--data-dir", self.c.data, "--kubeconfig", self.c.kubeconfig], check=False, env=self.c.env)
        self.assertEqual(both.returncode, 2)
        self.assertIn("not both", both.stderr)
        none = run([SHELL, "--data-dir", self.c.dir + "/nothing", "-c", "raft"], check=False, env=self.c.env)
        self.assertEqual(none.returncode, 1)
        self.assertIn("troupe up", none.stderr)

    def test_apply_scale_and_delete(self):
        manifest = os.path.join(self.c.dir, "cm.yaml")
        for value, says in (("1", "created"), ("1", "unchanged"), ("2", "configured")):
            with open(manifest, "w") as f:
                f.write("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: by-shell}\ndata: {k: '%s'}\n" % value)
            self.assertEqual(self.c.shell("apply -f " + manifest).stdout, "configmap/by-shell %s\n" % says)
        self.assertEqual(self.c.shell("delete configmap by-shell").stdout, "configmap/by-shell deleted\n")

    # ---- at a terminal
    def test_tab_completes_commands_resources_and_names(self):
        t = self.terminal()
        t.type("desc\t")
        t.expect("ribe ")  # only what completes is drawn
        t.type("pod tal\t")
        t.expect("ker")
        t.type("\r")
        t.expect("Events:")
        t.expect("default> ")

    def test_arrow_up_brings_back_the_last_line_and_a_new_console_remembers(self):
        t = self.terminal()
        t.line("get namespaces")
        t.expect("default> ")
        t.type("\x1b[A")
        t.expect("get namespaces")
        t.type("\r")
        t.expect("kube-system")
        t.expect("default> ")
        t.type("\x04")
        self.assertEqual(t.status(), 0)
        t = self.terminal()
        t.type("\x1b[A")
        t.expect("get namespaces")

    def test_ctrl_d_typed_while_a_command_runs_is_not_lost(self):
        t = self.terminal()
        t.line("get namespaces")  # the terminal is not the line editor's now
        t.type("\x04")
        self.assertEqual(t.status(), 0)
        self.assertIn("kube-system", t.seen)

    def test_ctrl_c_ends_a_stream_and_drops_a_line_but_never_the_console(self):
        t = self.terminal()
        t.line("logs -f talker --tail 1")
        t.expect("tick\r\ntick\r\n")
        t.type("\x03")
        t.expect("\ndefault> ")
        t.line("get pods -w")
        t.expect("talker")
        self.c.kubectl("label", "pod", "talker", "seen=%d" % time.monotonic_ns())
        t.expect("talker")
        t.type("\x03")
        self.assertNotIn("error", t.expect("\ndefault> "))
        t.type("half a line\x03")
        t.expect("\ndefault> ")
        t.line("get pod talker -o name")
        t.expect("pod/talker\r\n")
        t.expect("default> ")
        t.type("\x04")
        self.assertEqual(t.status(), 0)

    def test_a_wrong_command_leaves_the_prompt(self):
        t = self.terminal()
        t.line("get nothing-known")
        t.expect("the server has no resource")
        t.expect("default> ")
        t.line("use kube-system")
        t.expect("kube-system> ")
        t.line("help")
        t.expect("the live tree of actors")
        t.expect("kube-system> ")
        t.line("quit")
        self.assertEqual(t.status(), 0)

    def test_watched_rows_stand_below_their_headings(self):
        p = subprocess.Popen([SHELL, "--data-dir", self.c.data, "-c", "get pods -l app=talker -w"], env=self.c.env,
                             stdout=subprocess.PIPE, text=True)
        try:
            heading, first = p.stdout.readline(), p.stdout.readline()
            self.c.kubectl("annotate", "pod", "talker", "seen=%d" % time.monotonic_ns())
            later = p.stdout.readline()
        finally:
            p.kill()
            p.wait()
            p.stdout.close()
        at = heading.index("STATUS")
        self.assertEqual([line[at:at + 7] for line in (first, later)], ["Running", "Running"])


if __name__ == "__main__":
    main()

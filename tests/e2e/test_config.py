"""What a wrong config, a second `up` and a taken port get: one sentence that says what to do."""
import os
import signal
import socket
import unittest

from harness import TROUPE, Cluster, alive, main, run


class Config(unittest.TestCase):
    def up(self, text):
        c = Cluster()
        self.addCleanup(c.close)
        with open(c.config, "w") as f:
            f.write(text)
        done = run([TROUPE, "up", "-f", c.config, "--data-dir", c.data], check=False)
        self.assertFalse(os.path.exists(c.kubeconfig), "a wrong config must start nothing")
        return done, c.config

    def test_an_unknown_key_names_line_column_and_the_nearest_key(self):
        done, path = self.up("apiVersion: troupe/v1\nkind: TroupeCluster\nnodes:\n- name: a\n  rolez: [master, worker]\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn(path + ":5:3:", done.stderr)
        self.assertIn('did you mean "roles"?', done.stderr)

    def test_a_wrong_value_says_what_was_expected(self):
        done, path = self.up("apiVersion: troupe/v1\nkind: TroupeCluster\nnodes:\n- name: a\n  ports: {api: 70000}\n")
        self.assertEqual(done.returncode, 2)
        self.assertIn(path + ":5:16:", done.stderr)
        self.assertIn("from 1 to 65535", done.stderr)

    def test_broken_yaml_is_reported_with_its_place(self):
        done, path = self.up("apiVersion: [troupe/v1\nkind: x\n")
        self.assertEqual(done.returncode, 2)
        self.assertRegex(done.stderr, r":\d+:\d+: not valid YAML")

    def test_a_missing_file_and_an_unknown_option_end_with_status_2(self):
        self.assertEqual(run([TROUPE, "up", "-f", "/does/not/exist.yaml"], check=False).returncode, 2)
        self.assertEqual(run([TROUPE, "up", "--bogus"], check=False).returncode, 2)
        self.assertEqual(run([TROUPE, "frobnicate"], check=False).returncode, 2)


class Running(unittest.TestCase):
    def test_a_second_up_says_that_it_runs_already(self):
        with Cluster() as c:
            again = c.up()
            self.assertIn("runs already", again.stdout)
            self.assertIn(str(c.pid), again.stdout)

    def test_up_right_after_a_kill_waits_for_the_dying_process(self):
        with Cluster() as c:
            for _ in range(3):
                os.kill(c.pid, signal.SIGKILL)
                self.assertIn("is ready", c.up().stdout)

    def test_a_taken_port_is_one_sentence(self):
        c = Cluster()
        self.addCleanup(c.close)
        with socket.socket() as s:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            s.bind(("0.0.0.0", c.api_port))
            s.listen()
            done = run([TROUPE, "up", "-f", c.config, "--data-dir", c.data, "--detach"], check=False)
        self.assertEqual(done.returncode, 1)
        self.assertIn(str(c.api_port), done.stderr)
        self.assertIn("in use", done.stderr)

    def test_sigterm_stops_the_foreground_process_cleanly(self):
        with Cluster() as c:
            pid = c.pid
            c.down()
            self.assertFalse(alive(pid))
            c.up()
            self.assertNotEqual(c.pid, pid)


if __name__ == "__main__":
    main()

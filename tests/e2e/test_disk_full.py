"""A full disk: writes are refused with 507 and a sentence, reads go on, space heals it, nothing acknowledged is lost."""
import os
import shutil
import subprocess
import unittest

from harness import TROUPE, Cluster, main, run, until

MIB = 1 << 20


class SmallDisk:
    """A tmpfs of its own that a test fills and empties."""

    def __init__(self, path, mib):
        self.path = path
        os.makedirs(path)
        run(["mount", "-t", "tmpfs", "-o", "size=%dm,mode=0700" % mib, "troupe-e2e", path])
        self.ballast = os.path.join(path, "ballast")

    def free(self):
        s = os.statvfs(self.path)
        return s.f_bavail * s.f_frsize

    def fill(self, leave):
        with open(self.ballast, "ab") as f:
            os.posix_fallocate(f.fileno(), f.tell(), max(self.free() - leave, 1))

    def empty(self):
        os.unlink(self.ballast)

    def close(self):
        subprocess.run(["umount", "-l", self.path], check=False)


class DiskFull(unittest.TestCase):
    def setUp(self):
        self.c = Cluster()
        self.addCleanup(shutil.rmtree, self.c.dir, True)
        self.disk = SmallDisk(os.path.join(self.c.dir, "disk"), 384)
        self.addCleanup(self.disk.close)
        self.c.data = os.path.join(self.disk.path, "data")
        self.c.kubeconfig = os.path.join(self.c.data, "admin.kubeconfig")
        self.c.env["KUBECONFIG"] = self.c.kubeconfig
        self.addCleanup(run, [TROUPE, "down", "--data-dir", self.c.data, "--purge"], False, 120)

    def create(self, name):
        code, answer, _ = self.c.call("POST", "/api/v1/namespaces/default/configmaps", {
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": "x" * 1000}})
        return code, answer

    def names(self):
        code, answer, _ = self.c.call("GET", "/api/v1/namespaces/default/configmaps")
        self.assertEqual(code, 200)
        return {i["metadata"]["name"] for i in answer["items"]}

    def test_writes_answer_507_reads_go_on_and_space_heals(self):
        self.c.up()
        self.c.ready()
        acknowledged, refused = set(), []
        for i in range(50):
            self.assertEqual(self.create("before-%d" % i)[0], 201)
            acknowledged.add("before-%d" % i)
        self.disk.fill(leave=8 * MIB)

        def refusal():
            name = "during-%d" % (len(acknowledged) + len(refused))
            code, answer = self.create(name)
            if code == 201:
                acknowledged.add(name)
                return None
            refused.append(name)
            return code, answer
        code, answer = until("a write is refused", refusal)
        self.assertEqual((code, answer["kind"], answer["reason"]), (507, "Status", "InsufficientStorage"))
        self.assertIn("disk", answer["message"])
        said = self.c.kubectl("create", "configmap", "by-kubectl", check=False)
        self.assertNotEqual(said.returncode, 0)
        self.assertIn("disk", said.stderr)
        self.assertEqual(self.c.call("GET", "/livez")[0], 200)
        have = self.names()
        self.assertLessEqual(acknowledged, have)
        self.assertFalse(have & set(refused), "what was refused is not there")

        self.c.kill9()  # a crash while the disk is full costs nothing either
        self.disk.empty()
        self.c.up()
        self.c.ready()
        until("writes are taken again", lambda: self.create("after")[0] == 201)
        have = self.names()
        self.assertLessEqual(acknowledged, have)
        self.assertFalse(have & set(refused))

    def test_space_heals_a_node_that_kept_running(self):
        self.c.up()
        self.c.ready()
        self.disk.fill(leave=8 * MIB)
        until("a write is refused", lambda: self.create("full")[0] == 507)
        self.disk.empty()
        until("writes are taken again", lambda: self.create("healed")[0] == 201)
        self.c.ready()

    def test_up_on_a_full_disk_says_one_sentence(self):
        self.disk.fill(leave=0)
        done = run([TROUPE, "up", "-f", self.c.config, "--data-dir", self.c.data, "--detach"], check=False)
        self.assertNotEqual(done.returncode, 0)
        said = (done.stdout + done.stderr).strip()
        self.assertEqual(len(said.splitlines()), 1, said)
        self.assertRegex(said, r"(?i)no space|disk")


if __name__ == "__main__":
    main()

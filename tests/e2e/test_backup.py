"""Backup of a live cluster, restore into a new one and in place, recover: what is there afterwards, and what is refused."""
import os
import shutil
import subprocess
import unittest

from harness import TROUPE, Cluster, Group, main, run, until


def config_map(name):
    return "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s}\ndata: {v: \"%s\"}\n" % (name, "x" * 2000)


class Backup(unittest.TestCase):
    def setUp(self):
        self.c = Cluster()
        self.addCleanup(self.c.close)
        self.c.up()
        self.c.ready()
        self.file = os.path.join(self.c.dir, "state.backup")

    def say(self, *args, code=0, stdin=""):
        """What a verb said; its exit status is checked."""
        r = subprocess.run([TROUPE, *args], capture_output=True, text=True, timeout=120, input=stdin, env=self.c.env)
        self.assertEqual(r.returncode, code, r.stdout + r.stderr)
        return r.stdout + r.stderr

    def names(self, c):
        return {i["metadata"]["name"] for i in c.get("configmaps")["items"]}

    def revision(self, c):
        return int(c.call("GET", "/api/v1/configmaps")[1]["metadata"]["resourceVersion"])

    def backup(self):
        return self.say("backup", self.file, "--data-dir", self.c.data)

    def test_restored_elsewhere_the_objects_are_there_at_a_newer_revision(self):
        for i in range(30):
            self.c.apply(config_map("before-%d" % i))
        old = self.revision(self.c)
        self.assertIn("checked", self.backup())
        self.assertIn("never overwrites", self.say("backup", self.file, "--data-dir", self.c.data, code=1))
        self.assertEqual(os.stat(self.file).st_mode & 0o777, 0o600)
        self.assertFalse(os.path.exists(self.file + ".partial"))
        self.c.apply(config_map("after"))
        kept = self.names(self.c) - {"after"}
        self.c.down()
        other = Cluster()
        self.addCleanup(other.close)
        said = self.say("restore", self.file, "--data-dir", other.data, "-f", other.config)
        self.assertIn("restored", said)
        other.up()
        other.ready()
        self.assertEqual(self.names(other), kept)
        self.assertNotEqual(other.id, self.c.id)
        self.assertGreater(self.revision(other), old + 1000000000)
        code, answer, _ = other.call("GET", "/api/v1/configmaps?watch=1&timeoutSeconds=5&resourceVersion=%d" % old)
        self.assertIn("410", "%s %s" % (code, answer))
        other.apply(config_map("later"))
        self.assertIn("later", self.names(other))
        with open(os.path.join(other.data, other.node, "history.log")) as f:
            self.assertRegex(f.read(), r"^20\d\d-.*Z restore: \d+ objects from ")

    def test_in_place_and_what_is_refused(self):
        self.c.apply(config_map("kept"))
        self.backup()
        self.c.apply(config_map("lost"))
        store = os.path.join(self.c.data, self.c.node, "store")
        where = ["--data-dir", self.c.data, "--node", self.c.node]
        self.assertIn("holds a store already", self.say("restore", self.file, *where, code=1))
        self.assertIn("stop it first", self.say("recover", *where, "--yes", code=1))
        self.c.down()
        self.assertIn("holds a store already", self.say("restore", self.file, *where, code=1))
        shutil.move(store, store + ".old")
        bent = self.file + ".bent"
        with open(self.file, "rb") as f:
            data = bytearray(f.read())
        data[len(data) // 2] ^= 4
        with open(bent, "wb") as f:
            f.write(data)
        self.assertRegex(self.say("restore", bent, *where, code=1), r"damaged at byte \d+: checksum mismatch")
        with open(bent, "wb") as f:
            f.write(data[:1000])
        self.assertRegex(self.say("restore", bent, *where, code=1), r"cut off|damaged at byte")
        self.assertIn("cannot read", self.say("restore", self.file + ".none", *where, code=1))
        self.say("restore", self.file, *where)
        self.c.up()
        self.c.ready()
        names = self.names(self.c)
        self.assertIn("kept", names)
        self.assertNotIn("lost", names)

    def test_recover_asks_and_keeps_everything(self):
        for i in range(10):
            self.c.apply(config_map("kept-%d" % i))
        before = self.names(self.c)
        self.c.kill9()
        where = ["--data-dir", self.c.data, "--node", self.c.node]
        self.assertIn("nothing was changed", self.say("recover", *where, code=1, stdin="yes\n"))
        self.assertIn("is the whole group now", self.say("recover", *where, stdin=self.c.id + "\n"))
        self.c.up()
        self.c.ready()
        self.assertEqual(self.names(self.c), before)
        with open(os.path.join(self.c.data, self.c.node, "history.log")) as f:
            self.assertIn(" recover: member 1 is the whole group now", f.read())
        self.assertIn("no cluster.json", self.say("recover", "--data-dir", self.c.dir, "--node", "x", code=1))

    def test_a_backup_that_cannot_be_had_leaves_nothing_behind(self):
        self.c.down()
        said = self.say("backup", self.file, "--data-dir", self.c.data, code=1)
        self.assertIn("cannot reach", said)
        self.assertEqual([f for f in os.listdir(self.c.dir) if f.startswith("state.backup")], [])
        self.assertIn("name the file", self.say("backup", code=2))
        self.assertNotEqual(run([TROUPE, "backup", self.file, "--data-dir", "/nowhere"], check=False).returncode, 0)


class Masters(unittest.TestCase):
    def setUp(self):
        self.g = Group(3)
        self.addCleanup(self.g.close)
        self.g.up()
        for i in range(5):
            self.g.apply(config_map("kept-%d" % i))

    def names(self, at):
        return {i["metadata"]["name"] for i in self.g.get("configmaps", at=at)["items"]}

    def test_one_survivor_becomes_the_whole_group(self):
        before = self.names("m1")
        self.g.down()
        for lost in ("m2", "m3"):
            shutil.rmtree(os.path.join(self.g.data, lost))
        run([TROUPE, "recover", "--data-dir", self.g.data, "--node", "m1", "--yes"])
        self.g.start("m1")
        self.assertEqual(self.names("m1"), before)
        self.g.apply(config_map("later"), at="m1")
        self.assertIn("later", self.names("m1"))

    def test_a_damaged_master_is_repaired_by_the_others(self):
        self.g.kill9("m2")
        self.g.apply(config_map("meanwhile"), at="m1")
        store = os.path.join(self.g.data, "m2", "store")
        data = os.path.join(store, "data-1")
        wal = max((os.path.join(data, f) for f in os.listdir(data) if f.endswith(".log")), key=os.path.getsize)
        with open(wal, "r+b") as f:
            f.seek(os.path.getsize(wal) // 2)
            byte = f.read(1)[0]
            f.seek(-1, os.SEEK_CUR)
            f.write(bytes([byte ^ 0x55]))
        self.g.start("m2")
        self.assertIn("damaged-1", os.listdir(store))
        with open(os.path.join(self.g.data, "m2", "troupe.log")) as f:
            self.assertIn("the store is damaged", f.read())

        def repaired():
            with open(os.path.join(store, "member")) as f:
                return "\ndamage \n" in f.read()
        until("the others have given everything back", repaired)
        self.assertIn("meanwhile", self.names("m2"))


if __name__ == "__main__":
    main()

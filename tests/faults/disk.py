"""disk: the control of disk_fault.cpp: makes the disk of each master slow, full or failing, and well again; or lets it
lose its power."""
import mmap
import os
import struct
import subprocess

from places import DISK_FAULT, POWER_CUT

SLOT_BYTES = 280
SLOTS_MAX = 8
# Where the fields of a slot lie (disk_fault.cpp): the name first, then these.
SYNC_US, STALLED, FULL, ROOM, TOLD, LATE, REFUSED, FAILING = 192, 200, 204, 208, 216, 224, 232, 240
TRACKED = 256
ALSO_SYNCED = 1


class Disk:
    """Of one master: what lies beneath its store directory."""

    def __init__(self, control, number, directory):
        self.control, self.at = control, number * SLOT_BYTES
        self.directory = os.path.realpath(directory)
        self.put("192s", 0, self.directory.encode())
        self.put("I", TRACKED, ALSO_SYNCED)  # from its first file on

    def put(self, form, field, *values):
        struct.pack_into("=" + form, self.control, self.at + field, *values)

    def count(self, field):
        return struct.unpack_from("=Q", self.control, self.at + field)[0]

    def slow(self, low_ms, high_ms):
        """Each sync takes so long."""
        self.put("II", SYNC_US, low_ms * 1000, high_ms * 1000)

    def stall(self):
        """Writes and syncs wait until it is well again."""
        self.put("I", STALLED, 1)

    def fill(self, room, told):
        """`room` bytes can still be written; the system says that `told` are free."""
        self.put("q", ROOM, room)
        self.put("Q", TOLD, told)
        self.put("I", FULL, 1)

    def fail(self):
        """Syncs say EIO."""
        self.put("Q", FAILING, 1)

    def cut_power(self, seed):
        """Nobody works on it any more: it becomes what a machine without power could find. Says what was lost."""
        done = subprocess.run([POWER_CUT, self.directory, str(seed)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              text=True, timeout=60)
        if done.returncode != 0:
            raise RuntimeError("power_cut %s %d: %s" % (self.directory, seed, done.stdout))
        return done.stdout.strip()

    def heal(self):
        self.put("III", SYNC_US, 0, 0, 0)
        self.put("I", FULL, 0)
        self.put("Q", FAILING, 0)

    @property
    def late(self):
        return self.count(LATE)

    @property
    def refused(self):
        return self.count(REFUSED)


class Disks:
    """The control file, and one disk for each directory in it. Masters started with `environment` are under it."""

    def __init__(self, path, directories):
        size = SLOTS_MAX * SLOT_BYTES
        if len(directories) > SLOTS_MAX:
            raise ValueError("at most %d masters" % SLOTS_MAX)
        with open(path, "wb+") as f:
            f.truncate(size)
            self.control = mmap.mmap(f.fileno(), size)
        self.environment = dict(os.environ, LD_PRELOAD=DISK_FAULT, TROUPE_FAULT_DISK=path)
        self.all = [Disk(self.control, n, d) for n, d in enumerate(directories)]

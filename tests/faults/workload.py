"""workload: clients that write, compare-and-set, read and watch ConfigMaps, and record every answer.

The record is JSON lines in the form that tests/sim/checkers/history_file.hpp states. What an answer means:
  2xx       it happened
  409       another state was there: nothing happened
  504, or no answer at all    nobody knows
  any other refusal           the server vouches that nothing happened; the checkers will find out when it lies
"""
import json
import random
import threading
import time

from client import Connection, Failed

NAMESPACE = "faults"
PATH = "/api/v1/namespaces/%s/configmaps" % NAMESPACE
PROBES = "faults-probe"  # what is not recorded stays out of the watchers' sight
ROTATE_SECONDS = 15  # keys are abandoned after a while: the fewer operations on one, the cheaper to judge
KEYS = 4


class Record:
    def __init__(self, path):
        self.file = open(path, "w")
        self.lock = threading.Lock()
        self.counts = {}

    def add(self, **fields):
        line = json.dumps(fields, separators=(",", ":"))
        with self.lock:
            self.file.write(line + "\n")
            kind = fields.get("outcome") or fields.get("type")
            self.counts[kind] = self.counts.get(kind, 0) + 1

    def close(self):
        with self.lock:
            self.file.close()


def config_map(name, value, version=None, namespace=NAMESPACE):
    meta = {"name": name, "namespace": namespace}
    if version:
        meta["resourceVersion"] = version
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": {"v": value}}


class Worker(threading.Thread):
    def __init__(self, run, number):
        super().__init__(daemon=True)
        self.run_state, self.number = run, number
        self.chance = random.Random("%d/%d/%s" % (run.seed, number, type(self).__name__))
        self.masters = list(run.masters.all)
        self.chance.shuffle(self.masters)
        self.connections = {}
        self.problem = None

    def connection(self, master, timeout=3.0):
        if master not in self.connections:
            self.connections[master] = Connection(master, timeout)
        return self.connections[master]

    def run(self):
        try:
            self.work()
        except Exception as e:  # a worker that dies must fail the run, not vanish
            self.problem = "%s %d: %r" % (type(self).__name__, self.number, e)
            raise
        finally:
            for c in self.connections.values():
                c.close()

    @property
    def going(self):
        return not self.run_state.over.is_set()


class Register(Worker):
    """One operation after the other on keys that others use too; any master, another one after each failure."""

    def __init__(self, run, number):
        super().__init__(run, number)
        self.values = 0
        self.at = number % len(self.masters)

    def ask(self, method, path, body=None):
        """(code, document or None)"""
        code, text, _ = self.connection(self.masters[self.at]).call(method, path, body)
        if code >= 500 or code == 429:
            self.run_state.refused(code)
            self.at = (self.at + 1) % len(self.masters)
        try:
            return code, json.loads(text)
        except ValueError:
            return code, None

    def perform(self, op, key, method, path, body=None, **fields):
        """Records one operation; the document when it happened."""
        begun = time.monotonic_ns()
        document = None
        try:
            code, document = self.ask(method, path, body)
        except Failed as e:
            self.at = (self.at + 1) % len(self.masters)
            outcome = "fail" if e.certain else "unknown"
        else:
            if 200 <= code < 300 or (op == "get" and code == 404):
                outcome = "ok"
            elif code == 409:
                outcome = "differs"
            elif code == 504:
                outcome = "unknown"
            else:
                outcome = "fail"
                if code not in (404, 503, 429, 507):
                    self.run_state.surprise("%s %s: %d %s" % (method, path, code, json.dumps(document)))
        fields.update(op=op, key=key, start_ns=begun, outcome=outcome, client=self.number)
        if outcome != "unknown":
            fields["end_ns"] = time.monotonic_ns()
        found = document if outcome == "ok" and document and document.get("kind") == "ConfigMap" else None
        if op == "get":
            fields["value"] = found["data"]["v"] if found else None
        elif found and op != "delete":
            fields["rev"] = int(found["metadata"]["resourceVersion"])
        self.run_state.record.add(**fields)
        return found

    def work(self):
        while self.going:
            epoch = int((time.monotonic() - self.run_state.begun) / ROTATE_SECONDS)
            name = "r%d-%d" % (epoch, self.chance.randrange(KEYS))
            self.step(name)
            time.sleep(self.chance.uniform(0.0, 0.04) * self.run_state.calm)

    def value(self):
        self.values += 1
        return "c%d-%d" % (self.number, self.values)

    def step(self, name):
        path, key = PATH + "/" + name, NAMESPACE + "/" + name
        found = self.perform("get", key, "GET", path)
        dice = self.chance.random()
        if found is None:
            if dice < 0.8:
                v = self.value()
                self.perform("create", key, "POST", PATH, config_map(name, v), value=v)
        elif dice < 0.55:
            v = self.value()
            self.perform("cas", key, "PUT", path, config_map(name, v, found["metadata"]["resourceVersion"]), value=v,
                         expected=found["data"]["v"])
        elif dice < 0.75:
            v = self.value()
            self.perform("put", key, "PUT", path, config_map(name, v), value=v)
        elif dice < 0.82:
            self.perform("delete", key, "DELETE", path)


class Creator(Register):
    """Creates objects of its own and never touches them again: each acknowledged one must be there at the end."""

    def __init__(self, run, number):
        super().__init__(run, number)
        self.acknowledged = []

    def work(self):
        while self.going:
            v = self.value()
            name = "u-" + v
            if self.perform("create", NAMESPACE + "/" + name, "POST", PATH, config_map(name, v), value=v):
                self.acknowledged.append(name)
            time.sleep(self.chance.uniform(0.0, 0.06) * self.run_state.calm)


class Prober(Worker):
    """Writes as fast as answers come and moves on at every failure; the times of its successes are what availability
    is measured by. Not in the record: a patch says nothing that could be compared."""

    def __init__(self, run, number):
        super().__init__(run, number)
        self.successes = []

    def work(self):
        at = 0
        count = 0
        path = PATH.replace(NAMESPACE, PROBES)
        for m in self.masters:
            self.connections[m] = Connection(m, timeout=0.8, connect_timeout=0.25)
        while self.going:
            count += 1
            master = self.masters[at % len(self.masters)]
            try:
                body = config_map("probe", str(count), namespace=PROBES)
                code, _, _ = self.connections[master].call("PUT", path + "/probe", body)
            except Failed:
                code = 0
            if code == 200:
                self.successes.append(time.monotonic())
                time.sleep(0.005)
                continue
            if code == 404:
                try:
                    self.connections[master].call("POST", path, body)
                except Failed:
                    pass
            at += 1
            time.sleep(0.01)


class Watcher(Worker):
    """Follows all ConfigMaps of the namespace; resumes at another master from its last revision."""

    def __init__(self, run, number):
        super().__init__(run, number)
        self.name = "w%d" % number
        self.rev = None

    def note(self, kind, rev, **more):
        self.run_state.record.add(watcher=self.name, type=kind, rev=rev, **more)

    def work(self):
        at = self.number
        while self.going:
            master = self.masters[at % len(self.masters)]
            at += 1
            connection = Connection(master, timeout=4.0)
            try:
                if self.rev is None:
                    self.list(connection)
                else:
                    self.note("RESUMED", self.rev)
                self.follow(connection)
            except Failed:
                time.sleep(0.05)
            finally:
                connection.close()

    def list(self, connection):
        code, text, _ = connection.call("GET", PATH)
        if code != 200:
            raise Failed("list: %d" % code, True)
        self.rev = int(json.loads(text)["metadata"]["resourceVersion"])
        self.note("LISTED", self.rev)

    def follow(self, connection):
        r = connection.send("GET", "%s?watch=true&allowWatchBookmarks=true&resourceVersion=%d" % (PATH, self.rev))
        if r.status == 410:
            return self.expired()
        if r.status != 200:
            raise Failed("watch: %d" % r.status, True)
        while self.going:
            try:
                line = r.readline()
            except OSError as e:
                raise Failed(str(e), False)
            if not line.endswith(b"\n"):
                raise Failed("the stream ended", False)
            event = json.loads(line)
            if self.take(event["type"], event["object"]):
                return

    def take(self, kind, document):
        if kind == "ERROR":
            if document.get("code") == 410:
                self.expired()
            return True
        self.rev = int(document["metadata"]["resourceVersion"])
        if kind == "BOOKMARK":
            self.note(kind, self.rev)
            return False
        name = document["metadata"]["name"]
        if name == "kube-root-ca.crt":
            self.note("BOOKMARK", self.rev)
            return False
        fields = {} if kind == "DELETED" else {"value": document["data"]["v"]}
        self.note(kind, self.rev, key=NAMESPACE + "/" + name, **fields)
        return False

    def expired(self):
        self.note("EXPIRED", self.rev)
        self.rev = None

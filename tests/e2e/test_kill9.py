"""kill -9 of the node under write load: every acknowledged write is there, containers were not touched."""
import http.client
import json
import threading
import time
import unittest

from harness import Case, main, until

POD = """
apiVersion: v1
kind: Pod
metadata: {name: survivor}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: c, image: 'docker.io/troupe/demo:1'}]
"""


class Writer(threading.Thread):
    """Creates numbered ConfigMaps until told to stop; remembers which the server acknowledged."""

    def __init__(self, cluster, number):
        super().__init__()
        self.c, self.number, self.acked, self.going = cluster, number, [], True

    def run(self):
        i = 0
        conn = None
        while self.going:
            name = "w%d-%d" % (self.number, i)
            try:
                conn = conn or self.c.https()
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"v": "x" * 200}}
                conn.request("POST", "/api/v1/namespaces/default/configmaps", json.dumps(body),
                             {"Content-Type": "application/json"})
                r = conn.getresponse()
                r.read()
                if r.status == 201:
                    self.acked.append(name)
                i += 1
            except (OSError, http.client.HTTPException):
                if conn:
                    conn.close()
                conn = None
                i += 1
        if conn:
            conn.close()


class Kill9(Case):
    def container_pid(self):
        return int(self.c.out("exec", "survivor", "--", "sh", "-c", "cat /proc/1/stat").split()[21])

    def test_acknowledged_writes_and_containers_survive(self):
        self.c.apply(POD)
        self.c.kubectl("wait", "--for=condition=Ready", "pod/survivor", "--timeout=30s")
        before = self.c.get("pod", "survivor")
        started = self.container_pid()  # start time of pid 1 in jiffies: the same only for the same process
        writers = [Writer(self.c, n) for n in range(4)]
        for w in writers:
            w.start()
        try:
            for round_number in range(5):
                goal = sum(len(w.acked) for w in writers) + 200
                until("writes go on", lambda: sum(len(w.acked) for w in writers) >= goal)
                self.c.kill9()
                t = time.monotonic()
                self.c.up()
                self.c.ready()
                took = time.monotonic() - t
                print("Ready again after %.2f s" % took, flush=True)
                self.assertLess(took, 2.0, "Ready again")
        finally:
            for w in writers:
                w.going = False
            for w in writers:
                w.join()
        have = {i["metadata"]["name"] for i in
                self.c.call("GET", "/api/v1/namespaces/default/configmaps")[1]["items"]}
        lost = [n for w in writers for n in w.acked if n not in have]
        self.assertEqual(lost, [])
        after = self.c.get("pod", "survivor")
        self.assertEqual(before["status"]["containerStatuses"][0]["containerID"],
                         after["status"]["containerStatuses"][0]["containerID"])
        self.assertEqual(after["status"]["containerStatuses"][0]["restartCount"], 0)
        self.assertEqual(self.container_pid(), started)


if __name__ == "__main__":
    main()

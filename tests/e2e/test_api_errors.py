"""What bad input gets: the Kubernetes status code, reason and causes; nothing stored; the process unharmed."""
import json
import socket
import ssl
import unittest

from harness import Case, main, run, until

CM = "/api/v1/namespaces/default/configmaps"


def cm(name, **more):
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, **more}


class ApiErrors(Case):
    demo = False

    def expect(self, code, reason, method, path, body=None, **kw):
        got, doc, headers = self.c.call(method, path, body, **kw)
        self.assertEqual(got, code, doc)
        self.assertEqual(doc["kind"], "Status", doc)
        self.assertEqual(doc["reason"], reason, doc)
        return doc

    def tearDown(self):
        self.assertEqual(self.c.call("GET", "/livez")[0], 200, "the process is unharmed")

    def test_malformed_bodies(self):
        for body in ("{", "", "[]", '"x"', "{\"kind\":}", "\x00\x01", "{" * 100000):
            self.expect(400, "BadRequest", "POST", CM, body)
        self.expect(400, "BadRequest", "POST", CM, "a: [b", content_type="application/yaml")
        self.expect(422, "Invalid", "POST", CM, b"k8s\x00", content_type="application/vnd.kubernetes.protobuf")
        for body in (b"k8s\x00\xff\xff\xff\xff\xff", b"k8s\x00\x0a\x7f" + b"\x00" * 10):
            self.expect(400, "BadRequest", "POST", CM, body, content_type="application/vnd.kubernetes.protobuf")
        self.expect(415, "UnsupportedMediaType", "POST", CM, "x", content_type="text/plain")

    def test_unknown_fields_are_refused_or_warned_of(self):
        body = cm("strict", bogus=1)
        doc = self.expect(400, "BadRequest", "POST", CM + "?fieldValidation=Strict", body)
        self.assertIn('unknown field "bogus"', doc["message"])
        code, made, headers = self.c.call("POST", CM + "?fieldValidation=Warn", body)
        self.assertEqual(code, 201)
        self.assertIn('unknown field', headers["Warning"])
        self.assertNotIn("bogus", made)

    def test_wrong_types_and_bad_names(self):
        doc = self.expect(400, "BadRequest", "POST", "/apis/apps/v1/namespaces/default/deployments",
                          {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "d"},
                           "spec": {"replicas": "many"}})
        self.assertIn("spec.replicas", doc["message"])
        doc = self.expect(422, "Invalid", "POST", CM, cm("Not_A_Name"))
        self.assertEqual(doc["details"]["causes"][0]["field"], "metadata.name")
        body = cm("labels")
        body["metadata"]["labels"] = {"-bad-": "x"}
        self.expect(422, "Invalid", "POST", CM, body)

    def test_conflicts_and_immutable_fields(self):
        self.assertEqual(self.c.call("POST", CM, cm("twice"))[0], 201)
        self.expect(409, "AlreadyExists", "POST", CM, cm("twice"))
        stale = cm("twice", data={"a": "b"})
        stale["metadata"]["resourceVersion"] = "1"
        self.expect(409, "Conflict", "PUT", CM + "/twice", stale)
        dep = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "fixed"}, "spec": {
            "replicas": 0, "selector": {"matchLabels": {"a": "b"}}, "template": {
                "metadata": {"labels": {"a": "b", "c": "d"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}}}
        path = "/apis/apps/v1/namespaces/default/deployments"
        self.assertEqual(self.c.call("POST", path, dep)[0], 201)
        dep["spec"]["selector"] = {"matchLabels": {"c": "d"}}
        doc = self.expect(422, "Invalid", "PUT", path + "/fixed", dep)
        self.assertIn("field is immutable", doc["message"])

    def test_sizes(self):
        self.assertIn(self.c.call("POST", CM, cm("big", data={"v": "x" * 1100000}))[0], (413, 422))
        self.expect(413, "RequestEntityTooLarge", "POST", CM, "x" * 3200000)

    def test_unknown_paths_kinds_and_methods(self):
        for path in ("/nothing", "/api/v9/pods", "/apis/none/v1/x", "/api/v1/nonsense"):
            code, body, _ = self.c.call("GET", path)
            self.assertEqual(code, 404, body)
        self.expect(404, "NotFound", "GET", CM + "/missing")
        self.expect(405, "MethodNotAllowed", "DELETE", "/api/v1/namespaces")
        self.expect(404, "NotFound", "POST", "/api/v1/namespaces/missing/configmaps", cm("x"))

    def test_credentials(self):
        code, doc, _ = self.c.call("GET", CM, client_certificate=False)
        self.assertIn(code, (401, 403), doc)
        self.expect(401, "Unauthorized", "GET", CM, headers={"Authorization": "Bearer nonsense"},
                    client_certificate=False)

    def test_rbac_is_enforced(self):
        self.c.kubectl("create", "serviceaccount", "limited")
        token = self.c.out("create", "token", "limited").strip()
        auth = {"Authorization": "Bearer " + token}
        doc = self.expect(403, "Forbidden", "GET", CM, headers=auth, client_certificate=False)
        self.assertIn('User "system:serviceaccount:default:limited" cannot list resource "configmaps"', doc["message"])
        self.c.kubectl("create", "role", "reader", "--verb=get,list", "--resource=configmaps")
        self.c.kubectl("create", "rolebinding", "reader", "--role=reader", "--serviceaccount=default:limited")
        code, doc, _ = self.c.call("GET", CM, headers=auth, client_certificate=False)
        self.assertEqual(code, 200, doc)
        self.expect(403, "Forbidden", "POST", CM, cm("no"), headers=auth, client_certificate=False)
        self.assertIn("yes", self.c.out("auth", "can-i", "list", "configmaps", "--as=system:serviceaccount:default:limited"))

    def test_bad_tls_and_garbage_are_harmless(self):
        for garbage in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 100, b""):
            with socket.create_connection(("127.0.0.1", self.c.api_port), timeout=5) as s:
                s.sendall(garbage)
        ctx = self.c.tls()
        for junk in (b"NONSENSE\r\n\r\n", b"GET /" + b"a" * 100000 + b" HTTP/1.1\r\n\r\n",
                     b"POST " + CM.encode() + b" HTTP/1.1\r\nContent-Length: 99999999999999\r\n\r\n"):
            with socket.create_connection(("127.0.0.1", self.c.api_port), timeout=5) as raw:
                with ctx.wrap_socket(raw, server_hostname="127.0.0.1") as s:
                    try:
                        s.sendall(junk)
                        s.recv(1000)
                    except (OSError, ssl.SSLError):
                        pass

    def test_patches(self):
        self.c.call("POST", CM, cm("patched", data={"a": "1"}))
        code, doc, _ = self.c.call("PATCH", CM + "/patched", json.dumps([{"op": "test", "path": "/data/a", "value": "2"}]),
                                   content_type="application/json-patch+json")
        self.assertEqual(code, 422, doc)
        self.expect(415, "UnsupportedMediaType", "PATCH", CM + "/patched", "{}", content_type="application/json")
        code, doc, _ = self.c.call("PATCH", CM + "/patched", {"data": {"a": None, "b": "2"}},
                                   content_type="application/merge-patch+json")
        self.assertEqual((code, doc["data"]), (200, {"b": "2"}))

    def test_media_types(self):
        doc = self.expect(406, "NotAcceptable", "GET", CM, headers={"Accept": "text/html"})
        self.assertIn("only the following media types are accepted: application/json", doc["message"])
        code, _, headers = self.c.call("GET", CM + "/kube-root-ca.crt", headers={"Accept": "*/*"})
        self.assertEqual((code, headers["Content-Type"]), (200, "application/json"))
        code, _, headers = self.c.call("GET", CM, headers={"Accept": "application/yaml"})
        self.assertEqual((code, headers["Content-Type"]), (200, "application/yaml"))
        doc = self.expect(415, "UnsupportedMediaType", "POST", CM, "x", content_type="text/plain")
        self.assertTrue(doc["message"].startswith("the body of the request was in an unknown format"), doc)

    def test_a_large_body_is_refused_however_much_the_client_sends(self):
        doc = self.expect(413, "RequestEntityTooLarge", "POST", CM, "x" * 9000000)
        self.assertEqual(doc["message"], "Request entity too large: limit is 3145728")

    def test_options_out_of_form(self):
        for method, path, kind in (("POST", CM, "CreateOptions"), ("PUT", CM + "/a", "UpdateOptions"),
                                   ("PATCH", CM + "/a", "PatchOptions"), ("DELETE", CM + "/a", "DeleteOptions")):
            body = None if method == "DELETE" else cm("a")
            doc = self.expect(422, "Invalid", method, path + "?dryRun=Some", body,
                              content_type="application/merge-patch+json" if method == "PATCH" else "application/json")
            self.assertEqual(doc["details"]["kind"], kind)
        self.expect(422, "Invalid", "POST", CM + "?fieldValidation=Some", cm("a"))
        self.assertEqual(self.c.call("POST", CM + "?dryRun=All", cm("dry"))[0], 201)
        self.expect(404, "NotFound", "GET", CM + "/dry")

    def test_deletes(self):
        self.c.call("POST", CM, cm("gone"))
        self.expect(409, "Conflict", "DELETE", CM + "/gone", {"preconditions": {"uid": "other"}})
        self.expect(422, "Invalid", "DELETE", CM + "/gone", {"propagationPolicy": "Some"})
        self.expect(422, "Invalid", "DELETE", CM + "/gone", {"propagationPolicy": "Orphan", "orphanDependents": True})
        self.expect(400, "BadRequest", "DELETE", CM + "/gone", "{{")
        code, doc, _ = self.c.call("DELETE", CM + "/gone")
        self.assertEqual((code, doc["status"], doc["details"]["name"]), (200, "Success", "gone"))
        self.expect(404, "NotFound", "DELETE", CM + "/gone")
        self.expect(403, "Forbidden", "DELETE", "/api/v1/namespaces/kube-system")

    def test_exec_names_the_reason_whatever_the_protocol(self):
        for name, more in (("nowhere", {"nodeSelector": {"no": "node"}}), ("imageless", {})):
            self.c.apply(json.dumps({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
                "containers": [{"name": "c", "image": "docker.io/none/none:1", "imagePullPolicy": "Never"}], **more}}))
        until("the pod has a node", lambda: self.c.out("get", "pod", "imageless", "-o", "jsonpath={.spec.nodeName}"))
        for websockets in ("true", "false"):
            env = dict(self.c.env, KUBECTL_REMOTE_COMMAND_WEBSOCKETS=websockets)
            for args, why in ((["nowhere"], "pod nowhere does not have a host assigned"),
                              (["imageless"], 'container not found ("c")'),
                              (["imageless", "-c", "z"], "container z is not valid for pod imageless"),
                              (["missing"], 'pods "missing" not found')):
                done = run(["kubectl", "exec", *args, "--", "ls"], check=False, env=env)
                self.assertNotEqual(done.returncode, 0)
                self.assertIn(why, done.stderr)
        self.c.kubectl("delete", "pod", "nowhere", "imageless", "--now")

    def test_earlier_revisions(self):
        self.c.call("POST", CM, cm("past-1", data={"a": "1"}))
        rev = self.c.call("GET", CM)[1]["metadata"]["resourceVersion"]
        was = self.c.call("GET", CM)[1]
        token = self.c.call("GET", CM + "?limit=1&resourceVersion=" + rev)[1]["metadata"]["continue"]
        self.c.call("POST", CM, cm("past-2"))
        self.c.call("DELETE", CM + "/past-1")
        for restart in (False, True):
            if restart:
                self.c.kill9()
                self.c.up()
            code, doc, _ = self.c.call("GET", CM + "?resourceVersionMatch=Exact&resourceVersion=" + rev)
            self.assertEqual(code, 200, doc)
            self.assertEqual((doc["metadata"]["resourceVersion"], doc["items"]), (rev, was["items"]))
            code, doc, _ = self.c.call("GET", CM + "?continue=" + token)
            self.assertEqual(code, 200, doc)
            self.assertEqual((doc["metadata"]["resourceVersion"], doc["items"]), (rev, was["items"][1:]))

    def test_list_and_watch_versions(self):
        code, doc, _ = self.c.call("GET", CM + "?limit=1&continue=nonsense")
        self.assertEqual(code, 400, doc)
        code, doc, _ = self.c.call("GET", CM + "?resourceVersion=99999999&resourceVersionMatch=NotOlderThan&timeout=1s")
        self.assertEqual(code, 504, doc)
        code, doc, _ = self.c.call("GET", CM + "?resourceVersionMatch=Exact")
        self.assertEqual(code, 422, doc)
        code, doc, _ = self.c.call("GET", CM + "?labelSelector=%21%21")
        self.assertEqual(code, 400, doc)
        code, doc, _ = self.c.call("GET", CM + "?fieldSelector=spec.nonsense%3Dx")
        self.assertEqual(code, 400, doc)


if __name__ == "__main__":
    main()

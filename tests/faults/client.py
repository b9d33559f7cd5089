"""client: HTTPS to one master, with an honest account of what became of each request."""
import http.client
import json
import socket
import ssl


class Failed(Exception):
    """`certain`: the request never left, so it has not happened; otherwise it may have."""

    def __init__(self, why, certain):
        super().__init__(why)
        self.certain = certain


class Connection:
    """Keep-alive; made again when it broke."""

    def __init__(self, master, timeout=3.0, connect_timeout=0.5):
        self.master, self.timeout, self.connect_timeout = master, timeout, connect_timeout
        self.conn = None

    def close(self):
        if self.conn:
            self.conn.close()
        self.conn = None

    def open(self):
        m = self.master
        self.conn = http.client.HTTPSConnection(m.host, m.port, context=m.context, timeout=self.connect_timeout)
        try:
            self.conn.connect()
            self.conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.conn.sock.settimeout(self.timeout)
        except (OSError, ssl.SSLError) as e:
            self.close()
            raise Failed("connect to %s: %s" % (m.name, e), True)

    def send(self, method, path, body=None):
        """The response, unread."""
        if not self.conn:
            self.open()
        headers = {"Accept": "application/json"}
        if body is not None:
            body = json.dumps(body)
            headers["Content-Type"] = "application/json"
        try:
            self.conn.request(method, path, body=body, headers=headers)
            return self.conn.getresponse()
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise Failed("%s: %s" % (self.master.name, e or type(e).__name__), False)

    def call(self, method, path, body=None):
        """(code, text, headers)"""
        r = self.send(method, path, body)
        try:
            text = r.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise Failed("%s: %s" % (self.master.name, e or type(e).__name__), False)
        if r.will_close:
            self.close()
        return r.status, text, r.headers

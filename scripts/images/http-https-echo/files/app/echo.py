"""Answers every request with what was asked, as JSON, and writes the same to its output."""

import json
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode("utf-8", "replace")
        parts = urlsplit(self.path)
        forwarded = self.headers.get("X-Forwarded-For", "")
        ips = [ip.strip() for ip in forwarded.split(",") if ip.strip()]
        said = {
            "path": parts.path,
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "method": self.command,
            "body": body,
            "hostname": (self.headers.get("Host") or "").rsplit(":", 1)[0],
            "ip": ips[0] if ips else self.client_address[0],
            "ips": ips,
            "protocol": self.headers.get("X-Forwarded-Proto", "http"),
            "query": {name: values[0] if len(values) == 1 else values for name, values in parse_qs(parts.query).items()},
            "os": {"hostname": socket.gethostname()},
        }
        text = json.dumps(said, indent=2)
        print(text, flush=True)
        content = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


server = Server(("0.0.0.0", int(os.environ.get("HTTP_PORT", "8080"))), Echo)
# As the first process of a container nothing ends this one unless it says so itself.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
print(f"Listening on port {server.server_port} for http.", flush=True)
server.serve_forever()

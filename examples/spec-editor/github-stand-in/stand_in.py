"""The part of GitHub's REST API that the spec editor uses, for a folder in place of a repository.

    python stand_in.py FOLDER      listens on $PORT, else 9000

Tokens: anything that begins with `good`; `limited…` has used up its calls; all others are refused.
Beside the API: GET /stand-in/dispatches says what was started, POST /stand-in/limit {"remaining": N}
sets how many calls are left.
"""

import base64
import hashlib
import json
import os
import re
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

LIMIT = 5000
DOCUMENTATION = "https://docs.github.com/rest"
BRANCHES = ("main",)
WORKFLOWS = ("deploy-pod.yml", "set-retention.yml")


class State:
    """What was started, and how many calls are left."""

    def __init__(self):
        self.lock = threading.Lock()
        self.runs = []
        self.remaining = LIMIT
        self.reset = int(time.time()) + 3600


class Refusal(Exception):
    """An answer that is not 2xx."""

    def __init__(self, status, message, **more):
        super().__init__(message)
        self.status = status
        self.body = {"message": message, **more, "documentation_url": DOCUMENTATION, "status": str(status)}


class GitHub(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 60
    folder = Path(".")
    state = State()

    def do_GET(self):
        self.answer()

    def do_POST(self):
        self.answer()

    def answer(self):
        length = int(self.headers.get("Content-Length") or 0)
        self.sent = json.loads(self.rfile.read(length) or b"{}") if length else {}
        parts = urlsplit(self.path)
        self.query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.limited = False
        try:
            status, body = self.route(self.command, unquote(parts.path))
        except Refusal as refusal:
            status, body = refusal.status, refusal.body
        content = b"" if body is None else (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        if body is not None:
            self.send_header("Content-Type", "text/plain" if isinstance(body, str) else "application/json; charset=utf-8")
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        remaining = 0 if self.limited else self.state.remaining
        for name, value in {
            "Limit": LIMIT, "Remaining": remaining, "Used": LIMIT - remaining, "Reset": self.state.reset, "Resource": "core",
        }.items():
            self.send_header(f"X-RateLimit-{name}", str(value))
        self.end_headers()
        self.wfile.write(content)

    def route(self, method, path):
        if path.startswith("/stand-in/"):
            return self.control(method, path)
        if path == "/zen":
            return 200, "Design for failure."
        self.authorize()
        if (method, path) == ("GET", "/rate_limit"):
            core = {"limit": LIMIT, "remaining": 0 if self.limited else self.state.remaining, "reset": self.state.reset}
            core["used"] = LIMIT - core["remaining"]
            return 200, {"resources": {"core": core, "search": core, "graphql": core}, "rate": core}
        self.count()
        found = re.fullmatch(r"/repos/([\w.-]+)/([\w.-]+)(/.*)?", path)
        if not found:
            raise Refusal(404, "Not Found")
        owner, name, rest = found[1], found[2], found[3] or ""
        self.repository = f"{owner}/{name}"
        if (method, rest) == ("GET", ""):
            return 200, self.about(owner, name)
        if method == "GET" and rest.startswith("/contents"):
            return 200, self.contents(rest.removeprefix("/contents").strip("/"))
        found = re.fullmatch(r"/actions/workflows/([^/]+)(?:/(dispatches|runs))?", rest)
        # A workflow is named by its file or by its number.
        name = {str(number): name for number, name in enumerate(WORKFLOWS, 1)}.get(found[1], found[1]) if found else None
        if name in WORKFLOWS:
            if (method, found[2]) == ("POST", "dispatches"):
                return self.dispatch(name)
            if (method, found[2]) == ("GET", "runs"):
                return 200, self.runs(name)
            if (method, found[2]) == ("GET", None):
                return 200, self.workflow(name)
        raise Refusal(404, "Not Found")

    def control(self, method, path):
        with self.state.lock:
            if (method, path) == ("POST", "/stand-in/limit"):
                self.state.remaining = int(self.sent["remaining"])
                return 200, {"remaining": self.state.remaining}
            if (method, path) == ("GET", "/stand-in/dispatches"):
                return 200, [{"workflow": run["path"], "ref": run["head_branch"], "inputs": run["inputs"]} for run in self.state.runs]
        raise Refusal(404, "Not Found")

    def authorize(self):
        scheme, _, token = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in ("bearer", "token") or not token.startswith(("good", "limited")):
            raise Refusal(401, "Bad credentials")
        self.limited = token.startswith("limited")

    def count(self):
        with self.state.lock:
            if self.limited or self.state.remaining <= 0:
                raise Refusal(403, "API rate limit exceeded for user ID 1.")
            self.state.remaining -= 1

    def here(self):
        return f"http://{self.headers.get('Host', 'localhost')}/repos/{self.repository}"

    def about(self, owner, name):
        return {
            "id": 1, "name": name, "full_name": self.repository, "private": False, "default_branch": "main",
            "owner": {"login": owner, "id": 1, "type": "User"}, "url": self.here(), "html_url": self.here(),
            "permissions": {"admin": False, "push": True, "pull": True},
        }

    def contents(self, path):
        if self.query.get("ref", "main") not in BRANCHES:
            raise Refusal(404, f"No commit found for the ref {self.query['ref']}")
        place = (self.folder / path).resolve()
        if not place.is_relative_to(self.folder) or not place.exists():
            raise Refusal(404, "Not Found")
        if place.is_dir():
            return [self.entry(item) for item in sorted(place.iterdir())]
        text = base64.encodebytes(place.read_bytes()).decode()
        return {**self.entry(place), "content": text, "encoding": "base64"}

    def entry(self, place):
        path = place.relative_to(self.folder).as_posix()
        data = place.read_bytes() if place.is_file() else b""
        url = f"{self.here()}/contents/{path}?ref=main"
        return {
            "name": place.name, "path": path, "type": "file" if place.is_file() else "dir", "size": len(data),
            "sha": hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest(), "url": url, "html_url": url,
            "git_url": url, "download_url": url,
        }

    def workflow(self, name):
        number = WORKFLOWS.index(name) + 1
        url = f"{self.here()}/actions/workflows/{number}"
        return {"id": number, "name": name, "path": f".github/workflows/{name}", "state": "active", "url": url, "html_url": url}

    def dispatch(self, workflow):
        ref = self.sent.get("ref")
        if ref not in BRANCHES:
            raise Refusal(422, f"No ref found for: {ref}")
        inputs = self.sent.get("inputs", {})
        if len(inputs) > 10:
            raise Refusal(422, "you may only define up to 10 `inputs` for a `workflow_dispatch` event")
        with self.state.lock:
            number = len(self.state.runs) + 1
            self.state.runs.append(
                {
                    "id": number, "name": workflow, "path": workflow, "head_branch": ref, "run_number": number,
                    "event": "workflow_dispatch", "status": "queued", "conclusion": None,
                    "created_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                    "url": f"{self.here()}/actions/runs/{number}", "html_url": f"{self.here()}/actions/runs/{number}",
                    "inputs": {name: str(value) for name, value in inputs.items()},
                }
            )
        return 204, None

    def runs(self, workflow):
        with self.state.lock:
            found = [{k: v for k, v in run.items() if k != "inputs"} for run in reversed(self.state.runs) if run["path"] == workflow]
        return {"total_count": len(found), "workflow_runs": found[: int(self.query.get("per_page", "30"))]}

    def log_message(self, form, *values):
        print(form % values, flush=True)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if __name__ == "__main__":
    GitHub.folder = Path(sys.argv[1]).resolve()
    server = Server(("0.0.0.0", int(os.environ.get("PORT", "9000"))), GitHub)
    # As the first process of a container nothing ends this one unless it says so itself.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    print(f"listening on {server.server_port}", flush=True)
    server.serve_forever()

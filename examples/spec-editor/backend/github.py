"""The few calls of GitHub's REST API that the editor needs, and what they say when they fail."""

import base64
import threading
import time
from dataclasses import dataclass
from urllib.parse import quote

import requests


class GitHubError(Exception):
    """A call that failed, in words for the person in front of the page."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


@dataclass
class Rate:
    """How many calls the token has left, and when the count starts anew (seconds since 1970)."""

    limit: int
    remaining: int
    reset: int


class GitHub:
    """One repository, with one token."""

    def __init__(self, api, token, repository, branch):
        self.api = api.rstrip("/")
        self.token = token
        self.repository = repository
        self.branch = branch
        self._session = requests.Session()
        self._session.headers.update(
            {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28", "User-Agent": "spec-editor"}
        )
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

    def rate(self):
        """The rate limit's state. Asking for it costs nothing."""
        core = self._call("GET", "/rate_limit", timeout=2)["resources"]["core"]
        return Rate(core["limit"], core["remaining"], core["reset"])

    def folder(self, path):
        """Names and paths of the files in a folder of the repository."""
        found = self._call("GET", self._contents(path), params={"ref": self.branch})
        if not isinstance(found, list):
            raise GitHubError("not-a-folder", f"{path} is not a folder of {self.repository}")
        return [(item["name"], item["path"]) for item in found if item["type"] == "file"]

    def file(self, path):
        """A file's text."""
        found = self._call("GET", self._contents(path), params={"ref": self.branch})
        return base64.b64decode(found["content"]).decode()

    def dispatch(self, workflow, inputs):
        """Starts a workflow. All inputs are text to GitHub."""
        self._call("POST", f"{self._workflow(workflow)}/dispatches", json={"ref": self.branch, "inputs": inputs})

    def runs(self, workflow):
        """The workflow's latest runs."""
        return self._call("GET", f"{self._workflow(workflow)}/runs", params={"per_page": 10})["workflow_runs"]

    def _contents(self, path):
        return f"/repos/{self.repository}/contents/{quote(path)}"

    def _workflow(self, workflow):
        return f"/repos/{self.repository}/actions/workflows/{quote(workflow, safe='')}"

    def _call(self, method, path, timeout=10, **more):
        if not self.token:
            raise GitHubError("no-token", "GH_TOKEN is not set")
        try:
            answer = self._session.request(method, self.api + path, timeout=timeout, **more)
        except requests.RequestException as error:
            raise GitHubError("unreachable", f"{self.api} can't be reached: {type(error).__name__}") from error
        if answer.ok:
            return answer.json() if answer.content else None
        raise self._failure(answer, path)

    def _failure(self, answer, path):
        try:
            said = answer.json().get("message", "")
        except ValueError:
            said = answer.reason
        if answer.status_code == 401:
            return GitHubError("bad-token", f"GitHub does not accept GH_TOKEN: {said}")
        if answer.status_code in (403, 429) and answer.headers.get("X-RateLimit-Remaining") == "0":
            reset = int(answer.headers.get("X-RateLimit-Reset", "0"))
            return GitHubError("rate-limit", f"GitHub's rate limit is used up until {clock(reset)}")
        if answer.status_code == 404:
            return GitHubError("not-found", f"{path} is not there, or GH_TOKEN may not see it")
        return GitHubError("refused", f"GitHub answered {answer.status_code}: {said}")


def clock(seconds):
    """A moment as people read it."""
    return time.strftime("%H:%M:%S UTC", time.gmtime(seconds))


class State:
    """What GitHub said last, asked again after a while: health is looked at far more often."""

    def __init__(self, github, keep=10, keep_trouble=2):
        self._github = github
        self._keep = keep
        self._keep_trouble = keep_trouble
        self._lock = threading.Lock()
        self._asked = None
        self._said = None

    def now(self):
        """`(http status, body)` of the health page."""
        with self._lock:
            healthy = self._said is not None and self._said[1]["status"] == "healthy"
            keep = self._keep if healthy else self._keep_trouble
            if self._asked is None or time.monotonic() - self._asked > keep:
                self._said = self._ask()
                self._asked = time.monotonic()
            return self._said

    def _ask(self):
        about = {"repository": self._github.repository, "api": self._github.api}
        try:
            rate = self._github.rate()
        except GitHubError as error:
            # Without a token that is accepted nothing works, so a release with one must not go live; all
            # else passes by itself, and the page that explains it should stay reachable.
            hopeless = error.kind in ("no-token", "bad-token")
            status, word = (503, "unhealthy") if hopeless else (200, "degraded")
            return status, {"status": word, "github": {**about, "state": error.kind, "message": str(error)}}
        left = {"limit": rate.limit, "remaining": rate.remaining, "reset": clock(rate.reset)}
        if rate.remaining == 0:
            message = f"GitHub's rate limit is used up until {clock(rate.reset)}"
            return 200, {"status": "degraded", "github": {**about, "state": "rate-limit", "message": message, "rate": left}}
        return 200, {"status": "healthy", "github": {**about, "state": "ok", "rate": left}}

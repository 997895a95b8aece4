"""Starts the API and the agent as they run for real, and looks from outside. `python -m unittest`."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
import unittest
import urllib.error
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


class Running(unittest.TestCase):
    def setUp(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.api = self.start("-m", "uvicorn", "app.main:app", "--port", str(self.port))
        self.until(lambda: self.get("/health").status == 200)

    def start(self, *arguments: str, **variables: str) -> subprocess.Popen:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env={**os.environ, "OPENAI_API_KEY": "test-key", **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.addCleanup(lambda: (process.kill(), process.wait(), process.stdout.close()))
        return process

    def get(self, path: str, **headers: str):
        return urllib.request.urlopen(urllib.request.Request(self.url + path, headers=headers), timeout=5)

    def until(self, holds, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while True:
            try:
                if holds():
                    return
            except OSError:
                pass
            if time.monotonic() > end:
                self.fail("not within its time")
            time.sleep(0.05)

    def stop(self, process: subprocess.Popen) -> str:
        process.send_signal(signal.SIGTERM)
        return process.communicate(timeout=5)[0]

    def test_health_and_documentation(self) -> None:
        health = json.load(self.get("/health"))
        self.assertEqual(health["status"], "healthy")
        self.assertIn("version", health)
        self.assertIn("timestamp", health)
        for page in ("/docs", "/redoc", "/openapi.json"):
            self.assertEqual(self.get(page).status, 200)
        self.assertEqual(json.load(self.get("/integrations")), {"typeform": False, "openai": True})

    def test_only_the_agents_origin_may_read(self) -> None:
        allowed = self.get("/health", Origin="http://localhost:3000")
        self.assertEqual(allowed.headers["access-control-allow-origin"], "http://localhost:3000")
        self.assertIsNone(self.get("/health", Origin="http://evil.example").headers["access-control-allow-origin"])

    def test_lines_are_json_and_the_end_is_clean(self) -> None:
        said = [json.loads(line) for line in self.stop(self.api).splitlines()]
        self.assertIn("stopped cleanly", [line["message"] for line in said])
        self.assertNotIn("test-key", str(said))

    def test_the_agent_moves_workflows_on_and_stops_at_once(self) -> None:
        agent = self.start("-m", "agent", API_URL=self.url, AGENT_INTERVAL="0.1")
        body = json.dumps({"name": "survey"}).encode()
        request = urllib.request.Request(
            self.url + "/workflows", data=body, headers={"content-type": "application/json"}
        )
        self.assertEqual(urllib.request.urlopen(request, timeout=5).status, 201)
        self.until(lambda: len(json.load(self.get("/workflows?state=done"))) == 1)
        begin = time.monotonic()
        said = self.stop(agent)
        self.assertLess(time.monotonic() - begin, 2)
        self.assertIn("stopped cleanly", said)

    def test_a_wrong_setting_stops_the_start(self) -> None:
        process = self.start("-m", "agent", LOG_LEVEL="loud")
        said = process.communicate(timeout=10)[0]
        self.assertNotEqual(process.returncode, 0)
        self.assertIn("LOG_LEVEL is 'loud'", said)


if __name__ == "__main__":
    unittest.main()

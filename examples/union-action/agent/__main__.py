"""The chat-ops agent: asks the API for workflows every few seconds and moves them on."""

import json
import logging
import os
import signal
import threading
import urllib.error
import urllib.request

from app import logs, settings

log = logging.getLogger("agent")


def call(method: str, url: str):
    """One request to the API; its answer as JSON."""
    request = urllib.request.Request(url, method=method, headers={"accept": "application/json"})
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def round_trip(api: str) -> int:
    """Moves every open workflow one state on; says how many there were."""
    moved = 0
    for state in ("running", "waiting"):
        for workflow in call("GET", f"{api}/workflows?state={state}"):
            call("POST", f"{api}/workflows/{workflow['id']}/advance")
            moved += 1
    return moved


def main() -> None:
    known = settings.read()
    logs.configure(known.log_level, known.log_format)
    api = os.environ.get("API_URL", "http://127.0.0.1:8000").rstrip("/")
    pause = float(os.environ.get("AGENT_INTERVAL", "3"))

    # An event that a signal sets ends the wait at once; a sleep would go on.
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())

    log.info("polling", extra={"api": api, "seconds": pause})
    while not stop.is_set():
        try:
            moved = round_trip(api)
            log.log(logging.INFO if moved else logging.DEBUG, "round done", extra={"moved": moved})
        except (urllib.error.URLError, OSError, ValueError) as error:
            # The API may be restarting; the next round tells.
            log.warning("the API doesn't answer", extra={"api": api, "error": str(error)})
        stop.wait(pause)
    log.info("stopped cleanly")


if __name__ == "__main__":
    main()

"""Waits until a probe succeeds, and then becomes another program:

    supervisord-after.py http PORT PATH STATUS TEXT INTERVAL TIMEOUT -- PROGRAM ARGUMENT...
    supervisord-after.py tcp PORT INTERVAL TIMEOUT -- PROGRAM ARGUMENT...
    supervisord-after.py run COUNT WORD... INTERVAL TIMEOUT -- PROGRAM ARGUMENT...

STATUS and TEXT may be empty: any 2xx, any text. Times are in seconds.
"""

import http.client
import os
import socket
import subprocess
import sys
import time


def http_ready(port, path, status, text, timeout):
    connection = http.client.HTTPConnection("127.0.0.1", int(port), timeout=timeout)
    connection.request("GET", path)
    answer = connection.getresponse()
    good = str(answer.status) == status if status else 200 <= answer.status < 300
    return good and text.encode() in answer.read()


def tcp_ready(port, timeout):
    socket.create_connection(("127.0.0.1", int(port)), timeout).close()
    return True


def run_ready(words, timeout):
    return subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=timeout).returncode == 0


kind, rest = sys.argv[1], sys.argv[2:]
count = {"http": 4, "tcp": 1, "run": 1}[kind]
given, rest = rest[:count], rest[count:]
if kind == "run":
    given, rest = rest[: int(given[0])], rest[int(given[0]) :]
interval, timeout, dashes, program = float(rest[0]), float(rest[1]), rest[2], rest[3:]
assert dashes == "--", "no -- before the program"
while True:
    try:
        if kind == "http":
            ready = http_ready(*given, timeout)
        elif kind == "tcp":
            ready = tcp_ready(given[0], timeout)
        else:
            ready = run_ready(given, timeout)
    except (OSError, http.client.HTTPException, subprocess.SubprocessError):
        ready = False
    if ready:
        os.execvp(program[0], program)
    time.sleep(interval)

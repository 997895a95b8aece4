"""Logs as JSON, a line each; a stack trace is a field of its line."""

import json
import logging
import sys
from datetime import datetime, timezone

PLAIN = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class Json(logging.Formatter):
    """A record as one line of JSON; what is given as `extra` becomes fields."""

    def format(self, record):
        said = {
            "time": datetime.fromtimestamp(record.created, timezone.utc).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        said.update((name, value) for name, value in vars(record).items() if name not in PLAIN)
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=False, default=str)


def set_up():
    """All loggers write JSON to the output."""
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Json())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    # Its lines name the address, and the address of Telegram's API has the token in it.
    logging.getLogger("httpx").setLevel(logging.WARNING)

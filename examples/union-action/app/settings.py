"""What the environment says, read once."""

import os
from dataclasses import dataclass

VERSION = "1.0.0"


@dataclass(frozen=True)
class Settings:
    log_level: str
    log_format: str
    agent_origins: tuple[str, ...]
    typeform_api_token: str | None
    openai_api_key: str | None


def read(environment=os.environ) -> Settings:
    """Reads the settings; a wrong value stops the start, where it is noticed, not the first request."""
    level = environment.get("LOG_LEVEL", "info").lower()
    if level not in ("debug", "info", "warning", "error"):
        raise SystemExit(f"LOG_LEVEL is {level!r}; it can be debug, info, warning or error")
    form = environment.get("LOG_FORMAT", "json").lower()
    if form not in ("json", "text"):
        raise SystemExit(f"LOG_FORMAT is {form!r}; it can be json or text")
    origins = environment.get("AGENT_ORIGINS", "http://localhost:3000")
    return Settings(
        log_level=level,
        log_format=form,
        agent_origins=tuple(origin.strip() for origin in origins.split(",") if origin.strip()),
        typeform_api_token=environment.get("TYPEFORM_API_TOKEN") or None,
        openai_api_key=environment.get("OPENAI_API_KEY") or None,
    )

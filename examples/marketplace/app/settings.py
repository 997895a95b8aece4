"""What the environment says, read once."""

import functools
import hashlib
import hmac
import os
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """The app's settings."""

    port: int
    database_url: str
    redis_url: str
    bot_token: str
    telegram_api_url: str
    public_url: str
    rate_per_minute: int

    @property
    def webhook_path(self):
        """Where Telegram delivers: nobody guesses it, and it does not give the token away."""
        return hmac.new(self.bot_token.encode(), b"webhook", hashlib.sha256).hexdigest()[:40]

    def __repr__(self):
        return "Settings(…)"


@functools.cache
def settings():
    """The settings; what is missing is said by name."""
    missing = [name for name in ("DATABASE_URL", "REDIS_URL", "BOT_TOKEN") if not os.environ.get(name)]
    if missing:
        raise SystemExit(f"not set: {', '.join(missing)}")
    return Settings(
        port=int(os.environ.get("PORT", "8000")),
        database_url=os.environ["DATABASE_URL"],
        redis_url=os.environ["REDIS_URL"],
        bot_token=os.environ["BOT_TOKEN"],
        telegram_api_url=os.environ.get("TELEGRAM_API_URL", "https://api.telegram.org").rstrip("/"),
        public_url=os.environ.get("PUBLIC_URL", "").rstrip("/"),
        rate_per_minute=int(os.environ.get("RATE_PER_MINUTE", "60")),
    )

"""Telegram's Bot API, as far as we call it. Its address holds the token and is never said."""

import logging

import httpx

from .settings import settings

log = logging.getLogger(__name__)


class TelegramError(Exception):
    """A call that failed."""


def call(method, **parameters):
    """One call; its result."""
    address = f"{settings().telegram_api_url}/bot{settings().bot_token}/{method}"
    try:
        answer = httpx.post(address, json=parameters, timeout=5)
        said = answer.json()
    except (httpx.HTTPError, ValueError) as error:
        raise TelegramError(f"{method}: {type(error).__name__} at {settings().telegram_api_url}") from None
    if not said.get("ok"):
        raise TelegramError(f"{method}: {said.get('description', answer.status_code)}")
    return said["result"]


def tell(chat, text):
    """A message that nobody waits for; one that can't be sent is logged."""
    try:
        call("sendMessage", chat_id=chat, text=text)
    except TelegramError as error:
        log.warning("a message could not be sent: %s", error)

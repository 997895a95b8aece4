"""The way to Redis: what it holds can be done without, so its absence slows down and breaks nothing."""

import functools
import logging
import time

import redis

from .settings import settings

log = logging.getLogger(__name__)
OFFERS = "offers"


@functools.cache
def client():
    """A pool of connections that gives up soon."""
    return redis.Redis.from_url(settings().redis_url, socket_timeout=0.5, socket_connect_timeout=0.5, decode_responses=True)


def ping():
    """How long it takes to answer, in milliseconds."""
    begun = time.perf_counter()
    client().ping()
    return round((time.perf_counter() - begun) * 1000, 1)


def get(name):
    """What is kept, if anything."""
    try:
        return client().get(name)
    except redis.RedisError as error:
        log.warning("redis can't be read: %s", error)
        return None


def put(name, value, seconds):
    """Keeps a value for a while."""
    try:
        client().set(name, value, ex=seconds)
    except redis.RedisError as error:
        log.warning("redis can't be written: %s", error)


def forget(name):
    """Keeps it no longer."""
    try:
        client().delete(name)
    except redis.RedisError as error:
        log.warning("redis can't be written: %s", error)


def too_many(chat):
    """Whether a chat has asked more often than it may in this minute."""
    name = f"rate:{chat}:{int(time.time() // 60)}"
    try:
        with client().pipeline() as pipeline:
            asked, _ = pipeline.incr(name).expire(name, 120).execute()
    except redis.RedisError as error:
        log.warning("redis can't count: %s", error)
        return False
    return asked > settings().rate_per_minute

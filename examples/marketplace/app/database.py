"""The way to PostgreSQL."""

import functools
import time

from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from .settings import settings


def driver_url(url):
    """The URL as SQLAlchemy names its driver; everyone else says postgres:// or postgresql://."""
    for scheme in ("postgres://", "postgresql://"):
        if url.startswith(scheme):
            return "postgresql+psycopg://" + url.removeprefix(scheme)
    return url


@functools.cache
def engine():
    """A pool of connections, each looked at before use: the database may have been away."""
    return create_engine(
        driver_url(settings().database_url),
        pool_size=10,
        max_overflow=10,
        pool_timeout=5,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={"connect_timeout": 3, "application_name": "marketplace", "options": "-c statement_timeout=5000"},
    )


def session():
    """A session of its own."""
    return Session(engine(), expire_on_commit=False)


def ping():
    """How long the database takes to answer, in milliseconds."""
    begun = time.perf_counter()
    with engine().connect() as connection:
        connection.execute(text("SELECT 1"))
    return round((time.perf_counter() - begun) * 1000, 1)

"""`python -m app` serves."""

import uvicorn

from . import logs
from .settings import settings

logs.set_up()
uvicorn.run(
    "app.main:app",
    host="0.0.0.0",
    port=settings().port,
    log_config=None,
    access_log=False,
    timeout_graceful_shutdown=8,
)

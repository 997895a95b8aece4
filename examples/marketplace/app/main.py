"""The webhook, the page, and the health of both."""

import asyncio
import hmac
import logging
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import redis
from fastapi import BackgroundTasks, Body, FastAPI, HTTPException, Request
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from . import bot, cache, database, offers, telegram
from .settings import settings

log = logging.getLogger(__name__)
here = Path(__file__).parent
app = FastAPI(title="Marketplace")
app.mount("/static", StaticFiles(directory=here / "static"), name="static")
pages = Jinja2Templates(here / "templates")
# Threads of their own, so that health answers while all others wait for a database that hangs.
probes = {
    "database": (database.ping, ThreadPoolExecutor(max_workers=2)),
    "redis": (cache.ping, ThreadPoolExecutor(max_workers=2)),
}
QUIET = ("/health", "/live", "/static")


@app.middleware("http")
async def log_requests(request: Request, call_next):
    """A line for each request; the webhook's address is a secret, so the route is named, not the path."""
    begun = time.perf_counter()
    answer = await call_next(request)
    route = request.scope.get("route")
    path = getattr(route, "path", request.url.path)
    if answer.status_code >= 500 or not path.startswith(QUIET):
        log.info(
            "answered",
            extra={
                "method": request.method,
                "route": path,
                "status": answer.status_code,
                "ms": round((time.perf_counter() - begun) * 1000, 1),
            },
        )
    return answer


@app.exception_handler(DBAPIError)
@app.exception_handler(PoolTimeout)
async def database_away(request: Request, error: SQLAlchemyError):
    """503, so that Telegram delivers again; and why, with the stack trace, in the log."""
    log.error("the database can't be used", exc_info=error)
    if request.url.path == "/":
        return pages.TemplateResponse(request, "away.html", status_code=503)
    return JSONResponse({"detail": "the database can't be used"}, status_code=503)


@app.get("/live")
async def live():
    """The process answers: a restart would mend nothing that is wrong elsewhere."""
    return {"status": "ok", "version": os.environ.get("LANDFALL_RELEASE", "")}


async def _look(name):
    ping, threads = probes[name]
    try:
        return {"status": "ok", "ms": await asyncio.wait_for(asyncio.get_running_loop().run_in_executor(threads, ping), 3)}
    except TimeoutError:
        return {"status": "away", "error": "no answer within 3 s"}
    except (SQLAlchemyError, redis.RedisError) as error:
        # The driver's own words, without the statement; neither holds a password.
        return {"status": "away", "error": str(getattr(error, "orig", None) or error).strip().splitlines()[0]}


@app.get("/health")
async def health():
    """Whether work can be done: the database is needed, the cache can be done without."""
    said = dict(zip(probes, await asyncio.gather(*map(_look, probes))))
    if said["database"]["status"] != "ok":
        return JSONResponse({"status": "unavailable", **said}, status_code=503)
    return {"status": "ok" if said["redis"]["status"] == "ok" else "degraded", **said}


@app.post("/webhook/{secret}")
def webhook(secret: str, later: BackgroundTasks, update: dict = Body()):
    """An update of Telegram; the reply is the answer, which spares a call."""
    if not hmac.compare_digest(secret.encode(), settings().webhook_path.encode()):
        raise HTTPException(404)
    if not isinstance(update.get("update_id"), int):
        raise HTTPException(422, "no update_id")
    chat, said = bot.answer(update)
    if said is None:
        return {}
    for other, text in said.tell:
        later.add_task(telegram.tell, other, text)
    return {"method": "sendMessage", "chat_id": chat, "text": said.text}


@app.get("/")
def index(request: Request):
    """All offers, for people with a browser."""
    with database.session() as session:
        found, (all_, sold) = offers.latest(session), offers.count(session)
    return pages.TemplateResponse(request, "index.html", {"offers": found, "all": all_, "sold": sold})


@app.get("/offers")
def list_offers():
    """The same for programs."""
    with database.session() as session:
        return [
            {"id": offer.id, "title": offer.title, "price": str(offer.price), "seller": offer.seller_name, "buyer": offer.buyer_name}
            for offer in offers.latest(session)
        ]

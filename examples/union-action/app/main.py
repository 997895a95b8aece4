"""The union action: an HTTP API through which the chat-ops agent starts and follows workflows."""

import logging
from contextlib import asynccontextmanager
from datetime import datetime, timezone

from fastapi import FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from app import logs, settings
from app.workflows import NewWorkflow, State, Workflow, Workflows

SETTINGS = settings.read()
logs.configure(SETTINGS.log_level, SETTINGS.log_format)
log = logging.getLogger("api")


class Health(BaseModel):
    """The answer of /health."""

    status: str
    version: str
    timestamp: datetime


class Integrations(BaseModel):
    """Which other services this one is connected to."""

    typeform: bool
    openai: bool


@asynccontextmanager
async def lifespan(_: FastAPI):
    log.info(
        "ready for requests",
        extra={
            "version": settings.VERSION,
            "typeform": SETTINGS.typeform_api_token is not None,
            "openai": SETTINGS.openai_api_key is not None,
        },
    )
    yield
    log.info("stopped cleanly", extra={"workflows": len(workflows.all())})


workflows = Workflows()
app = FastAPI(title="Union Action", version=settings.VERSION, summary=__doc__, lifespan=lifespan)
app.add_middleware(
    CORSMiddleware,
    allow_origins=list(SETTINGS.agent_origins),
    allow_methods=["GET", "POST"],
    allow_headers=["content-type"],
)


@app.exception_handler(Exception)
async def unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", extra={"method": request.method, "path": request.url.path}, exc_info=error)
    return JSONResponse({"detail": "internal error"}, status_code=500)


@app.get("/", tags=["service"])
async def greeting() -> dict[str, str]:
    return {"service": "union-action", "version": settings.VERSION, "docs": "/docs"}


@app.get("/health", tags=["service"])
async def health() -> Health:
    return Health(status="healthy", version=settings.VERSION, timestamp=datetime.now(timezone.utc))


@app.get("/integrations", tags=["service"])
async def integrations() -> Integrations:
    return Integrations(
        typeform=SETTINGS.typeform_api_token is not None,
        openai=SETTINGS.openai_api_key is not None,
    )


@app.get("/workflows", tags=["workflows"])
async def list_workflows(state: State | None = None) -> list[Workflow]:
    return workflows.all(state)


@app.post("/workflows", status_code=201, tags=["workflows"])
async def start_workflow(new: NewWorkflow) -> Workflow:
    workflow = workflows.add(new)
    log.info("workflow added", extra={"workflow": workflow.id, "title": workflow.name})
    return workflow


@app.post("/workflows/{number}/advance", tags=["workflows"])
async def advance_workflow(number: int) -> Workflow:
    workflow = workflows.advance(number)
    if workflow is None:
        raise HTTPException(404, f"no workflow {number}")
    log.info("workflow advanced", extra={"workflow": number, "state": workflow.state.value})
    return workflow

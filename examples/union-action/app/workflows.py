"""The workflows that the agent starts and follows, kept in memory."""

from datetime import datetime, timezone
from enum import Enum
from itertools import count
from threading import Lock

from pydantic import BaseModel, Field


class State(str, Enum):
    """Where a workflow is in its life."""

    waiting = "waiting"
    running = "running"
    done = "done"


class NewWorkflow(BaseModel):
    """What a client sends to start one."""

    name: str = Field(min_length=1, max_length=100, examples=["monthly survey"])
    form: str | None = Field(default=None, description="a Typeform form, if answers start it")


class Workflow(NewWorkflow):
    """A workflow as it stands."""

    id: int
    state: State
    created_at: datetime


class Workflows:
    """All of them; safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._numbers = count(1)
        self._all: dict[int, Workflow] = {}

    def add(self, new: NewWorkflow) -> Workflow:
        with self._lock:
            workflow = Workflow(
                **new.model_dump(),
                id=next(self._numbers),
                state=State.waiting,
                created_at=datetime.now(timezone.utc),
            )
            self._all[workflow.id] = workflow
            return workflow

    def all(self, state: State | None = None) -> list[Workflow]:
        with self._lock:
            return [workflow for workflow in self._all.values() if state in (None, workflow.state)]

    def advance(self, number: int) -> Workflow | None:
        """The next state: waiting, running, done."""
        following = {State.waiting: State.running, State.running: State.done, State.done: State.done}
        with self._lock:
            workflow = self._all.get(number)
            if workflow is not None:
                workflow = workflow.model_copy(update={"state": following[workflow.state]})
                self._all[number] = workflow
            return workflow

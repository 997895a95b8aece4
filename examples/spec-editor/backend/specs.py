"""Specs: YAML files that say which form is shown and which workflow it starts."""

import re
import threading
import time
from dataclasses import dataclass, field

import yaml

TYPES = ("text", "number", "choice", "boolean")


class BadSpec(Exception):
    """A file that is no spec, and why."""


@dataclass
class Field:
    """One input of the workflow."""

    name: str
    label: str
    type: str = "text"
    help: str = ""
    default: str = ""
    required: bool = False
    choices: list = field(default_factory=list)
    pattern: str = ""
    min: int | None = None
    max: int | None = None

    def check(self, value):
        """What is wrong with a value, or nothing."""
        if self.type == "boolean":
            return None
        if not value:
            return "is needed" if self.required else None
        if self.type == "choice" and value not in self.choices:
            return "is none of " + ", ".join(self.choices)
        if self.type == "number":
            if not re.fullmatch(r"-?\d{1,9}", value):
                return "is not a whole number"
            if self.min is not None and int(value) < self.min:
                return f"is less than {self.min}"
            if self.max is not None and int(value) > self.max:
                return f"is more than {self.max}"
        if self.pattern and not re.fullmatch(self.pattern, value):
            return f"does not look like {self.pattern}"
        return None


@dataclass
class Spec:
    """A form and its workflow."""

    name: str
    title: str
    description: str
    workflow: str
    fields: list

    def read(self, form):
        """The workflow's inputs from a submitted form, and what is wrong with them by field."""
        inputs, wrong = {}, {}
        for item in self.fields:
            value = form.get(item.name, "").strip()
            if item.type == "boolean":
                value = "true" if value else "false"
            problem = item.check(value)
            if problem:
                wrong[item.name] = problem
            if value:
                inputs[item.name] = value
        return inputs, wrong


def parse(name, text):
    """A spec from the text of its file."""
    try:
        said = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise BadSpec(f"is no YAML: {error}") from error
    if not isinstance(said, dict) or not isinstance(said.get("fields"), list) or not said.get("workflow"):
        raise BadSpec("needs `workflow` and a list `fields`")
    return Spec(
        name=name,
        title=str(said.get("title", name)),
        description=str(said.get("description", "")),
        workflow=str(said["workflow"]),
        fields=[_field(item) for item in said["fields"]],
    )


def _field(said):
    if not isinstance(said, dict) or not re.fullmatch(r"[a-z][a-z0-9_]*", str(said.get("name", ""))):
        raise BadSpec("has a field without a plain `name`")
    name = said["name"]
    kind = said.get("type", "text")
    if kind not in TYPES:
        raise BadSpec(f"has a field {name} of type {kind}; there are {', '.join(TYPES)}")
    default = said.get("default", "")
    if isinstance(default, bool):
        default = "true" if default else ""
    try:
        re.compile(str(said.get("pattern", "")))
    except re.error as error:
        raise BadSpec(f"has a field {name} with a broken pattern: {error}") from error
    return Field(
        name=name,
        label=str(said.get("label", name)),
        type=kind,
        help=str(said.get("help", "")),
        default=str(default),
        required=bool(said.get("required", False)),
        choices=[str(choice) for choice in said.get("choices", [])],
        pattern=str(said.get("pattern", "")),
        min=said.get("min"),
        max=said.get("max"),
    )


class Specs:
    """The specs of a folder of the repository, read again after a while."""

    def __init__(self, github, path, keep=30):
        self._github = github
        self._path = path
        self._keep = keep
        self._lock = threading.Lock()
        self._read_at = None
        self._specs = {}
        self._broken = {}

    def all(self):
        """`(specs by name, reasons by name of the files that are none)`."""
        with self._lock:
            if self._read_at is None or time.monotonic() - self._read_at > self._keep:
                self._specs, self._broken = self._fetch()
                self._read_at = time.monotonic()
            return self._specs, self._broken

    def _fetch(self):
        specs, broken = {}, {}
        for file, path in sorted(self._github.folder(self._path)):
            name, _, extension = file.rpartition(".")
            if extension not in ("yml", "yaml"):
                continue
            try:
                specs[name] = parse(name, self._github.file(path))
            except BadSpec as error:
                broken[file] = str(error)
        return specs, broken

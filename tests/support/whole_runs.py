"""A tiny study in the working folder, and the engine that its commands reach."""

import sys
from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path

import pytest

from runner.engines.protocol import Launch, Outcome, Owned
from runner.errors import EngineLostError
from runner.lock.file import lock_path, write_lock
from runner.python.interpreters import machine_platform
from runner.read import read
from runner.records.environment import (
    Environment,
    EnvironmentRequest,
    Lock,
    Package,
    Unsupported,
)
from tests.support.fakes import FakeEngine, QuickEngine

PYTHON = ".".join(map(str, sys.version_info[:2]))
MATRIX = f"""\
format: 1
name: tiny
axes:
  model: [one, two]
environment: {{python: "{PYTHON}"}}
experiment: {{script: script.py, data: [numbers.txt]}}
parameters: {{epochs: 5}}
quick: {{epochs: 1}}
metrics:
  x: {{unit: s, better: lower}}
blocks: 2
"""
SCRIPT = """\
import json, os, sys
order = json.load(open(os.environ["PARAMS_PATH"]))
if order["parameters"].get("model") == "broken":
    sys.exit("it broke")
numbers = open(os.path.join(os.environ["DATA_DIR"], "numbers.txt")).read()
values = {"x": float(numbers) * order["parameters"]["epochs"]}
json.dump({"format": 1, "values": values}, open(os.environ["RESULT_PATH"], "w"))
"""


class WatchedEngine(QuickEngine):
    """Remembers its launches, and can be interrupted."""

    def __init__(self) -> None:
        super().__init__()
        self.launches: list[Launch] = []
        self.interrupted_at_trial: int | None = None
        self.forgets_images_at_trial: int | None = None
        self.dies_at_removal = False
        self.left: list[str] = []

    def execute(self, launch: Launch, watch: Callable[[str], None]) -> Outcome:
        if self.interrupted_at_trial == len(self.executed):
            raise KeyboardInterrupt
        if self.forgets_images_at_trial == len(self.executed):
            self.forgets_images_at_trial = None
            self.forget_images()
            raise EngineLostError("an image is gone that was there before")
        self.launches.append(launch)
        return super().execute(launch, watch)

    def discard(self, thing: Owned) -> None:
        if self.dies_at_removal:
            self.dies_at_removal = False
            raise EngineLostError("the engine went away")
        super().discard(thing)

    def close(self) -> None:
        """Remember what a run left, instead of closing."""
        self.left = [thing.label for thing in self.owned() if thing.kind != "image"]


def reachable(monkeypatch: pytest.MonkeyPatch) -> WatchedEngine:
    """Return an engine that every command reaches from now on."""
    engine = WatchedEngine()
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: engine)
    # Otherwise the following tests would only use the cores that one run left them.
    monkeypatch.setattr("runner.pipeline.keep_off_measured", lambda _: None)
    # Blocks take no time here, so their reports would be left out.
    monkeypatch.setattr("runner.pipeline.APART", 0)
    # The packages of the tests are on no index.
    monkeypatch.setattr("runner.python.packages.install", lambda *given: given[2].mkdir())
    # The tests of reports draw; drawing here would take most of the time.
    monkeypatch.setattr("runner.report.figures.changes", lambda *_: None)
    return engine


def declare(text: str = MATRIX, script: str = SCRIPT) -> tuple[EnvironmentRequest, ...]:
    """Write a study into the working folder; return the requests of its cells."""
    Path("script.py").write_text(script)
    Path("numbers.txt").write_text("0.5")
    Path("matrix.yaml").write_text(text)
    return read(Path("matrix.yaml")).requests


def environment(request: EnvironmentRequest) -> Environment:
    """Return the environment of a request: this interpreter and the packages that it names."""
    packages = (
        Package(name=need.distributions[0], version=need.version, hashes=("sha256:" + "0" * 64,))
        for need in request.requirements
    )
    return Environment(
        request=request,
        python=PYTHON,
        platform=machine_platform(),
        as_of=datetime(2026, 1, 1, tzinfo=timezone.utc),
        packages=tuple(packages),
    )


def lock(*entries: Environment | Unsupported) -> None:
    """Write the lock of the study."""
    write_lock(lock_path(Path("matrix.yaml")), Lock(entries=entries))


def study(engine: FakeEngine, text: str = MATRIX, script: str = SCRIPT) -> None:
    """Write a study and its lock, and add all images to the engine."""
    entries = [environment(request) for request in declare(text, script)]
    lock(*entries)
    for entry in entries:
        engine.add_image(entry)

"""Trials of a script on an engine, in an image without packages."""

import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path

import docker

from runner.engines.docker.labels import LABEL
from runner.engines.protocol import Engine, ImageRequest, Launch, Outcome, Reads
from runner.execute import clear
from runner.execute.result import ParsedResult, parse_outcome
from runner.inside import LAUNCHER
from runner.prepare.context import write_context
from runner.prepare.recipe import environment_digest
from runner.python.interpreters import Interpreter
from runner.records.environment import Environment, EnvironmentRequest, Image
from runner.records.run import Guards, Trial, TrialResult
from runner.records.study import Better, Limits, Metric
from runner.system import digest
from runner.system.cores import ALLOWED

Execute = Callable[..., tuple[Outcome, ParsedResult, list[str]]]
"""``executed`` without its first arguments: engine, image and folder."""

RUN = "a-run"
TRIAL = "model=a@b1.1"
METRICS = (Metric(name="x", unit="", better=Better.LOWER, title="x"),)
LIMITS = Limits()
NUMBER = (
    "import json, os; "
    "json.dump({'format': 1, 'values': {'x': 1.5}}, open(os.environ['RESULT_PATH'], 'w'))"
)
REFUSED = """
def refused(attempt):
    try:
        attempt()
    except OSError as error:
        return error.strerror
    return None
"""
"""A function for scripts: it returns why an attempt fails, or None."""
INTERPRETER = Interpreter(
    path=Path(sys.executable).resolve(), version=".".join(map(str, sys.version_info[:3]))
)


def plain_environment(year: int = 2026) -> Environment:
    """Return an environment of this interpreter without packages; each year gives another one."""
    return Environment(
        request=EnvironmentRequest(requirements=(), python=INTERPRETER.minor),
        python=INTERPRETER.minor,
        platform="linux-x86_64",
        as_of=datetime(year, 1, 1, tzinfo=timezone.utc),
        packages=(),
    )


def build(engine: Engine, environment: Environment, folder: Path, base: str = "host") -> Image:
    """Build the image of an environment from a context in ``folder``."""
    return engine.build(write_context(environment, base, engine, folder))


def requested(name: str, content: str) -> ImageRequest:
    """Return the request for an image that nothing is installed into."""
    return ImageRequest(
        environment=digest.of_content([name, content]),
        label=f"app={name}",
        name=name,
        digest=content,
    )


def remove_images(client: docker.DockerClient, environment: Environment) -> None:
    """Remove the images of an environment that no other test uses."""
    label = f"{LABEL}environment={environment_digest(environment)}"
    for image in client.images.list(filters={"label": label}):
        client.images.remove(str(image.id), force=True)


def launch(image: str = "an image", limits: Limits = LIMITS, timeout_s: float = 60.0) -> Launch:
    """Return the launch of a trial of the staged script."""
    return Launch(
        run=RUN,
        trial=TRIAL,
        image=image,
        command=("python", "script.py"),
        reads=Reads(peak=True),
        seed=7,
        limits=limits,
        cores=tuple(sorted(ALLOWED))[-limits.cpus :],
        timeout_s=timeout_s,
        guards=Guards(window_s=0.0, patience_s=0.0),
        parameters={"epochs": 3},
        cell={"model": "a"},
    )


def stored_as(found: ParsedResult, when: datetime) -> TrialResult:
    """Return a parsed result as it is saved with a run."""
    trial = Trial(cell="a=1", block=1, position=1, seed=1)
    return replace(found.of(trial, when), duration_s=1.0)


def stage(engine: Engine, image: str, folder: Path, script: str) -> None:
    """Stage a script as the only script of the run."""
    path = folder / "script.py"
    path.write_text(script)
    clear(engine, RUN)
    engine.stage(RUN, image, {"launcher.py": LAUNCHER, "study/script.py": path})


def executed(
    engine: Engine,
    image: Image,
    folder: Path,
    script: str,
    *,
    limits: Limits = LIMITS,
    timeout_s: float = 60.0,
    watch: Callable[[str], None] = lambda _: None,
) -> tuple[Outcome, ParsedResult, list[str]]:
    """Execute a script as a trial; return its outcome, its result and the lines of its log.

    ``watch`` is called with each line while the trial runs.
    """
    stage(engine, image.id, folder, script)
    seen: list[str] = []

    def see(line: str) -> None:
        seen.append(line)
        watch(line)

    trial = launch(image.id, limits, timeout_s)
    outcome = engine.execute(trial, see)
    return outcome, parse_outcome(outcome, trial, METRICS), seen

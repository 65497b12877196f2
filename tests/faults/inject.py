"""Injects one fault into one run, and resumes the run until it is complete."""

import random
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import docker

from runner.engines.docker.trials import DockerEngine
from runner.errors import Exit
from runner.prepare.recipe import environment_digest
from runner.system.host import this_host
from tests.faults.kinds import Kind, Scene, disk, ended_properly, variables
from tests.faults.study import Ended, Found, declare, ended, inspect, on_engine, saved, start
from tests.support.daemons import Daemon
from tests.support.trials import build, plain_environment

RESUMES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Injected:
    """The consequences of one fault. ``found`` is None if the run could not be completed."""

    kind: str
    instant_s: float
    struck: Ended
    resumed: int
    found: Found | None
    problem: str | None

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return self.problem is None and self.found is not None and self.found.sound


def inject(
    kind: Kind, daemon: Daemon, folder: Path, span_s: float, chance: random.Random
) -> Injected:
    """Inject a fault at a random instant of ``span_s`` seconds, then repeat the command."""
    instant_s = chance.uniform(0.0, span_s)
    declare(folder, fills_after=chance.uniform(0, 0.5) if kind.fills else None)
    prepared(daemon, folder, cold=kind.cold)
    with disk(kind, folder):
        program = start(folder, daemon.address, variables(kind, folder))
        try:
            time.sleep(instant_s)
            kind.strike(Scene(program=program, folder=folder, daemon=daemon, chance=chance))
            struck = ended(program)
        finally:
            program.kill()
        before = saved(folder)
        left = on_engine(daemon.address) if kind.clears else []
        complete = {int(Exit.CELL_FAILED) if kind.failing else int(Exit.OK), int(Exit.OK)}
        resumed, last = 0, struck
        while resumed == 0 or (last.code not in complete and resumed < RESUMES):
            last = ended(start(folder, daemon.address))
            resumed += 1
        problem = _problem(kind, struck, last)
        problem = problem or (f"left {left}" if left else None)
        done = last.code in complete
        return Injected(
            kind=kind.name,
            instant_s=instant_s,
            struck=struck,
            resumed=resumed,
            found=inspect(folder, before, daemon.address, kind.failing) if done else None,
            problem=problem,
        )


def _problem(kind: Kind, struck: Ended, last: Ended) -> str | None:
    """Return what is wrong with the way the program ended."""
    if struck.code not in kind.codes:
        return f"ended with {struck.code}: {struck.err or struck.out[-500:]}"
    if not (ended_properly(struck) and ended_properly(last)):
        return f"printed more than one line: {struck.err} {last.err}"
    if last.code not in {int(Exit.OK), int(Exit.CELL_FAILED)}:
        return f"was not resumed, {last.code}: {last.err or last.out[-500:]}"
    return None


def prepared(daemon: Daemon, folder: Path, *, cold: bool) -> None:
    """Make sure that the daemon has the image of the study, or with ``cold`` that it has none."""
    client = docker.DockerClient(daemon.address)
    with closing(DockerEngine(client, this_host().id)) as engine:
        if cold:
            for thing in engine.owned():
                engine.discard(thing)
        elif environment_digest(plain_environment()) not in {
            one.environment for one in engine.images()
        }:
            context = folder / "context"
            context.mkdir()
            build(engine, plain_environment(), context)

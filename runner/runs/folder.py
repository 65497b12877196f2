"""Where files lie: ``reports/<run-id>/`` and what is in it.

::

    reports/<run-id>/
        run.json              what was known when the run began
        plan.json             the ordered trials
        images.json           the images that were used
        trials/<trial>.json   one result each, saved the moment the trial ends
        logs/<trial>.log      what the experiment printed
        logs/image-<label>.log  what a build that failed printed
        replay.md             of a replay: what was compared with the bundle's results
        report.md             made from the files above, as is report.html
        figures/<name>.svg    the plots of report.md

Every file is written to a temporary name, synced and renamed: it is whole or it is not there. One
process at a time writes a run folder; the kernel releases its lock however that process ends.
"""

import contextlib
import errno
import fcntl
import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any, TypeVar

from runner.errors import DamagedError, NoSpaceError, RunFolderError
from runner.records import FORMAT, Record
from runner.records.environment import Image, Images
from runner.records.run import Plan, Run, TrialResult
from runner.records.study import Matrix, Status
from runner.system import atomic, digest, stored
from runner.text import one_line

LATEST = "latest"
REFERENCE = "reference"
LOG_TAIL_LINES = 40
MAX_NAME = 200  # file systems take 255 bytes, and an ending is added
_T = TypeVar("_T", bound=Record)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """All that a run folder holds: enough for a report without an engine."""

    run: Run
    plan: Plan
    images: tuple[Image, ...]
    results: tuple[TrialResult, ...]
    logs: Mapping[str, str]
    """The last lines of the log of every trial that is not ok, by trial id."""


class RunFolder:
    """One folder in ``reports/``. Reading needs no lock, writing does (``occupy``)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._occupied: IO[str] | None = None

    def occupy(self) -> bool:
        """Become the one process that writes here; False if another one is."""
        with _disk(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / ".occupied").open("a")
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.close()
                return False
        self._occupied = file
        return True

    def is_occupied(self) -> bool:
        """Whether a process writes here now; False also where the folder is gone."""
        if not self.path.is_dir():
            return False
        free = self.occupy()
        self.leave()
        return not free

    def leave(self) -> None:
        """Let others write here."""
        if self._occupied is not None:
            self._occupied.close()
            self._occupied = None

    def sweep(self) -> None:
        """Remove what a process that was killed here had not finished writing."""
        for path in atomic.unfinished(self.path):
            with _disk(path):
                path.unlink(missing_ok=True)

    def begin(self, run: Run) -> None:
        """Save what is known when the run begins."""
        _save(self.path / "run.json", run)

    def save_plan(self, plan: Plan) -> None:
        """Save the ordered trials; more blocks may have come to them."""
        _save(self.path / "plan.json", plan)

    def save_images(self, images: tuple[Image, ...]) -> None:
        """Save which images the run uses."""
        _save(self.path / "images.json", Images(images=images))

    def save_result(self, result: TrialResult, log: str) -> None:
        """Save the log and then the result of a trial: where there is a result, there is a log."""
        name = file_name(result.trial.id)
        _write(self.path / "logs" / f"{name}.log", log.encode(errors="replace"))
        _save(self.path / "trials" / f"{name}.json", result)

    def save_build_log(self, label: str, log: str) -> Path:
        """Save what a build that failed printed; return where."""
        path = self.path / "logs" / f"image-{file_name(label)}.log"
        _write(path, log.encode(errors="replace"))
        return path

    def save_report(self, text: str) -> Path:
        """Save the report; return where."""
        path = self.path / "report.md"
        _write(path, text.encode())
        return path

    def save_replay(self, text: str) -> Path:
        """Save what came of comparing a replay with the results of its bundle; return where."""
        path = self.path / "replay.md"
        _write(path, text.encode())
        return path

    def save_page(self, text: str) -> None:
        """Save the report as an HTML page."""
        _write(self.path / "report.html", text.encode())

    def save_figure(self, name: str, text: str) -> None:
        """Save a figure of the report under its path relative to it."""
        _write(self.path / name, text.encode())

    def run(self) -> Run:
        """Read what was known when the run began."""
        path = self.path / "run.json"
        run = _load(path, Run)
        trouble = _contradiction(run.matrix)
        if trouble:
            raise _damaged(path, trouble)
        return run

    def plan(self) -> Plan:
        """Read the ordered trials."""
        return _load(self.path / "plan.json", Plan)

    def results(self) -> tuple[TrialResult, ...]:
        """Read the results saved so far, in order of their start."""
        paths = sorted((self.path / "trials").glob("*.json"))
        return _in_order(_load(path, TrialResult) for path in paths)

    def salvage(self) -> tuple[tuple[TrialResult, ...], tuple[Path, ...]]:
        """Read the results saved so far; rename files that are damaged, and return them, too.

        Nothing of ours writes half a file: the disk or another program did. Such a trial counts as
        one that was never executed.
        """
        found, damaged = [], []
        for path in sorted((self.path / "trials").glob("*.json")):
            try:
                found.append(_load(path, TrialResult))
            except DamagedError:
                damaged.append(path.with_name(f"{path.name}.damaged"))
                with _disk(path):
                    path.replace(damaged[-1])
        return _in_order(found), tuple(damaged)

    def images(self) -> tuple[Image, ...]:
        """Read which images the run used; none before the first trial."""
        path = self.path / "images.json"
        return _load(path, Images).images if path.exists() else ()

    def stored(self) -> StoredRun:
        """Read all that the folder holds."""
        results = self.results()
        return StoredRun(
            run=self.run(),
            plan=self.plan(),
            images=self.images(),
            results=results,
            logs={
                result.trial.id: self._log_tail(result.trial.id)
                for result in results
                if result.status is not Status.OK
            },
        )

    def _log_tail(self, trial: str) -> str:
        path = self.path / "logs" / f"{file_name(trial)}.log"
        with _disk(path):
            try:
                lines = path.read_text(errors="replace").splitlines()
            except FileNotFoundError:
                return ""
        return "\n".join(lines[-LOG_TAIL_LINES:])


@contextlib.contextmanager
def alone(reports: Path) -> Iterator[None]:
    """Have no other process look for the run that it goes on with, or begin one, meanwhile."""
    with _disk(reports):
        reports.mkdir(parents=True, exist_ok=True)
        file = (reports / ".occupied").open("a")
    with file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def run_folders(reports: Path) -> tuple[RunFolder, ...]:
    """Return the run folders in ``reports/``, newest first; published runs are not among them."""
    found = [path.parent for path in reports.glob("*/run.json") if not path.parent.is_symlink()]
    return tuple(RunFolder(path) for path in sorted(found, reverse=True))


def newest_run(matrix: Matrix, reports: Path) -> tuple[RunFolder, Run] | None:
    """Return the newest readable run of a matrix of that name."""
    for folder in run_folders(reports):
        try:
            run = folder.run()
        except RunFolderError:
            continue
        if run.matrix.name == matrix.name:
            return folder, run
    return None


def new_name(reports: Path, name: str, now: datetime) -> str:
    """Return an id for a new run; ids sort by date."""
    plain = file_name(f"{now:%Y%m%d-%H%M%S}-{name}")
    taken = (reports / plain).exists()
    return new_name(reports, name, now + timedelta(seconds=1)) if taken else plain


def find_run(reports: Path, named: str | None) -> RunFolder:
    """Return the run folder a person names by path or id, or the newest one."""
    if named is None:
        candidates = [reports / LATEST, *(folder.path for folder in run_folders(reports))]
    else:
        candidates = [Path(named), reports / named]
    for path in candidates:
        with _disk(path):
            if (path / "run.json").is_file():
                return RunFolder(path.resolve())
    if named is None:
        raise RunFolderError(f"there is no run in {reports}; execute one with `python -m runner`.")
    raise RunFolderError(f"there is no run in {named} nor in {reports / named}.")


def point_latest(folder: RunFolder) -> None:
    """Make ``reports/latest`` point to the run, in one step."""
    link = folder.path.parent / LATEST
    fresh = folder.path / f".{LATEST}.{os.getpid()}"  # where ``sweep`` finds it
    with _disk(link):
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.path.name)
        fresh.replace(link)


def file_name(name: str) -> str:
    """Return a name that every file system takes; most ids are their own."""
    plain = re.sub(r"[^\w.=,@+-]", "_", name, flags=re.ASCII)
    if plain == name and len(name) <= MAX_NAME:
        return name
    return f"{plain[: MAX_NAME - 17]}-{digest.of_content(name)[:16]}"


def _in_order(results: Iterable[TrialResult]) -> tuple[TrialResult, ...]:
    return tuple(sorted(results, key=lambda result: result.started_at))


def _save(path: Path, content: Record) -> None:
    _write(path, stored.dump(content))


def _write(path: Path, content: bytes) -> None:
    with _disk(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write(path, content)


def _load(path: Path, kind: type[_T]) -> _T:
    with _disk(path):
        content = path.read_bytes()
    try:
        return stored.parse(kind, content, FORMAT, _upgraded)
    except stored.NewerFormatError as error:
        raise RunFolderError(f"{path} {error}") from error
    except stored.InvalidError as error:
        raise _damaged(path, str(error)) from error


def _upgraded(written: dict[str, Any]) -> object:
    """Return a stored file of an older format with the names of today."""
    trials = written.get("trials", [written.get("trial")])
    for part, old, new in (
        (written, "tainted", "disturbed"),
        (written.get("guards"), "most_tainted", "most_disturbed"),
        *((trial, "twin", "control") for trial in trials if isinstance(trials, list)),
    ):
        if isinstance(part, dict) and old in part:
            part[new] = part.pop(old)
    return written


def _damaged(path: Path, trouble: str) -> DamagedError:
    return DamagedError(f"{path} is damaged ({trouble}); remove it and repeat the command.")


def _contradiction(matrix: Matrix) -> str | None:
    """Return what in a stored matrix ``read`` would not have let through; ``None`` if nothing."""
    known = {metric.name for metric in matrix.metrics}
    named = {name for pair in matrix.compare for name in pair.metrics}
    named |= {limit.metric for limit in matrix.policy}
    named |= {claim.metric for claim in matrix.claims if claim.metric is not None}
    if named - known:
        return one_line(f"matrix.metrics: there is no {min(named - known)}")
    if any(limit.relative and limit.change <= -1 for limit in matrix.policy):
        return "matrix.policy: nothing falls by 100%"
    if any("" in {claim.of, claim.against} for claim in matrix.claims):
        return "matrix.claims: one is about no cell"
    return None


@contextlib.contextmanager
def _disk(path: Path) -> Iterator[None]:
    """Turn what the disk refuses into a sentence."""
    try:
        yield
    except OSError as error:
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        kind = NoSpaceError if full else RunFolderError
        raise kind(
            f"{path}: {error.strerror or error}; repair that and repeat the command: "
            "what was saved before is kept."
        ) from error

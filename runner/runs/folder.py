"""The folder of a run, ``reports/<run-id>/``, and how runs are found.

::

    reports/<run-id>/
        run.json                what was known when the run began
        matrix.yaml             the text of the matrix, as it was when the run last continued
        plan.json               the ordered trials
        images.json             the images that the run uses
        trials/<trial>.json     one result each, saved as soon as the trial ends
        logs/<trial>.log        the output of the experiment
        logs/image-<label>.log  the output of a failed build
        report.md, report.html  made from the files above, like the next three lines
        figures/<name>.svg      the figures of report.md
        summary.md, answer.txt  the answer, for job summaries and comments, and for terminals
        report.json, report.csv, results.csv, junit.xml  the same for programs
        replay.md               a replay only: how it compares with the results in the bundle

Every file is written under a temporary name, synced and renamed, so it is never half written. Only
one process at a time writes to a run folder. It holds a lock that the kernel releases when the
process ends, for whatever reason.
"""

import contextlib
import fcntl
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

from runner.errors import DamagedError, RunFolderError
from runner.records.environment import Image, Images
from runner.records.run import Plan, Run, TrialResult
from runner.records.study import Matrix, Status
from runner.runs import files
from runner.runs.checks import Expected, Refused, expected, refusals
from runner.runs.files import disk, file_name
from runner.summarise import condenser
from runner.system import atomic, program, safe
from runner.text import quoted

LATEST, LOCK, MATRIX = "latest", ".occupied", "matrix.yaml"
FILES = {Run: "run.json", Plan: "plan.json", Images: "images.json"}
LOG_TAIL_LINES = 40
LOG_TAIL_BYTES = 1 << 16
LOG_BYTES = 1 << 26
"""No log that a limit allows is larger."""
BEGINNING_BYTES = 1 << 14
MATRIX_BYTES = 1 << 20
DATE, DATE_LENGTH = "%Y%m%d-%H%M%S", 15


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """Everything in a run folder: enough for a report without an engine."""

    run: Run
    plan: Plan
    images: tuple[Image, ...]
    results: tuple[TrialResult, ...]
    logs: Mapping[str, str]
    """The last lines of the log of every trial that is not ok, by trial id."""
    matrix_text: str | None = None
    """The text of the matrix, which anybody may have edited since; None in older runs."""
    refused: tuple[Refused, ...] = ()
    """The results that do not count, because they were edited or do not belong to the run."""
    edited: tuple[str, ...] = ()
    """The names of the other files that were edited after they were saved."""


@dataclass(frozen=True, slots=True)
class RunFolder:
    """One folder in ``reports/``. Anyone may read it; writing needs its lock (``occupied``)."""

    path: Path

    def is_occupied(self) -> bool:
        """Whether a process holds the lock. Without a lock file, nobody does; none is made."""
        with disk(self.path):
            if not (self.path / LOCK).is_file():
                return False
        with occupied(self.path) as free:
            return not free

    def sweep(self) -> None:
        """Remove the temporary files of a process that was killed."""
        for path in atomic.unfinished(self.path):
            with disk(path):
                path.unlink(missing_ok=True)

    def make(self) -> "RunFolder":
        """Make the folder if it does not exist, and return it."""
        with disk(self.path):
            self.path.mkdir(parents=True, exist_ok=True)
        return self

    def save(self, record: Run | Plan | Images) -> None:
        """Save the run, its plan or its images."""
        self._check_exists()
        files.save(self.path / FILES[type(record)], record)

    def save_result(self, result: TrialResult, log: str) -> None:
        """Save the log and then the result, so that every result has its log."""
        name = file_name(result.trial.id)
        self._check_exists(LOCK)  # whoever removes the folder may not have reached the rest yet
        self.save_text(f"logs/{name}.log", log)
        files.save(self._folder("trials") / f"{name}.json", result)

    def save_build_log(self, label: str, log: str) -> Path:
        """Save the output of a failed build and return its path."""
        return self.save_text(f"logs/image-{file_name(label)}.log", log)

    def save_matrix(self, text: str) -> None:
        """Save the text of the matrix."""
        self._check_exists()
        files.update(self.path / MATRIX, text.encode(errors="replace"))

    def save_text(self, name: str, text: str) -> Path:
        """Save a text file and return its path."""
        self._check_exists()
        folder, _, own_name = name.rpartition("/")
        path = self._folder(folder) / own_name
        files.write(path, text.encode(errors="replace"))
        return path

    def _check_exists(self, name: str = "") -> None:
        """RunFolderError if the folder or a file in it is missing: never make a folder again."""
        with disk(self.path):
            exists = os.path.lexists(self.path / name)
        if not exists:
            raise RunFolderError(
                f"the run folder {self.path} was removed or renamed. Put it back to keep its "
                "results, and run the same command again."
            )

    def _folder(self, name: str) -> Path:
        """Return a folder in this one; RunFolderError for a link, which may lead anywhere."""
        path = self.path / name
        if name and path.is_symlink():
            raise RunFolderError(f"{path} is a link, which is not followed; remove it.")
        return path

    def run(self) -> Run:
        """Read what was known when the run began."""
        return self.examined_run()[0]

    def examined_run(self) -> tuple[Run, bool]:
        """Read the run, and whether it was edited after it was saved."""
        path = self.path / FILES[Run]
        run, is_edited = files.examine(path, Run)
        problem = _contradiction(run.matrix)
        if problem is not None:
            raise files.damaged(path, problem)
        return run, is_edited

    def plan(self) -> Plan:
        """Read the ordered trials."""
        return self.examined_plan()[0]

    def examined_plan(self) -> tuple[Plan, bool]:
        """Read the ordered trials, and whether they were edited after they were saved."""
        return files.examine(self.path / FILES[Plan], Plan)

    def results(self) -> tuple[TrialResult, ...]:
        """Read all results saved so far, ordered by start time."""
        return _by_start(files.load(path, TrialResult) for path in self._result_paths())

    def checked(self, run: Run, plan: Plan) -> tuple[tuple[TrialResult, ...], tuple[Refused, ...]]:
        """Read the results of a run that count, ordered by start time, and which do not count."""
        return self._checked(expected(run, plan, {one.id for one in self.images()}))

    def _checked(
        self, run: Expected, kept: Callable[[TrialResult], TrialResult] = lambda one: one
    ) -> tuple[tuple[TrialResult, ...], tuple[Refused, ...]]:
        found = [
            kept(one) if isinstance(one, TrialResult) else one
            for one in (_checked(path, run) for path in self._result_paths())
        ]
        results = _by_start(one for one in found if isinstance(one, TrialResult))
        return results, tuple(one for one in found if isinstance(one, Refused))

    def salvage(self, run: Run, plan: Plan) -> tuple[tuple[TrialResult, ...], tuple[Refused, ...]]:
        """Read the results of a run that count, condensed; rename the other files.

        The disk or somebody else changed them, since we never write half a file. Their trials count
        as not executed. A refused result has its new name.
        """
        results, refused = self.sound(run, plan)
        return results, tuple(map(self._set_aside, refused))

    def _set_aside(self, refused: Refused) -> Refused:
        path = self._folder("trials") / refused.name
        with disk(path):
            return replace(refused, name=path.replace(path.with_name(f"{path.name}.damaged")).name)

    def sound(self, run: Run, plan: Plan) -> tuple[tuple[TrialResult, ...], tuple[Refused, ...]]:
        """Read the results of a run that count, condensed, and which do not or are damaged."""
        wanted = expected(run, plan, {one.id for one in self.images()})
        condensed = condenser(run.matrix)
        results: list[TrialResult] = []
        refused: list[Refused] = []
        for path in self._result_paths():
            try:
                found = _checked(path, wanted)
            except DamagedError:
                found = Refused(path.name, "it is damaged")
            if isinstance(found, TrialResult):
                results.append(condensed(found))
            else:
                refused.append(found)
        return _by_start(results), tuple(refused)

    def remove_result(self, trial: str) -> None:
        """Remove a result; its log stays."""
        path = self._folder("trials") / f"{file_name(trial)}.json"
        with disk(path):
            path.unlink(missing_ok=True)

    def beginning(self, name: str) -> bytes:
        """Return the first bytes of a file; none if there is no such file."""
        with contextlib.suppress(OSError), safe.opened(self.path / name) as file:
            return file.read(BEGINNING_BYTES)
        return b""

    def is_older_than(self, *names: str) -> bool:
        """Whether all that was saved in a run is older than each of these files."""
        ours = [self.path / name for name in (*FILES.values(), MATRIX)]
        ours = [path for path in ours if path.exists()] + list(self._folder("logs").glob("*"))
        with contextlib.suppress(OSError):
            written = min((self.path / name).lstat().st_mtime_ns for name in names)
            saved = max(path.lstat().st_mtime_ns for path in (*ours, *self._result_paths()))
            return saved < written
        return False

    def images(self) -> tuple[Image, ...]:
        """Read the images that the run uses; none before the first trial."""
        return self.examined_images()[0]

    def examined_images(self) -> tuple[tuple[Image, ...], bool]:
        """Read the images, and whether their file was edited after it was saved."""
        path = self.path / FILES[Images]
        if not os.path.lexists(path):
            return (), False
        images, is_edited = files.examine(path, Images)
        return images.images, is_edited

    def matrix_text(self) -> str | None:
        """Read the text of the matrix; None in an older run, which has none.

        DamagedError for a link, and RunFolderError for more text than a matrix may have.
        """
        path = self.path / MATRIX
        with disk(path), contextlib.suppress(FileNotFoundError):
            try:
                return safe.read(path, limit=MATRIX_BYTES).decode(errors="replace")
            except (safe.IrregularError, IsADirectoryError) as error:  # we never wrote that
                raise files.damaged(path, str(error.strerror)) from error
        return None

    def stored(self, *, whole: bool = True) -> StoredRun:
        """Read everything in the folder; unless ``whole``, only what a report needs of results."""
        run, run_edited = self.examined_run()
        plan, plan_edited = self.examined_plan()
        images, images_edited = self.examined_images()
        results, refused = self._checked(
            expected(run, plan, {one.id for one in images}),
            (lambda one: one) if whole else condenser(run.matrix, curves=True),
        )
        if run.machines:  # several machines executed blocks at the same time
            results = tuple(sorted(results, key=lambda one: one.trial.block))
        return StoredRun(
            run=run,
            plan=plan,
            images=images,
            results=results,
            logs={
                result.trial.id: self._log_tail(result.trial.id)
                for result in results
                if result.status is not Status.OK
            },
            matrix_text=self.matrix_text(),
            refused=refused,
            edited=edited_files(run_edited, plan_edited, images_edited),
        )

    def _result_paths(self) -> list[Path]:
        return sorted(self._folder("trials").glob("*.json"), key=lambda path: path.name)

    def log(self, trial: str, most_bytes: int = LOG_BYTES) -> str:
        """Read what a trial printed, or the end of it; nothing if there is no log."""
        path = self._folder("logs") / f"{file_name(trial)}.log"
        with disk(path), contextlib.suppress(FileNotFoundError):
            return safe.tail(path, most_bytes).decode(errors="replace")
        return ""

    def _log_tail(self, trial: str) -> str:
        return "\n".join(self.log(trial, LOG_TAIL_BYTES).splitlines()[-LOG_TAIL_LINES:])


def _checked(path: Path, run: Expected) -> TrialResult | Refused:
    """Return the result in a file, or why it does not count; DamagedError if there is none."""
    result, edited = files.examine(path, TrialResult)
    if edited or result.format < min(run.format, files.SEALED):
        return Refused(path.name, "it was edited after it was saved", edited=True)
    reason = next(refusals(result, path.name, run), None)
    return result if reason is None else Refused(path.name, reason)


def edited_files(*edited: bool) -> tuple[str, ...]:
    """Return the names of those of the run, its plan and its images that were edited."""
    return tuple(itertools.compress(FILES.values(), edited))


def _contradiction(matrix: Matrix) -> str | None:
    """Return what is wrong in a stored matrix that ``read`` would refuse."""
    named = {name for pair in matrix.compare for name in pair.metrics}
    named |= {limit.metric for limit in matrix.policy}
    named |= {claim.metric for claim in matrix.claims if claim.metric is not None}
    unknown = named - {metric.name for metric in matrix.metrics}
    if unknown:
        return f"matrix.metrics: {quoted(min(unknown))} is missing"
    axes = {axis.name for axis in matrix.axes}
    if any(axis not in axes for cell in matrix.cells for axis, _ in cell.coordinates):
        return "matrix.axes: an axis of a cell is missing"
    if any(limit.relative and limit.change <= -1 for limit in matrix.policy):
        return "matrix.policy: nothing can fall by 100 % or more"
    if any("" in {claim.of, claim.against} for claim in matrix.claims):
        return "matrix.claims: a claim names no cell"
    return None


def _by_start(results: Iterable[TrialResult]) -> tuple[TrialResult, ...]:
    return tuple(sorted(results, key=lambda result: result.started_at))


@contextlib.contextmanager
def occupied(folder: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold the lock of a folder; without ``wait``, yield False if another process holds it."""
    with contextlib.ExitStack() as at_the_end:
        ours = False
        with disk(folder), contextlib.suppress(BlockingIOError):
            folder.mkdir(parents=True, exist_ok=True)
            lock = at_the_end.enter_context(safe.lock_file(folder / LOCK, make=True))
            fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            ours = True
        yield ours


def new_name(reports: Path, name: str, now: datetime) -> str:
    """Return a run id that sorts after those of all other runs, even if the clock was set back."""
    now = max((now, *_next_dates(reports)))
    return file_name(f"{now:{DATE}}-{name}")


def _next_dates(reports: Path) -> Iterator[datetime]:
    """Yield a second after the date of each run in ``reports/``."""
    with disk(reports), contextlib.suppress(FileNotFoundError):
        for path in reports.iterdir():
            with contextlib.suppress(ValueError, OverflowError):  # somebody named it
                date = datetime.strptime(path.name[:DATE_LENGTH], DATE).replace(tzinfo=timezone.utc)
                yield date + timedelta(seconds=1)


def point_latest(folder: RunFolder) -> None:
    """Make ``reports/latest`` point to the run, in one step."""
    link = folder.path.parent / LATEST
    fresh = folder.path / f".{LATEST}.{os.getpid()}"  # ``sweep`` finds it there
    with disk(link):
        fresh.unlink(missing_ok=True)
        fresh.symlink_to(folder.path.name)
        fresh.replace(link)


def run_folders(reports: Path) -> tuple[RunFolder, ...]:
    """Return the run folders in ``reports/``, newest first, without the published ones."""
    found = [path.parent for path in reports.glob("*/run.json") if not path.parent.is_symlink()]
    return tuple(RunFolder(path) for path in sorted(found, reverse=True))


def newest_run(matrix: Matrix, reports: Path) -> tuple[RunFolder, Run] | None:
    """Return the newest readable run of a matrix with this name."""
    return next(runs_of(matrix, reports), None)


def runs_of(matrix: Matrix, reports: Path) -> Iterator[tuple[RunFolder, Run]]:
    """Yield the readable runs of a matrix with this name, the newest first."""
    for folder in run_folders(reports):
        with contextlib.suppress(RunFolderError):
            run = folder.run()
            if run.matrix.name == matrix.name:
                yield folder, run


def find_run(reports: Path, named: str | None) -> RunFolder:
    """Return the run with this path or id, or the newest run."""
    if named is None:
        candidates = [*_latest(reports), *(folder.path for folder in run_folders(reports))]
        problem = f"{reports} contains no run; start one with `{program.name()}`."
    else:
        candidates = [Path(named), reports / named]
        neither = f"neither {named} nor {reports / named} is a run folder"
        problem = f"{neither}; name a folder with a run.json."
    for path in candidates:
        with disk(path):
            if (path / "run.json").is_file():
                return RunFolder(path.resolve())
    with disk(reports), contextlib.suppress(FileNotFoundError):
        next(reports.iterdir(), None)  # otherwise there may be runs
    raise RunFolderError(problem)


def _latest(reports: Path) -> Iterator[Path]:
    """Yield the run that ``reports/latest`` points to, unless it leads out of ``reports/``."""
    with contextlib.suppress(OSError):
        target = (reports / LATEST).readlink()
        if target.name == str(target) and target.name != "..":
            yield reports / target

"""How to repeat the measurement: a matrix with only these cells, its files, and the commands."""

import glob
import shlex
import statistics
from collections.abc import Iterator

from runner.errors import ConfigError
from runner.read.pruning import pruned
from runner.records import shown
from runner.records.environment import Environment, ReadyImage
from runner.report.evidence import Evidence
from runner.report.issue.records import Code, Part
from runner.report.issue.subject import Subject, named_metrics
from runner.report.records import Table, rows
from runner.report.words import NOTHING
from runner.text import counted, duration, shortened

MOST_FILES = 20

_BUNDLE = (
    "The whole run also fits into one file, with its packages, which needs no network. The first "
    "command packs it where it was measured, and the second one repeats it elsewhere:"
)
_RUN = (
    "Then run this. matrix-runner builds the environments, and runs each trial in a container if "
    "Docker or podman answers, or else as a process:"
)


def reproduce(evidence: Evidence, subject: Subject, text: str | None) -> Iterator[Part]:
    """Yield how to repeat the measurement of these cells alone; ``text`` is that of the matrix."""
    run, command = evidence.run, "python -m runner --matrix matrix.yaml"
    try:
        matrix = _matrix(evidence, subject, text)
    except ConfigError as error:
        yield _without_text(text, error)
        command += f" {_selection(subject)}"
    else:
        cells = "this cell" if subject.other is None else "these two cells"
        yield f"Save this as matrix.yaml. It declares only {cells}:"
        yield Code(tuple(matrix.splitlines()), "yaml")
    yield from _files(evidence, subject)
    yield _RUN
    commands = ["pip install matrix-runner", command + " --quick" * run.matrix.is_quick]
    if isinstance(run.lock.entry(subject.cell.request), Environment):
        packages = f"python -m runner export {shlex.quote(subject.cell.id)} > requirements.txt"
        commands += ["# The packages of the cell, with hashes, for pip:", packages]
    yield Code(tuple(commands), "sh")
    yield _duration(evidence, subject)
    if any(isinstance(run.lock.entry(cell.request), ReadyImage) for cell in run.matrix.cells):
        return  # no bundle contains an image that was not built here
    yield _BUNDLE
    archive = shlex.quote(f"{run.matrix.name}-bundle.tar.gz")
    packing = f"python -m runner bundle {shlex.quote(run.id)}"
    yield Code((packing, f"python -m runner replay {archive}"), "sh")


def _matrix(evidence: Evidence, subject: Subject, text: str | None) -> str:
    """Return the matrix with only these cells; ConfigError if it cannot be made from the text."""
    if text is None:
        raise ConfigError("the run folder does not contain it.")
    run, metrics = evidence.run, named_metrics(evidence, subject)
    return pruned(
        text,
        run.matrix,
        run.lock,
        subject.cells,
        () if subject.always_fails else metrics,
        once=subject.always_fails,
    )


def _without_text(text: str | None, error: ConfigError) -> str:
    if text is None:
        why = "This run is older, and its folder does not contain the matrix."
    else:
        why = f"The matrix in the run folder cannot be used: {shortened(str(error))}"
    return f"{why} From the matrix of the study, the command below selects these cells."


def _selection(subject: Subject) -> str:
    """Return the options that select these cells from the whole matrix."""
    options = []
    for axis, _ in subject.cell.coordinates:
        values = [shown(dict(cell.coordinates).get(axis, "")) for cell in subject.cells]
        chosen = ",".join(dict.fromkeys(map(glob.escape, values)))
        options.append(f"-s {shlex.quote(f'{axis}={chosen}')}")
    return " ".join(options)


def _files(evidence: Evidence, subject: Subject) -> Iterator[Part]:
    """Yield the files that the matrix needs beside it, with their digests."""
    run = evidence.run
    sources = dict.fromkeys(one for cell in subject.cells for one in cell.request.sources)
    digests = [
        *run.input_digests.items(),
        *((name, NOTHING) for name in run.matrix.files),
        *((f"{one.kind.value} {one.written}", one.digest or NOTHING) for one in sources),
    ]
    if not digests:
        return
    beyond = len(digests) - MOST_FILES
    sentences = ["Put the files of the study beside it, at these paths."]
    if run.git_commit:
        sentences.append(f"The repository of the study was at the commit {run.git_commit}.")
    if beyond > 0:
        sentences.append(f"{counted(beyond, 'more file')} not listed here.")
    yield " ".join(sentences)
    yield Table("Files", ("file", "SHA-256"), rows(digests[:MOST_FILES]))


def _duration(evidence: Evidence, subject: Subject) -> str:
    """Say how long it takes, by what the trials took in this run."""
    trials = [*subject.cells]
    blocks = 1 if subject.always_fails else evidence.run.matrix.blocks
    if not subject.always_fails and subject.other is not None:
        trials.append(subject.other)  # the control
    seconds = 0.0
    for cell in trials:
        known = [one.duration_s for one in evidence.settled(cell) if one.duration_s is not None]
        seconds += blocks * statistics.median(known) if known else 0.0
    about = f", about {duration(seconds)} on the machine below" if seconds else ""
    count = f"{counted(blocks * len(trials), 'trial')} in {counted(blocks, 'block')}"
    return (
        f"That takes {count}{about}, after the environments are built. The report is then in "
        "reports/latest/report.md."
    )

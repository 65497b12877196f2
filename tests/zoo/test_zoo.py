"""Hostile and broken experiments in a whole run: each ends as expected and harms no other trial.

One run of ``animals.py`` is checked from all sides: results, screen, disk, engine, host, report.
"""

import ast
import contextlib
import os
import pty
import re
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from markdown_it import MarkdownIt
from playwright.sync_api import Browser

from runner.engines import connect
from runner.engines.venv import cgroup
from runner.engines.venv.cache import CACHE
from runner.lock.file import write_lock
from runner.records.environment import Lock
from runner.records.run import TrialResult
from runner.records.study import Status
from runner.runs.files import file_name
from runner.runs.folder import RunFolder
from runner.system.host import this_host
from tests.support.browser import opened
from tests.support.sandboxes import bubblewrap_or_skip
from tests.support.studies import CALM, ROOT, run_folders
from tests.support.trials import plain_environment

pytestmark = pytest.mark.alone  # what it watches on the machine must be its own doing

ANIMALS = Path(__file__).with_name("animals.py")
HONEST = ("honest-first", "honest-middle", "honest-last")
BLOCKS = 2
TIMEOUT_S = 20
SHORT_S = 2
"""The time limit of animals that only their time limit stops."""
AROUND_S = 15
"""How long creating, stopping and removing a container may take on a busy machine."""
GRACE_S = 30
"""How long venv waits after the time limit for a launcher that does not respond."""
PATIENCE_S = 600
LOG_BYTES = RESULT_BYTES = 256 * 1024
GIB = 2**30

OK, FAILED, BAD, LATE, FULL = (
    Status.OK,
    Status.FAILED,
    Status.BAD_OUTPUT,
    Status.TIMED_OUT,
    Status.OUT_OF_MEMORY,
)
LIMIT = f"stopped at its time limit of {SHORT_S} s"
MEMORY = "the kernel killed a process of the script for its memory"
KILLED = "the launcher sent no document; container killed by SIGKILL"
CLOSED = "PermissionError: [Errno 13] Permission denied: '/proc/1/fd/1'"
ENDINGS = {
    # A report draws the first 12 series of the first 12 cells, and shows the logs of 20 cells.
    "speaks-markup": (OK, ""),
    "speaks-markdown": (OK, ""),
    "speaks-terminal": (OK, ""),
    "ends-the-quotation": (OK, ""),
    "names-what-javascript-knows": (OK, ""),
    "draws-an-endless-curve": (OK, ""),
    "draws-a-thousand-curves": (OK, ""),
    "fails-with-markup": (FAILED, "exit code 3: RuntimeError: <script>"),
    "fails-with-markdown": (FAILED, "exit code 3: RuntimeError: [a link](javascript:"),
    "fails-with-escapes": (FAILED, "exit code 3: "),
    "adds-a-hostile-key": (BAD, "the result has an unknown key `<img src=x onerror="),
    "hides-a-hostile-value": (BAD, "must be a number, not text"),
    "fork-bomb": (LATE, LIMIT),
    "thread-bomb": (FAILED, "RuntimeError: can't start new thread"),
    "memory-bomb": (FULL, MEMORY),
    "memory-bomb-in-a-child": (FULL, MEMORY),
    "memory-bomb-that-points-at-the-launcher": (FULL, MEMORY),
    "recursion-bomb": (FAILED, "exit code 1: RecursionError: "),
    "log-bomb": (LATE, LIMIT),
    "endless-line": (OK, ""),
    "floods-past-the-launcher": (FAILED, CLOSED),
    "fills-the-disk": (FAILED, "No space left on device"),
    "many-files": (FAILED, "No space left on device"),
    "many-empty-files": (FAILED, "No space left on device"),
    "infinite-loop": (LATE, LIMIT),
    "deaf": (LATE, LIMIT),
    "stops-its-parent": (LATE, LIMIT),
    "result-too-large": (BAD, f"$RESULT_PATH is larger than its limit of {RESULT_BYTES} bytes"),
    "result-of-a-terabyte": (BAD, f"$RESULT_PATH is larger than its limit of {RESULT_BYTES} bytes"),
    "result-is-a-link": (BAD, "$RESULT_PATH is a link, or in one"),
    "result-is-a-hard-link": (FAILED, "Invalid cross-device link"),
    "result-is-a-pipe": (BAD, "$RESULT_PATH is not a regular file"),
    "result-is-a-device": (FAILED, "Operation not permitted"),
    "result-is-a-socket": (BAD, "$RESULT_PATH cannot be read: No such device or address"),
    "result-is-a-folder": (BAD, "$RESULT_PATH is not a regular file"),
    "result-is-locked": (BAD, "$RESULT_PATH cannot be read: Permission denied"),
    "result-is-half": (BAD, "the result is not JSON"),
    "result-is-empty": (BAD, "the result is not JSON"),
    "result-lacks-its-metric": (BAD, "the result lacks the promised metric `x`"),
    "result-is-not-a-number": (BAD, "the result contains NaN, which is not a number in JSON"),
    "result-is-infinite": (BAD, "values.x is not a finite number"),
    "result-is-a-huge-integer": (BAD, "values.x is not a finite number"),
    "result-is-deep": (BAD, "the result is nested too deeply"),
    "result-is-not-text": (BAD, "$RESULT_PATH is not UTF-8 (byte "),
    "result-says-it-twice": (BAD, "the result contains the same name twice"),
    "tries-the-network": (FAILED, "OSError: [Errno 101] Network is unreachable"),
    "tries-the-doors": (OK, ""),
    "prints-all-environments": (OK, ""),
    "deletes-its-inputs": (OK, ""),
    "kills-its-parent": (OK, ""),
    "kills-everybody": (FAILED, "ProcessLookupError: [Errno 3] No such process"),
    "terminates-the-container": (LATE, LIMIT),
    "traces-its-parent": (FAILED, "PermissionError: [Errno 1] Operation not permitted"),
    "forges-its-document": (FAILED, CLOSED),
    "leaves-many-orphans": (OK, ""),
    "prints-a-document": (OK, ""),
    "segfaults": (FAILED, "killed by SIGSEGV"),
    "aborts": (FAILED, "killed by SIGABRT"),
    "leaves-without-a-word": (BAD, "the script wrote nothing to $RESULT_PATH"),
    "fails-with-a-result": (FAILED, "exit code 1, and the log is empty"),
    "leaves-daemons": (OK, ""),
    "closes-its-streams": (OK, ""),
}
"""The status of each animal, and a part of the reason."""

ON_VENV = {
    # In bubblewrap the launcher is the second process.
    "stops-its-parent": (
        LATE,
        f"stopped after {SHORT_S + GRACE_S} s; the launcher did not respond",
    ),
    "kills-its-parent": (FAILED, KILLED),
    "kills-everybody": (FAILED, KILLED),
    "terminates-the-container": (FAILED, "PermissionError: [Errno 1] Operation not permitted"),
    "forges-its-document": (FAILED, CLOSED.replace("/1/", "/2/")),
    "floods-past-the-launcher": (FAILED, CLOSED.replace("/1/", "/2/")),
    "many-empty-files": (FULL, MEMORY),
    "tries-the-doors": (FAILED, "opened: another core, a namespace, a program of the file system"),
}
"""The animals that end differently as processes in bubblewrap."""

AS_USER = {"terminates-the-container": (LATE, LIMIT)}
"""There, the first process ignores a signal of its own user."""

STOPPED_BY_MEMORY = {
    *("memory-bomb", "memory-bomb-in-a-child", "memory-bomb-that-points-at-the-launcher"),
    "many-empty-files",
}
"""Without control groups they would use up the memory of the machine, so they stay away."""
ENGINES = [pytest.param("docker", marks=pytest.mark.engine), "venv"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """The run on one engine: how the program ended, and what it left."""

    engine: str
    environment: dict[str, str]
    """The environment variables of the program."""
    exit_code: int
    out: str
    err: str
    folder: RunFolder
    results: tuple[TrialResult, ...]
    animals: tuple[str, ...]
    """The animals that came."""
    peak_bytes: int
    marker: str
    """It is in the command line of every process of every trial."""
    secret: str
    """It is in the environment of the program and must appear nowhere else."""

    def of(self, animal: str) -> TrialResult:
        """Return the result of an animal in the first block; skip one that stayed away."""
        if animal not in (*self.animals, *HONEST):
            pytest.skip("no control group limits the memory of processes here")
        [found] = [one for one in self.results if one.trial.id == f"animal={animal}@b1.1"]
        return found

    def log(self, animal: str) -> str:
        """Return the log of an animal."""
        name = file_name(self.of(animal).trial.id)
        return (self.folder.path / "logs" / f"{name}.log").read_text(errors="replace")


def animals_on(engine: str) -> tuple[str, ...]:
    """Return the animals that an engine can stop."""
    unlimited = engine == "venv" and not cgroup.parent().folders
    return tuple(one for one in ENDINGS if not (unlimited and one in STOPPED_BY_MEMORY))


def write_zoo(folder: Path, marker: str, hostile: Sequence[str]) -> None:
    """Write a matrix of animals between the honest ones, with its script and its lock."""
    environment = plain_environment()
    shutil.copy(ANIMALS, folder / f"{marker}.py")
    middle = len(hostile) // 2
    animals = [HONEST[0], *hostile[:middle], HONEST[1], *hostile[middle:], HONEST[2]]
    once = "".join(
        f"  - {{animal: {name}, blocks: 1, timeout: {limit(ENDINGS[name][0])}}}\n"
        for name in hostile
    )
    (folder / "matrix.yaml").write_text(f"""\
format: 1
name: zoo
axes: {{animal: [{", ".join(animals)}]}}
include:
{once}environment: {{python: "{environment.python}", base: host}}
experiment: {{script: {marker}.py}}
metrics: {{x: {{better: lower}}}}
limits:
  memory: 192m
  timeout: {TIMEOUT_S}
  pids: 64
  temporary: 16m
  output: 8m
  log: {LOG_BYTES}
  result: {RESULT_BYTES}
blocks: {BLOCKS}
repeats: 0
""")
    write_lock(folder / "matrix.lock", Lock(entries=(environment,)))


def ending(animal: str, engine: str) -> tuple[Status, str]:
    """Return the status and the reason of an animal on an engine."""
    endings = ENDINGS | (ON_VENV if engine == "venv" else {})
    if engine == "venv" and os.geteuid() != 0:
        endings |= AS_USER
    return endings[animal]


def limit(status: Status) -> int:
    """Return the time limit of an animal with this status."""
    return SHORT_S if status is LATE else TIMEOUT_S


@pytest.fixture(scope="module", params=ENGINES)
def visit(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, readable: Path
) -> Visit:
    """Run all animals once from the command line."""
    if request.param == "venv":
        bubblewrap_or_skip()
    folder = tmp_path_factory.mktemp("zoo")
    marker, secret = f"zoo-{secrets.token_hex(8)}", secrets.token_hex(16)
    animals = animals_on(request.param)
    write_zoo(folder, marker, animals)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "MY_TOKEN": secret}
    environment[CACHE] = str(readable / "cache")
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        program = subprocess.Popen(
            [sys.executable, "-c", CALM, "--engine", request.param],
            cwd=folder,
            env=environment,
            stdout=out,
            stderr=err,
        )
        alarm = threading.Timer(PATIENCE_S, program.kill)
        alarm.start()
        _, status, usage = os.wait4(program.pid, 0)  # the only way to get its resource usage
        alarm.cancel()
    program.returncode = os.waitstatus_to_exitcode(status)
    [found] = run_folders(folder)
    return Visit(
        engine=request.param,
        environment=environment,
        exit_code=program.returncode,
        out=(folder / "out").read_text(),
        err=(folder / "err").read_text(),
        folder=found,
        results=found.results(),
        animals=animals,
        peak_bytes=usage.ru_maxrss * 1024,
        marker=marker,
        secret=secret,
    )


def test_the_animals_run_on_python_36() -> None:
    """The script uses only the syntax of Python 3.6."""
    ast.parse(ANIMALS.read_text(), feature_version=(3, 6))


# --- how the animals end --------------------------------------------------------------------------


def test_the_program_survives_the_zoo(visit: Visit) -> None:
    """The exit code says that cells failed, and stderr is empty."""
    assert (visit.exit_code, visit.err) == (1, "")
    assert len(visit.results) == len(visit.animals) + BLOCKS * (len(HONEST) + 1)  # and the control
    assert f"block {BLOCKS} of {BLOCKS} done" in visit.out


@pytest.mark.parametrize("animal", ENDINGS)
def test_each_animal_ends_as_expected(visit: Visit, animal: str) -> None:
    """It has the right status and reason, and numbers only if it is ok."""
    result = visit.of(animal)
    status, reason = ending(animal, visit.engine)
    assert result.status is status, (result.reason, visit.log(animal)[-2000:])
    assert reason in (result.reason or ""), result.reason
    assert bool(result.values) is (status is OK)
    assert (result.reason is None) is (status is OK)
    if status is not OK:
        assert (result.series, result.environment, result.adapted) == ({}, {}, None)


@pytest.mark.parametrize("animal", ENDINGS)
def test_no_animal_exceeds_its_time(visit: Visit, animal: str) -> None:
    """Each ends soon after its time limit, or after a grace period if the launcher is stopped."""
    grace = GRACE_S if (animal, visit.engine) == ("stops-its-parent", "venv") else 0
    duration = visit.of(animal).duration_s
    assert duration is not None
    assert duration < limit(ENDINGS[animal][0]) + AROUND_S + grace


@pytest.mark.parametrize("animal", HONEST)
def test_the_honest_are_unharmed(visit: Visit, animal: str) -> None:
    """They have the right numbers in every block, whichever animal ran before them."""
    found = [one for one in visit.results if one.trial.cell == f"animal={animal}"]
    assert {one.trial.block for one in found} == set(range(1, BLOCKS + 1))
    for one in found:
        assert (one.status, dict(one.values)) == (OK, {"x": float(one.trial.seed)}), one.reason
    assert visit.marker in visit.log(animal)


# --- what animals leave ---------------------------------------------------------------------------


def test_nothing_is_left_on_the_engine(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run leaves neither containers nor volumes."""
    monkeypatch.setenv(CACHE, visit.environment[CACHE])
    with closing(connect(visit.engine, this_host().id, print)) as engine:
        owned = engine.owned()
    assert [thing.kind for thing in owned if thing.kind == "image"]
    assert [thing for thing in owned if thing.run is not None and "zoo" in thing.run] == []


def test_no_process_is_left_on_the_host(visit: Visit) -> None:
    """No launcher, no animal and no process that it forked."""
    alive = [
        path.parent.name for path in Path("/proc").glob("[0-9]*/cmdline") if named(path, visit)
    ]
    assert alive == []


def named(path: Path, visit: Visit) -> bool:
    """Whether a command line names the script of the run."""
    try:
        return visit.marker.encode() in path.read_bytes()
    except OSError:  # it ended while we looked
        return False


def test_no_secret_of_the_host_gets_out(visit: Visit) -> None:
    """The environment of the program is in no log, result or report."""
    assert "RESULT_PATH" in visit.log("prints-all-environments")
    texts = [path.read_bytes() for path in files(visit)]
    assert len(texts) > 2 * len(visit.animals)
    texts += [visit.out.encode(), visit.err.encode()]
    assert not any(visit.secret.encode() in text for text in texts)


def test_disk_and_memory_are_limited(visit: Visit) -> None:
    """Logs and the memory of the program stay within limits, however much is printed."""
    for path in visit.folder.path.glob("logs/*.log"):
        assert path.stat().st_size <= 2 * LOG_BYTES + 1024, path.name
    assert sum(path.stat().st_size for path in files(visit)) < 32 * 2**20
    assert visit.peak_bytes < GIB
    for animal in ("log-bomb", "endless-line"):
        reading = visit.of(animal).reading
        assert reading is not None
        assert reading.log_left_out_bytes > GIB / 4


def files(visit: Visit) -> list[Path]:
    """Return every file of the run folder."""
    return [path for path in visit.folder.path.rglob("*") if path.is_file()]


# --- what people see ------------------------------------------------------------------------------

DRAWN = {"circle", "desc", "line", "polyline", "rect", "style", "svg", "text", "title"}
WRITTEN = {"a", "br", "code", "details", "em", "h1", "h2", "h3", "li", "p", "pre", "strong"}
WRITTEN |= {"summary", "table", "tbody", "td", "th", "thead", "tr", "ul"}
PAGE = {"body", "caption", "div", "figcaption", "figure", "head", "header", "html", "main", "meta"}
PAGE |= {"nav", "script", "section"}
PAGE |= {"button", "dialog", "input", "label", "option", "select", "span"}  # made by its script
"""Elements of figures, of both reports, and of the page."""
FILES = tuple(
    f"data:{kind};base64," for kind in ("text/plain", "application/json", "application/gzip")
)
"""The beginnings of the files inside a page."""


class Seen(HTMLParser):
    """The tags and attributes that a browser would find."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[tuple[str, str]] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {(name, value or "") for name, value in attrs}


def seen(page: str) -> Seen:
    """Read a page like a browser."""
    found = Seen()
    found.feed(page)
    found.close()
    return found


def leads_away(found: Seen) -> list[tuple[str, str]]:
    """Return the attributes that run code or lead to anything but our own files."""
    return [
        (name, value)
        for name, value in found.attributes
        if name.startswith("on")
        or (
            name in {"href", "src", "xlink:href", "srcset", "action", "data"}
            and not value.startswith(("logs/", "figures/", "#", *FILES))
        )
    ]


@pytest.mark.parametrize("name", ["out", "err", "report.md", "report.html"])
def test_no_text_controls_a_terminal(visit: Visit, name: str) -> None:
    """No text contains control characters or characters that change its direction."""
    own = {"out": visit.out, "err": visit.err}
    text = own[name] if name in own else (visit.folder.path / name).read_text()
    if name != "err":
        assert "lone surrogate" in text
    strange = {character for character in text if not character.isprintable()}
    assert strange <= set("\n\t\N{NO-BREAK SPACE}")


def test_animals_cannot_control_a_real_terminal(visit: Visit) -> None:
    """A terminal gets only the runner's own colours and cursor movements."""
    loud = "animal=speaks-terminal,speaks-markup,fails-with-escapes,adds-a-hostile-key"
    ours, theirs = pty.openpty()
    program = subprocess.Popen(
        [
            *(sys.executable, "-c", CALM, "--engine", visit.engine),
            *("--reports", "on-a-terminal", "-s", loud),
        ],
        cwd=visit.folder.path.parents[1],
        env={**visit.environment, "TERM": "xterm-256color"},
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    written = b""
    with os.fdopen(ours, "rb", 0) as screen, contextlib.suppress(OSError):  # EIO: it ended
        while piece := screen.read(65536):
            written += piece
    assert program.wait(PATIENCE_S) == 1, written
    text = re.sub(r"\x1b\[(?:[\d;]*m|\d*A|2K|\?25[hl])", "", written.decode())
    assert text != written.decode()
    assert "lone surrogate" in text
    assert {one for one in text if not one.isprintable()} <= set("\r\n")


def test_the_figures_are_drawings(visit: Visit) -> None:
    """Every figure is well-formed and contains only shapes and texts."""
    figures = {path.stem: path.read_text() for path in visit.folder.path.glob("figures/*.svg")}
    assert "&lt;/script&gt;" in figures["learning-curves"]
    for figure in figures.values():
        ET.fromstring(figure)  # noqa: S314 (our own figure, without entities)
        found = seen(figure)
        assert found.tags <= DRAWN
        assert leads_away(found) == []


def test_the_markdown_contains_no_hostile_element(visit: Visit) -> None:
    """Even if raw HTML is allowed, it has only its own elements and links."""
    text = (visit.folder.path / "report.md").read_text()
    permissive = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    page = permissive.render(text)
    assert "&lt;script&gt;document.title=" in page
    for hostile in ("<script", "<img src=x", "<svg", "<iframe", 'href="javascript:'):
        assert hostile not in page
    found = seen(page)
    assert found.tags <= WRITTEN | {"img"}
    assert leads_away(found) == []
    headings = [line for line in page.splitlines() if line.startswith(("<h1", "<h2", "<h3"))]
    assert not [line for line in headings if "a heading" in line]


def test_the_page_contains_no_hostile_element(visit: Visit, chromium: Browser) -> None:
    """In a browser no hostile text becomes an element, a link or a running script."""
    path = visit.folder.path / "report.html"
    page = path.read_text()
    with opened(chromium, path) as shown:
        document = shown.document
    assert shown.console == shown.errors == shown.fetched == []
    assert "&lt;script&gt;document.title=" in document
    assert "<title>zoo</title>" in document
    found = seen(document)
    assert "data-owned" not in {name for name, _ in found.attributes}
    assert found.tags <= WRITTEN | PAGE | DRAWN
    assert document.count("<script") == page.count("<script")
    assert leads_away(found) == []

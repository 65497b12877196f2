"""The command line: arguments, commands, messages and exit codes."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest

from runner.cli import main
from runner.cli.arguments import VERBS, Options, parse
from runner.engines.protocol import Owned
from runner.engines.venv.cache import cache
from runner.errors import (
    ConfigError,
    EngineError,
    EngineLostError,
    Exit,
    ImageBuildError,
    NothingSelectedError,
    PackagesError,
    RunFolderError,
    RunnerError,
)
from runner.runs import registry
from runner.runs.folder import RunFolder, occupied, point_latest
from runner.system.host import this_host
from runner.text import printable
from tests.support.fakes import FakeEngine, Holding
from tests.support.living import living
from tests.support.matrices import FULL, SMALL, study
from tests.support.samples import founding_run

ROOT = Path(__file__).parents[3]


# --- arguments -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "options"),
    [
        ("", Options()),
        ("--quick --blocks 3", Options(quick=True, blocks=3)),
        ("--matrix m.yaml", Options(matrix=Path("m.yaml"), has_matrix=True)),
        (
            "plan --json --matrix m.yaml",
            Options(verb="plan", matrix=Path("m.yaml"), has_matrix=True, json=True),
        ),
        ("-s a=1,2 -s b=* --seed 7", Options(select=("a=1,2", "b=*"), seed=7)),
        ("-s plan", Options(select=("plan",))),
        ("--reports lock --new", Options(reports=Path("lock"), new=True)),
        ("report x --issue a=1", Options(verb="report", run="x", issue="a=1")),
        ("report plan --reports clean", Options(verb="report", reports=Path("clean"), run="plan")),
        ("prepare --context lock", Options(verb="prepare", context=Path("lock"))),
        ("clean --yes --all", Options(verb="clean", yes=True, all=True)),
        ("lock -s a=1", Options(verb="lock", select=("a=1",))),
    ],
)
def test_a_command_line_becomes_options(words: str, options: Options) -> None:
    """The first argument is the verb. Without a verb it is `run`."""
    assert parse(words.split()) == options


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--nonsense", "unrecognized arguments: --nonsense"),
        ("nonsense", "there is no verb 'nonsense'; the verbs are run, lock, plan, "),
        ("--matrix m.yaml plan", "unrecognized arguments: plan (the verb must come first)"),
        ("plan --new", "unrecognized arguments: --new"),
        ("--rep x", "unrecognized arguments: --rep x"),
        ("plan --blocks", "expected one argument"),
        ("plan --blocks 0", "expected a whole number from 1 to 10,000, not '0'"),
        ("--blocks two", "expected a whole number from 1 to 10,000, not 'two'"),
        ("--blocks 1.5", "expected a whole number from 1 to 10,000, not '1.5'"),
        ("--blocks 10001", "expected a whole number from 1 to 10,000, not '10001'"),
        ("--max-fail 0", "expected a whole number of at least 1, not '0'"),
        ("--seed x", "expected a whole number of at most 18 digits, not 'x'"),
    ],
)
def test_a_wrong_option_is_refused(
    words: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 2, and the message names the problem."""
    with pytest.raises(SystemExit) as raised:
        main(words.split())
    assert raised.value.code == Exit.CONFIG
    assert said in capsys.readouterr().err


def test_help_names_every_verb_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """--help lists all of them."""
    with pytest.raises(SystemExit) as raised:
        main(["--help"])
    assert raised.value.code == 0
    said = capsys.readouterr().out
    assert [verb for verb in VERBS if f"\n    {verb}" not in said] == []
    assert "exit codes:" in said


# --- endings -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ConfigError("a sentence."), 2),
        (NothingSelectedError("a sentence."), 3),
        (EngineError("a sentence."), 5),
        (EngineLostError("a sentence."), 5),
        (ImageBuildError("a sentence."), 5),
        (PackagesError("a sentence."), 5),
        (RunFolderError("a sentence."), 6),
    ],
)
def test_an_error_is_a_sentence_and_an_exit_code(
    error: RunnerError,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every error is printed once, to stderr, without a traceback."""

    def fails(_: Options) -> Exit:
        raise error

    monkeypatch.setattr("runner.cli.commands.COMMANDS", {"lock": fails})
    assert main(["lock"]) == code
    assert capsys.readouterr() == ("", "a sentence.\n")


@pytest.mark.parametrize("verb", ["run", "lock", "plan", "prepare"])
def test_a_missing_matrix_is_refused(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names the missing file."""
    assert main([verb, "--matrix", "absent.yaml"]) == Exit.CONFIG
    said = capsys.readouterr().err
    assert said.startswith("absent.yaml")
    assert said.count("\n") == 1


UNSUPPORTED = [
    {
        "request": {
            "requirements": [{"axis": "lib", "distributions": ["numpy"], "version": version}],
            "python": "auto",
            "as_of": "release",
            "packages": [],
            "compile": False,
        },
        "unsupported": "made so by a test",
    }
    for version in ("1.0", "2.0")
]


LOCKED = {
    "python": "3.7",
    "platform": "linux-x86_64",
    "as_of": "2020-01-01T00:00:00Z",
    "build_tools": [],
    "packages": [f"lib==1.0 sha256:{'0' * 64}"],
}


@pytest.mark.parametrize("verb", ["lock", "plan"])
def test_a_hostile_lock_is_refused_before_anything_starts(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The sentence gives the file, the entry, the field and the remedy."""

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("uv was started")

    study(tmp_path, SMALL)
    monkeypatch.setattr("runner.python.uv.call", refuse)
    request = {**UNSUPPORTED[0]["request"], "python": "--python-downloads-json-url=x"}  # type: ignore[dict-item]
    (tmp_path / "matrix.lock").write_text(
        json.dumps({"format": 1, "entries": [{"request": request, "unsupported": "no"}]})
    )
    assert main([verb]) == Exit.CONFIG
    said = capsys.readouterr().err
    assert said.startswith("matrix.lock: entries.0.request: python: expected `auto` or a vers")
    assert said.endswith("or remove it and lock again.\n")
    assert said.count("\n") == 1


def test_a_closed_pipe_causes_no_traceback(tmp_path: Path) -> None:
    """The program ends quietly."""
    study(tmp_path, SMALL)
    with subprocess.Popen(
        [sys.executable, "-m", "runner", "plan"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as program:
        assert program.stdout
        assert program.stderr
        program.stdout.close()
        assert program.stderr.read() == b""
    assert program.returncode == Exit.INTERRUPTED


STARTED = f"{sys.executable} -m runner"
FULL_DISK = (
    "the output cannot be written: No space left on device; fix this and run the command again.\n"
)


@pytest.mark.parametrize(
    ("line", "code", "err"),
    [
        ("--version >/dev/full", 6, FULL_DISK),
        ("plan >&-", 0, ""),
        ("plan <&- >&- 2>&-", 0, ""),
        ("--matrix none.yaml 2>/dev/full", 2, ""),
        ("--matrix none.yaml 2>&-", 2, ""),
    ],
)
def test_full_or_closed_streams_cause_no_traceback(
    tmp_path: Path, line: str, code: int, err: str
) -> None:
    """The exit code still says what happened."""
    study(tmp_path, SMALL)
    done = subprocess.run(
        ["/bin/sh", "-c", f"{STARTED} {line}"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "", err)


def test_characters_outside_the_encoding_are_escaped(tmp_path: Path) -> None:
    """An old encoding does not prevent the output."""
    study(tmp_path, SMALL)
    done = subprocess.run(
        [sys.executable, "-m", "runner", "explain", "lib=1.0,size=1", "--reports", "größe"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = "no run of small in gr\\xf6\\xdfe yet: every trial would run\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, said, "")


def test_nohup_is_respected(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A signal that was ignored before the start stays ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert main(["schema"]) == Exit.OK
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


# --- verbs that need no engine -------------------------------------------------------------------


def test_schema_prints_the_schema_file(capsys: pytest.CaptureFixture[str]) -> None:
    """The output equals the file that the modeline of matrix.yaml names."""
    assert main(["schema"]) == Exit.OK
    assert capsys.readouterr().out == (ROOT / "matrix.schema.json").read_text()


def test_report_needs_only_the_folder(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It rebuilds the report of the newest run, or of a named one, without an engine."""
    monkeypatch.setattr("runner.cli.report.write_report", lambda folder: folder.path)
    folders = [RunFolder(Path("reports", name)).make() for name in ("1-founding", "2-founding")]
    for folder in folders:
        folder.save(founding_run())
        point_latest(folder)
    for words, folder in (([], folders[1]), (["1-founding"], folders[0])):
        assert main(["report", *words]) == Exit.OK
        said = capsys.readouterr().out.strip().removeprefix("report: ")
        assert Path(said).samefile(folder.path)
    assert main(["report", "nothing"]) == Exit.RUN_FOLDER


def test_plan_shows_the_trials_and_their_needs(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cells with their notes, environments to lock and to build, and the duration."""
    study(tmp_path, FULL)
    monkeypatch.setattr("os.cpu_count", lambda: 64)
    assert main(["plan", "--engine", "docker"]) == Exit.OK
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "small: 4 cells, 14 trials in 3 blocks"
    assert "  lib=3.0,size=1  (expected: no-image, blocks: 2)" in said
    assert "compares: 1 pair of cells, in seconds" in said
    assert "verdicts: after 3, 6, 9 or 12 complete blocks" in said
    assert "to lock:  lib=1.0, lib=2.0, lib=3.0" in said
    assert "to build: unknown, because no engine answers" in said
    assert [line for line in said if line.startswith("takes:    about ")]
    assert said[-1].startswith("warning:  a comparison needs 5 blocks, so 3 give no verdict; ")
    assert not Path("reports").exists()


def test_texts_of_a_lock_are_printable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """They neither control the terminal nor look like a line of ours."""
    study(tmp_path, SMALL)
    reason = "\x1b]0;title\x07\x1b[2Jno\nto build: nothing \u202e"
    entries = [{**entry, "unsupported": reason} for entry in UNSUPPORTED]
    (tmp_path / "matrix.lock").write_text(json.dumps({"format": 1, "entries": entries}))
    assert main(["plan"]) == Exit.OK
    said = capsys.readouterr().out
    assert r"unsupported: lib=1.0: no to build: nothing \u202e" in said.splitlines()
    assert said == printable(said)


def test_texts_of_a_run_are_printable(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A run folder may come from anybody, too."""
    study(tmp_path, SMALL)
    (tmp_path / "matrix.lock").write_text(json.dumps({"format": 1, "entries": UNSUPPORTED}))
    matrix = replace(founding_run().matrix, name="small")
    run = replace(founding_run(), matrix=matrix, runner_version="\x1b]0;title\x07\x1b[2J0")
    RunFolder(Path("reports", "1-small")).make().save(run)
    assert main(["explain", "lib=1.0,size=1"]) == Exit.OK
    said = capsys.readouterr().out
    assert "matrix-runner: 0 -> " in said
    assert said == printable(said)


def test_a_locked_environment_is_exported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without an entry there is nothing to export."""
    study(tmp_path, SMALL)
    assert main(["export", "lib=1.0,size=1"]) == Exit.CONFIG
    assert "is not locked yet; run `python -m runner lock` first" in capsys.readouterr().err
    lock = tmp_path / "matrix.lock"
    lock.write_text(json.dumps({"format": 1, "entries": UNSUPPORTED}))
    assert main(["export", "lib=1.0,size=1"]) == Exit.CONFIG
    assert "lib=1.0,size=1 has no environment: " in capsys.readouterr().err
    entries = [{**entry, **LOCKED} for entry in UNSUPPORTED]
    for entry in entries:
        del entry["unsupported"]
    lock.write_text(json.dumps({"format": 2, "entries": entries}))
    assert main(["export", "lib=1.0,size=1"]) == Exit.OK
    assert capsys.readouterr().out == (
        "# lib=1.0: Python 3.7 on linux-x86_64, as of 2020-01-01\n"
        f"lib==1.0 \\\n    --hash=sha256:{'0' * 64}\n"
    )
    assert main(["export", "lib=1.0,size=9"]) == Exit.NOTHING_SELECTED


@pytest.mark.parametrize("home", [None, "relative"])
def test_nobody_needs_a_home(
    home: str | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Users of containers often have none, and the working folder does not provide one."""
    study(tmp_path, SMALL)
    monkeypatch.setenv("HOME", home or "")
    if home is None:
        monkeypatch.delenv("HOME")
        monkeypatch.setattr("pwd.getpwuid", {}.__getitem__)
    for name in ("DOCKER_HOST", "XDG_CACHE_HOME", "XDG_STATE_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert main(["plan"]) == Exit.OK
    assert "to lock:  lib=1.0, lib=2.0" in capsys.readouterr().out
    assert not Path("relative").exists()


def test_plan_prints_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It lists cells, trials in order, environments to lock and to build, and seconds."""
    study(tmp_path, SMALL)
    Path("matrix.lock").write_text(json.dumps({"format": 1, "entries": UNSUPPORTED[:1]}))
    words = ["plan", "--json", "-s", "size=1", "--blocks", "2", "--seed", "5"]
    assert main([*words, "--engine", "docker"]) == Exit.OK
    found = json.loads(capsys.readouterr().out)
    assert found.pop("seconds") > 0
    trials = found.pop("trials")
    assert sorted(trial["id"] for trial in trials) == [
        *(f"lib=1.0,size=1@b{block}{control}.1" for block in (1, 2) for control in ("", "t")),
        *(f"lib=2.0,size=1@b{block}.1" for block in (1, 2)),
    ]
    assert [trial["block"] for trial in trials] == [1, 1, 1, 2, 2, 2]
    cells = found.pop("cells")
    assert cells[0] == {
        "id": "lib=1.0,size=1",
        "coordinates": {"lib": "1.0", "size": 1},
        "parameters": {"size": 1},
        "environment": "lib=1.0",
        "expect": "ok",
    }
    assert found == {
        "format": 1,
        "name": "small",
        "blocks": 2,
        "command": ["python", "run.py"],
        "files": ["run.py"],
        "compare": [{"of": "lib=2.0,size=1", "against": "lib=1.0,size=1", "metrics": ["seconds"]}],
        "looks": [7, 14, 21, 28],
        "to_lock": ["lib=2.0"],
        "to_build": None,
        "parallel": 1,
        "unsupported": {"lib=1.0": "made so by a test"},
    }


def test_plan_asks_a_local_engine_without_its_sdk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images that the engine on a Unix socket lists are not built again."""
    study(tmp_path, SMALL)
    monkeypatch.setenv("DOCKER_HOST", "unix://engine.sock")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("engine.sock")
        listening.listen()
        answered: list[bytes] = []

        def answer() -> None:
            line, _ = listening.accept()
            with line:
                answered.append(line.recv(65536))
                line.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n[]\n")

        thread = threading.Thread(target=answer)
        thread.start()
        assert main(["plan"]) == Exit.OK
        thread.join()
    assert answered[0].startswith(b"GET /images/json?filters=%7B%22label%22")
    assert "to build: lib=1.0, lib=2.0" in capsys.readouterr().out


def test_plan_asks_a_remote_engine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine on the network is asked in the same way as for a run."""
    study(tmp_path, SMALL)
    monkeypatch.setenv("DOCKER_HOST", "tcp://elsewhere:2375")
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: FakeEngine())
    assert main(["plan"]) == Exit.OK
    assert "to build: lib=1.0, lib=2.0" in capsys.readouterr().out


def test_a_complete_lock_is_not_changed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`lock` resolves nothing and prints the number of environments.

    The exit code is 1, because a cell that should work cannot exist; the message names it.
    """
    study(tmp_path, SMALL)
    Path("matrix.lock").write_text(json.dumps({"format": 1, "entries": UNSUPPORTED}))
    before = Path("matrix.lock").read_bytes()
    assert main(["lock"]) == Exit.CELL_FAILED
    said = capsys.readouterr().out.splitlines()
    assert len(said) == 3
    assert "lib=1.0" in said[0]
    assert "unsupported: made so by a test" in said[0]
    assert said[2] == "matrix.lock: 2 environments locked"
    assert Path("matrix.lock").read_bytes() == before


# --- clean ---------------------------------------------------------------------------------------


IMAGE = Owned(kind="image", id="i", label="an image", size_bytes=2_000_000)


@pytest.fixture
def holding(monkeypatch: pytest.MonkeyPatch) -> Holding:
    """Return an engine with an image and the remains of two runs. The second run is still alive."""
    folders = [Path("reports", name) for name in ("1-dead", "2-living")]
    for folder in folders:
        folder.mkdir(parents=True)
    runs = [registry.remember(folder) for folder in folders]
    things = [Owned(kind="volume", id=run, label=run, run=run) for run in runs]
    box = Owned(kind="container", id="c", label=runs[0], run=runs[0])
    engine = Holding(IMAGE, *things, box)
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: engine)
    return engine


def test_clean_removes_everything_of_ours(
    holding: Holding, capsys: pytest.CaptureFixture[str]
) -> None:
    """It lists everything with its size, then removes it."""
    assert main(["clean", "--yes"]) == Exit.OK
    assert holding.things == []
    said = capsys.readouterr().out
    assert "image     an image  2 MB\n" in said
    assert said.endswith("removed 4 items, 2 MB\n")


@pytest.mark.parametrize(("answer", "left"), [("", 4), ("n", 4), ("nonsense", 4), ("Y", 0)])
def test_clean_asks(
    holding: Holding, monkeypatch: pytest.MonkeyPatch, answer: str, left: int
) -> None:
    """Nothing is removed without a yes."""
    monkeypatch.setattr("builtins.input", lambda _: answer)
    assert main(["clean"]) == Exit.OK
    assert len(holding.things) == left


def test_clean_removes_nothing_if_nobody_answers(
    holding: Holding, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No answer means no."""

    def nobody(_: str) -> str:
        raise EOFError

    monkeypatch.setattr("builtins.input", nobody)
    assert main(["clean"]) == Exit.OK
    assert len(holding.things) == 4


def test_clean_keeps_what_a_running_process_needs(holding: Holding) -> None:
    """During a run its volume stays, and every image, because the run may need any of them."""
    living = Path("reports/2-living")
    with occupied(living) as ours:
        assert ours
        for words in ((), ("--all",)):
            assert main(["clean", "--yes", *words]) == Exit.OK
            labels = [one.label for one in holding.things]
            assert labels == ["an image", registry.remember(living)]


def test_clean_removes_remains_of_other_folders_only_with_all(
    holding: Holding, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without --all they are only counted."""
    assert main(["clean", "--yes", "--reports", "elsewhere"]) == Exit.OK
    told = "kept 3: their run folder is gone or elsewhere (removed with --all)\n"
    assert told in capsys.readouterr().out
    assert {thing.kind for thing in holding.things} == {"container", "volume"}
    assert main(["clean", "--yes", "--reports", "elsewhere", "--all"]) == Exit.OK
    assert holding.things == []


def test_clean_keeps_images_while_another_process_builds(holding: Holding) -> None:
    """A run that still builds has no volume on the engine yet, but needs its images."""
    holding.things = [IMAGE]
    with living():
        assert main(["clean", "--yes", "--all"]) == Exit.OK
    assert holding.things == [IMAGE]


def test_clean_keeps_what_a_run_needs_that_begins_before_the_answer(
    holding: Holding, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What was shown may be in use by the time somebody answers."""
    with contextlib.ExitStack() as at_the_end:

        def answer(_: str) -> str:
            at_the_end.enter_context(living())
            return "y"

        monkeypatch.setattr("builtins.input", answer)
        assert main(["clean"]) == Exit.OK
    assert holding.things == [IMAGE]
    assert capsys.readouterr().out.endswith("removed 3 items, 0 MB\n")


def test_clean_counts_what_belongs_to_others(
    holding: Holding, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It neither lists nor removes it."""
    holding.things = []
    monkeypatch.setattr(holding, "of_others", lambda: (IMAGE, IMAGE))
    assert main(["clean", "--yes", "--all"]) == Exit.OK
    assert capsys.readouterr().out == (
        "kept 2: they belong to another user or machine, or to nobody known\nnothing to remove\n"
    )


def cached(folder: Path) -> Path:
    """Make a cache of uv with one file, and return its folder."""
    cache = folder / "matrix-runner" / "uv"
    cache.mkdir(parents=True)
    (cache / "wheel").write_bytes(bytes(10**6))
    return cache


@pytest.mark.parametrize("engine_answers", [True, False])
def test_clean_removes_caches(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    engine_answers: bool,
) -> None:
    """Also if no engine answers, but never while another process is running."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cache = cached(tmp_path)
    if engine_answers:
        monkeypatch.setattr("runner.engines.docker.connect", lambda *_: Holding())
    words = ["clean", "--yes", "--engine", "docker"]
    with living():
        assert main(words) == (Exit.OK if engine_answers else Exit.ENGINE)
    assert cache.exists()
    assert main(words) == Exit.OK
    said = capsys.readouterr().out
    assert f"cache     {cache}  1 MB\n" in said
    assert ("Only caches are listed: no Docker engine answers" in said) is not engine_answers
    assert not cache.exists()


def test_clean_does_not_follow_a_link_to_a_cache(
    holding: Holding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It could lead to anything."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    target = cached(tmp_path / "target")
    (tmp_path / "matrix-runner").mkdir()
    (tmp_path / "matrix-runner" / "uv").symlink_to(target)
    assert main(["clean", "--yes"]) == Exit.OK
    assert (target / "wheel").exists()


def test_clean_does_not_follow_a_link_to_the_cache_of_venv(
    holding: Holding, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Another user of a shared cache may have made it."""
    monkeypatch.setenv("MATRIX_RUNNER_CACHE", str(tmp_path / "shared"))
    mine = tmp_path / "project" / "environments" / "mine"
    mine.mkdir(parents=True)
    place = cache(this_host().id)
    place.parent.mkdir()
    place.symlink_to(mine.parents[1])
    assert main(["clean", "--yes"]) == Exit.OK
    assert mine.exists()


def test_clean_counts_only_what_is_gone(
    holding: Holding, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An engine keeps an image from which somebody else started a container."""
    discard = holding.discard
    monkeypatch.setattr(holding, "discard", lambda thing: thing == IMAGE or discard(thing))
    assert main(["clean", "--yes"]) == Exit.OK
    assert holding.things == [IMAGE]
    assert capsys.readouterr().out.endswith(
        "removed 3 items, 0 MB\nkept 1: something else on the engine uses it\n"
    )


def test_clean_has_nothing_to_do(holding: Holding, capsys: pytest.CaptureFixture[str]) -> None:
    """It says so and asks nothing."""
    holding.things = []
    assert main(["clean"]) == Exit.OK
    assert capsys.readouterr().out == "nothing to remove\n"

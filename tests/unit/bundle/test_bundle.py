"""Bundles: their contents, replays on another machine, and damaged bundles."""

import gzip
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runner.bundle.file import MANIFEST, opened
from runner.cli import main
from runner.engines.protocol import BuildContext
from runner.engines.venv.cache import Environments
from runner.errors import BundleError, Exit, ImageBuildError
from runner.lock.file import write_lock
from runner.records.environment import (
    Base,
    BaseKind,
    EnvironmentRequest,
    Lock,
    ReadyImage,
    Source,
    SourceKind,
)
from runner.records.study import Status
from runner.runs import registry
from runner.runs.folder import RunFolder
from runner.system import digest
from tests.support.fakes import QuickEngine
from tests.support.studies import write_study
from tests.support.trials import INTERPRETER, plain_environment

BUNDLE = "two-bundle.tar.gz"
LABEL = plain_environment().request.label
SCRIPT = """
import json, os, random
order = json.load(open(os.environ["PARAMS_PATH"]))
slower = float(open({factor!r}).read()) if order["cell"]["size"] == 2 else 1
x = order["cell"]["size"] * slower * random.gauss(1, 0.005)
right = order["seed"] % 1000 / 10
values = {{"x": x, "right": right}}
json.dump({{"format": 1, "values": values}}, open(os.environ["RESULT_PATH"], "w"))
"""


class Machines:
    """The engine that commands use; ``elsewhere`` switches to a machine without a network."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.engine = QuickEngine()
        self._patch = patch

    def elsewhere(self) -> QuickEngine:
        """Switch to an empty machine without a network."""
        self.engine = QuickEngine()
        self._patch.setattr("runner.python.uv.call", _no_network)
        self._patch.setattr("runner.python.packages.install", _no_network)
        return self.engine


def _no_network(*_: object, **__: object) -> None:
    raise AssertionError("a replay needs no network")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the first test saves run and bundle for the others."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def machines(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kept: Path) -> Machines:
    """A study in the working folder, ready to run."""
    found = Machines(monkeypatch)
    monkeypatch.setattr("runner.engines.docker.connect", lambda *_: found.engine)
    monkeypatch.setattr("runner.pipeline.keep_off_measured", lambda _: None)
    monkeypatch.setattr("runner.report.figures.changes", lambda *_: None)  # the slowest part
    monkeypatch.setattr(
        "runner.bundle.wheels.collect", lambda folder, _: (folder / "a.whl").write_text("a wheel")
    )
    (kept / "factor").write_text("1")
    script = SCRIPT.format(factor=str(kept / "factor"))
    write_study(tmp_path, plain_environment(), script, blocks=7)
    matrix = tmp_path / "matrix.yaml"
    metrics = "{x: {better: lower}, right: {better: higher, scale: difference}}"
    text = matrix.read_text().replace("{x: {better: lower}}", metrics)
    pair = "compare: [{of: {size: 2}, against: {size: 1}, metrics: [x, right]}]\n"
    matrix.write_text(f"{text}baseline: {{size: 1}}\n{pair}")
    return found


@pytest.fixture
def packed(machines: Machines, kept: Path) -> Path:
    """A bundle with results, and its run."""
    if not (kept / BUNDLE).exists():
        assert main([]) == Exit.OK
        assert main(["bundle"]) == Exit.OK
        shutil.copytree("reports", kept / "reports", symlinks=True)
        shutil.copy(BUNDLE, kept)
    else:
        shutil.copytree(kept / "reports", "reports", symlinks=True)
        shutil.copy(kept / BUNDLE, ".")
    return Path(BUNDLE)


@pytest.mark.usefixtures("machines")
def test_a_bundle_is_one_file_with_everything(packed: Path) -> None:
    """Study, environment, base, wheels, results and the script that replays them."""
    with tarfile.open(packed) as tar:
        entries = {one.name.removeprefix("two-bundle/"): one for one in tar}
    run = Path("reports/latest").resolve()
    trials = {f"results/trials/{path.name}" for path in (run / "trials").iterdir()}
    assert len(trials) == 21
    assert entries.keys() >= trials | {
        "replay.sh",
        "bundle.json",
        "study/matrix.yaml",
        "study/matrix.lock",
        "study/script.py",
        "environments/1/environment.tar",
        "environments/1/Dockerfile",
        f"bases/{INTERPRETER.minor}.tar",
        "results/run.json",
        "results/report.html",
        "wheels/a.whl",
    }
    assert entries["replay.sh"].mode == 0o755
    assert {(one.uname, one.uid, one.mtime) for one in entries.values()} == {("", 0, 0)}


def test_a_replay_reproduces(
    machines: Machines, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Another machine builds the same image and uses the same seeds, with the same result."""
    first = RunFolder(Path("reports/latest")).plan()
    there = machines.elsewhere()
    assert main(["replay", str(packed), "--reports", "there"]) == Exit.OK
    said = capsys.readouterr().out
    assert "**reproduced**" in said
    assert there.loaded == [INTERPRETER.minor]
    assert there.built == [LABEL]
    replay = RunFolder(Path("there/replays/latest"))
    assert replay.stored().matrix_text == Path("matrix.yaml").read_text()
    assert replay.plan() == first
    assert {one.status for one in replay.results()} == {Status.OK}
    assert (replay.path / "replay.md").read_text() in said


def test_an_environment_from_a_bundle_is_only_used_by_its_replay(
    machines: Machines, packed: Path
) -> None:
    """An ordinary study builds its own, and so does the replay of another bundle."""
    assert main(["bundle", "--output", "other.tar.gz"]) == Exit.OK
    machines.engine = there = QuickEngine()
    replay = ["replay", "--blocks", "1", "--reports", "there"]
    for built, words in (
        (1, [*replay, str(packed)]),
        (1, [*replay, str(packed), "--new"]),
        (2, [*replay, "other.tar.gz"]),
        (3, ["run", "--new", "--blocks", "1"]),
        (3, [*replay, str(packed)]),
    ):
        assert main(words) == Exit.OK
        assert len(there.built) == len(there.images()) == built, words
    assert len(list(Path("there/replays").glob("2*"))) == 3


def test_a_run_in_a_bundle_does_not_continue_with_another_one(
    machines: Machines, packed: Path
) -> None:
    """Another bundle begins a run of its own, although seeds and inputs are the same."""
    assert main(["bundle", "--output", "other.tar.gz"]) == Exit.OK
    machines.elsewhere()
    for path in (str(packed), "other.tar.gz"):
        assert main(["replay", path, "--blocks", "1", "--reports", "there"]) == Exit.OK
    runs = [RunFolder(path).run() for path in Path("there/replays").glob("2*")]
    assert len({run.bundle for run in runs}) == 2


def test_a_replay_cleans_up_after_dead_runs(
    machines: Machines, packed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Everything that a killed run left on the engine is removed before the first trial."""
    dead = tmp_path / "dead"
    dead.mkdir()
    machines.elsewhere().stage(registry.remember(dead), "an image", {})
    assert main(["replay", str(packed), "--reports", "there", "--blocks", "1"]) == Exit.OK
    removed = f"removed 1 volume that a dead run left on the engine: {dead}"
    assert removed in capsys.readouterr().out.partition("[1/")[0]


def test_another_result_elsewhere_is_not_reproduced(
    machines: Machines, packed: Path, kept: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The exit code is 1."""
    machines.elsewhere()
    (kept / "factor").write_text("0.25")
    assert main(["replay", str(packed), "--reports", "there"]) == Exit.CELL_FAILED
    assert "**not reproduced**" in capsys.readouterr().out


def test_a_replay_resumes_itself_and_never_the_bundled_run(
    machines: Machines, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its folder is separate, even on the machine that made the bundle."""
    machines.elsewhere()
    assert main(["replay", str(packed), "--blocks", "2"]) == Exit.OK
    assert "**cannot tell**" in capsys.readouterr().out
    assert len(machines.engine.executed) == 6
    assert main(["replay", str(packed)]) == Exit.OK
    assert "**reproduced**" in capsys.readouterr().out
    assert len(machines.engine.executed) == 21
    assert len(list(Path("reports").glob("2*"))) == 1


def test_an_unpacked_bundle_is_replayed_in_place(
    machines: Machines, packed: Path, tmp_path: Path
) -> None:
    """Its own script does the same."""
    unpacked(packed, tmp_path / "x")
    machines.elsewhere()
    assert main(["replay", "x/two-bundle", "--reports", "there"]) == Exit.OK


PYTHON = """#!/bin/sh
echo "$@" >>{log}
case "$*" in
    *"-c import sys"*) echo {version} ;;
    *-m\\ venv*) for place; do :; done; mkdir -p "$place/bin"; cp "$0" "$place/bin/python" ;;
    *install*) exit {code} ;;
esac
"""


@pytest.mark.usefixtures("machines")
def test_replay_sh_sets_up_the_runner_once(packed: Path, tmp_path: Path) -> None:
    """It starts no other runner, and a failed set-up has its own exit code."""
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    unpacked(packed, tmp_path / "a place")
    (tmp_path / "bin").mkdir()

    def started(version: str, code: int) -> tuple[int, list[str]]:
        python, log = tmp_path / "bin" / "python3", tmp_path / "log"
        python.write_text(PYTHON.format(log=log, version=version, code=code))
        python.chmod(0o755)
        log.write_text("")
        done = subprocess.run(
            ["/bin/sh", "two-bundle/replay.sh", "--blocks", "3"],
            cwd=tmp_path / "a place",
            env={"PATH": f"{tmp_path / 'bin'}:{os.defpath}", "PYTHON": str(python), "CDPATH": "."},
            check=False,
        )
        return done.returncode, log.read_text().splitlines()

    assert started(version, 1)[0] == Exit.ENGINE
    place = tmp_path / "a place" / "two-bundle"
    code, words = started(version, 0)
    assert code == 0
    assert words[1] == f"-I -m venv --clear --without-pip {place}/.venv"
    assert words[3:] == [f"-I -m runner replay {place} --blocks 3"]
    assert started(version, 1)[1][1:] == words[3:]


def test_a_bundle_without_results_is_executed(
    machines: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    """A study can move to a machine without a network before its first run."""
    assert main(["bundle", "--output", "new.tar.gz"]) == Exit.OK
    said = capsys.readouterr().out
    assert "the bundle will contain no results" in said
    assert "tar -xf new.tar.gz && new/replay.sh" in said
    there = machines.elsewhere()
    assert main(["replay", "new.tar.gz", "--blocks", "1"]) == Exit.OK
    assert "cannot tell: the bundle contains no results to compare with" in capsys.readouterr().out
    assert len(there.executed) == 3


def test_a_run_of_another_script_is_not_bundled(
    machines: Machines, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A bundle contains only what was measured."""
    script = Path("script.py")
    script.write_text(f"{script.read_text()}\n# edited\n")
    assert main(["bundle"]) == Exit.CONFIG
    said = capsys.readouterr().err
    assert said.startswith("the study has changed since reports/")
    assert "was measured (script sha256); undo the changes, or run the matrix again." in said


@pytest.mark.usefixtures("machines", "packed")
@pytest.mark.parametrize("target", ["/etc/passwd", "/etc"])
def test_a_link_among_the_results_is_not_bundled(
    target: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whoever gets the bundle could read what it leads to."""
    Path("reports/latest/logs/more.log").symlink_to(target)
    Path(BUNDLE).unlink()
    assert main(["bundle"]) == Exit.RUN_FOLDER
    assert "is a link, which is not followed" in capsys.readouterr().err
    assert not Path(BUNDLE).exists()


@pytest.mark.usefixtures("machines", "packed")
def test_the_bundle_has_the_requested_name(capsys: pytest.CaptureFixture[str]) -> None:
    """Its folder has the same name, and the printed command works with any characters."""
    assert main(["bundle", "--output", "tf 1.15 \u00e9.tar.gz"]) == Exit.OK
    said = capsys.readouterr().out.splitlines()[-1].removeprefix("on the other machine: ")
    assert subprocess.run(["/bin/sh", "-c", said.partition(" && ")[0]], check=False).returncode == 0
    assert Path("tf 1.15 \u00e9/replay.sh").is_file()
    assert said.endswith(" && 'tf 1.15 \u00e9/replay.sh'")
    assert main(["bundle", "--output", "nowhere/x.tar.gz"]) == Exit.RUN_FOLDER
    assert "there is no folder nowhere; create it" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["x", "x.zip", ".tar.gz", "folder/.x.tar.gz"])
def test_other_names_are_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder could not have the same name, or would be hidden."""
    with pytest.raises(SystemExit):
        main(["bundle", "--output", name])
    assert "expected NAME.tar.gz" in capsys.readouterr().err


@pytest.mark.usefixtures("machines", "packed")
@pytest.mark.parametrize(
    ("name", "before", "after", "said"),
    [
        ("matrix.lock", '"as_of": "20', '"as_of": "19', f"(environments {LABEL})"),
        ("matrix.yaml", "size: [1, 2]", "size: [1, 2, 3]", None),
        (
            "matrix.yaml",
            "timeout: 30",
            "timeout: 31",
            "(cells size=1, cells size=2, limits timeout_s",
        ),
        ("matrix.yaml", "name: two", "name: three", "(name)"),
    ],
)
def test_a_run_of_another_matrix_or_lock_is_not_bundled(
    capsys: pytest.CaptureFixture[str],
    name: str,
    before: str,
    after: str,
    said: str | None,
) -> None:
    """``study/`` belongs to the results. The run may have had fewer cells."""
    path = Path(name)
    assert before in path.read_text()
    path.write_text(path.read_text().replace(before, after))
    run = str(Path("reports/latest").resolve())
    assert main(["bundle", run, "--output", "x.tar.gz"]) == (Exit.CONFIG if said else Exit.OK)
    assert (said or "") in capsys.readouterr().err


def test_a_bundle_has_the_files_and_arguments_of_its_run(
    machines: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    """A run of others is not bundled, but how its numbers are reduced may change."""
    matrix, file = Path("matrix.yaml"), Path("lib/a.txt")
    file.parent.mkdir()
    file.write_text("a")
    keys = "script: script.py, files: [lib/*], args: [a]"
    text = matrix.read_text().replace("script: script.py", keys)
    text = text.replace("{x: {better: lower}", "{x: {from: {result: x}, better: lower}")
    matrix.write_text(text)
    assert main(["run", "--blocks", "1"]) == Exit.OK
    for before, after, said in (
        ("args: [a]", "args: [b]", "(command)"),
        ("{result: x}", "{result: right}", "(metrics x)"),
        ("better: lower", "better: lower, warmup: 9, reduce: last", None),
        ("", "", None),
    ):
        matrix.write_text(text.replace(before, after))
        assert main(["bundle", "--output", "x.tar.gz"]) == (Exit.CONFIG if said else Exit.OK)
        assert (said or "") in capsys.readouterr().err
    with tarfile.open("x.tar.gz") as tar:
        assert "x/study/lib/a.txt" in tar.getnames()
    file.write_text("b")
    assert main(["bundle", "--output", "y.tar.gz"]) == Exit.CONFIG
    assert "(files lib/a.txt)" in capsys.readouterr().err
    there = machines.elsewhere()
    assert main(["replay", "x.tar.gz", "--reports", "there"]) == Exit.OK
    assert len(there.executed) == 3


@pytest.mark.usefixtures("machines", "packed")
def test_a_quick_run_of_some_cells_is_bundled() -> None:
    """The run has the same matrix, but only a part of it."""
    matrix = Path("matrix.yaml")
    matrix.write_text(matrix.read_text() + "parameters: {epochs: 9}\n")
    assert main(["run", "--quick", "-s", "size=2"]) == Exit.OK
    assert main(["bundle", "--output", "x.tar.gz"]) == Exit.OK


def test_replays_of_two_runs_have_different_seeds(machines: Machines, packed: Path) -> None:
    """The second does not resume the first."""
    assert main(["run", "--new", "--blocks", "1"]) == Exit.OK
    second = RunFolder(Path("reports/latest")).plan().seed
    assert main(["bundle", "--output", "second.tar.gz"]) == Exit.OK
    machines.elsewhere()
    for path in (packed, Path("second.tar.gz")):
        assert main(["replay", str(path), "--blocks", "1", "--reports", "there"]) == Exit.OK
    assert RunFolder(Path("there/replays/latest")).plan().seed == second


# --- damaged and hostile bundles -----------------------------------------------------------------


def repacked(packed: Path, change: Callable[[Path], None], folder: Path) -> Path:
    """Return the folder of a changed bundle."""
    unpacked(packed, folder)
    change(folder / "two-bundle")
    return folder / "two-bundle"


def _contents(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def changed(folder: Path) -> None:
        path = folder / MANIFEST
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))

    return changed


def _stored(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Return a function that changes a file of the results and its digest."""

    def changed(folder: Path) -> None:
        path = folder / f"results/{name}.json"
        content = json.loads(path.read_text())
        change(content)
        path.write_text(json.dumps(content))
        found = digest.of_file(path)
        _contents(lambda one: one["files"].update({f"results/{name}.json": found}))(folder)

    return changed


EPOCH = "1970-01-01T00:00:00Z"


def _absolute_script(folder: Path) -> None:
    script = Path("script.py").absolute()
    _stored("run", lambda one: one["matrix"]["experiment"].update(script=str(script)))(folder)
    target = folder / f"study/{script}"
    target.parent.mkdir(parents=True)
    shutil.copy(script, target)
    found = digest.of_file(script)
    names = (f"study/{script}", f"study{script}")
    _contents(lambda one: one["files"].update(dict.fromkeys(names, found)))(folder)


def _linked_results(folder: Path) -> None:
    (folder / "results").rename("elsewhere")
    (folder / "results").symlink_to(Path("elsewhere").absolute())


def _hidden_link(folder: Path) -> None:
    """Reach a file outside through a hidden link, under the digest that it has."""
    Path("outside").mkdir()
    Path("outside/secret").write_text("a secret")
    (folder / "study/.x").symlink_to(Path("outside").absolute())
    found = digest.of_file(Path("outside/secret"))
    _contents(lambda one: one["files"].update({"study/.x/secret": found}))(folder)


def _pipe_as_manifest(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    os.mkfifo(folder / MANIFEST)


def _linked_manifest(folder: Path) -> None:
    (folder / MANIFEST).rename("manifest.json")
    (folder / MANIFEST).symlink_to(Path("manifest.json").absolute())


def _no_limits(matrix: dict[str, Any]) -> None:
    matrix["limits"]["memory_bytes"] = 2**50


def _other_dockerfile(folder: Path) -> None:
    text = "FROM scratch\nRUN evil\n"
    (folder / "environments/1/Dockerfile").write_text(text)
    found = digest.of_file(folder / "environments/1/Dockerfile")
    _contents(lambda one: one["files"].update({"environments/1/Dockerfile": found}))(folder)


def _of_images(folder: Path) -> None:
    """Make a study of container images of it."""
    source = Source(kind=SourceKind.IMAGE, written="evil")
    request = EnvironmentRequest(requirements=(), sources=(source,), chosen=(("app", "evil"),))
    lock = Lock(entries=(ReadyImage(request=request, digest=f"sha256:{'0' * 64}"),))
    write_lock(folder / "study/matrix.lock", lock)
    lines = (folder / "study/matrix.yaml").read_text().splitlines()
    dropped = ("axes:", "environment:", "compare:", "baseline:")
    kept = [line for line in lines if not line.startswith(dropped)]
    text = "\n".join([*kept, "axes: {app: {image: [evil]}}", ""])
    (folder / "study/matrix.yaml").write_text(text)
    names = ("study/matrix.lock", "study/matrix.yaml")
    found = {name: digest.of_file(folder / name) for name in names}
    _contents(lambda one: one["files"].update(found))(folder)


def test_a_bundle_of_other_images_is_refused(
    machines: Machines, capsys: pytest.CaptureFixture[str]
) -> None:
    """A replay neither pulls an image nor builds a stranger's Dockerfile."""
    assert main(["bundle"]) == Exit.OK
    folder = repacked(Path(BUNDLE), _of_images, Path("x"))
    there = machines.elsewhere()
    assert main(["replay", str(folder)]) == Exit.RUN_FOLDER
    assert "runs no other container images than its own (app=evil)" in capsys.readouterr().err
    assert there.built == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda one: (one / "study/script.py").write_text("evil"), "script.py is damaged"),
        (lambda one: (one / "study/script.py").unlink(), "script.py is damaged or missing"),
        (lambda one: (one / MANIFEST).unlink(), "is not a bundle"),
        (lambda one: (one / MANIFEST).write_text("{"), "is damaged (the whole file: Invalid JSON"),
        (_contents(lambda one: one.update(format=9)), "format 9, this one reads up to 2"),
        (_contents(lambda one: one.update(files={})), "matrix.lock is not part of the bundle"),
        (
            _contents(lambda one: one["files"].update({"../../etc/passwd": "0"})),
            "passwd is damaged or missing",
        ),
        (_contents(lambda one: one.update(matrix="../matrix.yaml")), "but does not contain it"),
        (_contents(lambda one: one.update(environments=[])), f"no environment for {LABEL}"),
        (
            _contents(lambda one: one["environments"][0].update(python="../../x")),
            "environments.0.python",
        ),
        (_stored("run", lambda one: one["lock"].update(entries=[])), f"no entry for {LABEL}"),
        (
            _stored("run", lambda one: one["matrix"].update(looks=0)),
            "not all between 1 and 10,000",
        ),
        (
            _stored("plan", lambda one: one.update(blocks=10**9)),
            "not all between 1 and 10,000",
        ),
        (_absolute_script, "are of another study than its matrix and lock"),
        (
            lambda one: shutil.copy(one / "replay.sh", one / "results/trials/x.json"),
            "x.json is not part of the bundle",
        ),
        (_linked_results, "results is not part of the bundle"),
        (_hidden_link, ".x is not part of the bundle"),
        (_pipe_as_manifest, "is not a bundle"),
        (lambda one: os.truncate(one / MANIFEST, 2**40), "larger than the limit of 67108864 bytes"),
        (_linked_manifest, "is not a bundle"),
        (_stored("run", lambda one: _no_limits(one["matrix"])), "are of another study"),
        (_stored("run", lambda one: one["matrix"].update(name="x")), "are of another study"),
        (
            _stored("run", lambda one: one["matrix"]["experiment"].update(args=["evil"])),
            "are of another study",
        ),
        (
            _stored("run", lambda one: one["matrix"]["metrics"][0]["source"].update(selects=["y"])),
            "are of another study",
        ),
        (_stored("run", lambda one: one["matrix"].update(repeats=10**9)), "are of another study"),
        (
            _stored("run", lambda one: one["matrix"]["cells"][0].update(timeout_s=1e9)),
            "are of another study",
        ),
        (
            _stored("run", lambda one: one["lock"]["entries"][0].update(as_of=EPOCH)),
            "are of another study",
        ),
        (
            _contents(lambda one: one["files"].update({"x\x1b[2J\ry": "0"})),
            "x\\x1b[2J\\ry is damaged",
        ),
        (_other_dockerfile, "differs from the Dockerfile of this matrix-runner"),
    ],
)
def test_a_changed_bundle_is_refused(
    machines: Machines,
    packed: Path,
    capsys: pytest.CaptureFixture[str],
    change: Callable[[Path], None],
    said: str,
) -> None:
    """With one sentence, and before anything in it runs."""
    folder = repacked(packed, change, Path("x"))
    there = machines.elsewhere()
    assert main(["replay", str(folder)]) == Exit.RUN_FOLDER
    assert said in capsys.readouterr().err
    assert there.executed == []


def test_an_edited_result_in_a_bundle_is_named(
    machines: Machines, packed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It does not count, although the bundle has a digest that fits the file."""
    change = _stored("trials/size=1@b1.1", lambda one: one["values"].update(x=9.9))
    folder = repacked(packed, change, Path("x"))
    machines.elsewhere()
    assert main(["replay", str(folder), "--blocks", "1", "--reports", "there"]) == Exit.OK
    said = capsys.readouterr().out.replace("<!-- -->", "")
    assert "In the bundle: Edited results: size=1@b1.1. They are not counted." in said


def test_only_needed_environments_are_built(machines: Machines, packed: Path) -> None:
    """A digest becomes the name of a folder in the cache: only expected ones are used."""
    strange = _contents(
        lambda one: one["environments"].append({**one["environments"][0], "digest": "../../x"})
    )
    folder = repacked(packed, strange, Path("x"))
    there = machines.elsewhere()
    assert main(["replay", str(folder), "--reports", "there"]) == Exit.OK
    assert there.built == [LABEL]


def unpacked(bundle: Path, folder: Path) -> None:
    """Unpack a bundle as its user does."""
    folder.mkdir(exist_ok=True)
    subprocess.run(["tar", "-xf", bundle, "-C", folder], check=True)


@pytest.mark.parametrize("link", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("name", ["pyvenv.cfg", "lib/x"])
def test_a_bundled_environment_cannot_write_outside_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, link: bytes, name: str
) -> None:
    """Neither unpacking nor later writes follow a link in it."""
    outside = tmp_path / "outside"
    outside.write_text("mine")
    with tarfile.open(tmp_path / "environment.tar", "w") as tar:
        entry = tarfile.TarInfo(name)
        entry.type, entry.linkname = link, str(outside)
        tar.addfile(entry)
        entry = tarfile.TarInfo(name)
        entry.size = 4
        tar.addfile(entry, io.BytesIO(b"evil"))
    environments = Environments(tmp_path / "cache")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)  # as root others would have to enter
    environments.prepare()
    base = Base(kind=BaseKind.INTERPRETER, name="python", digest="sha256:0")
    context = BuildContext(folder=tmp_path, environment="0", label=LABEL, base=base)
    with suppress(ImageBuildError):
        environments.add(context, INTERPRETER.path)
    assert outside.read_text() == "mine"


@pytest.mark.parametrize(
    "kind", ["outside", "absolute", "link", "device", "twice", "huge", "text", "half", "none"]
)
def test_other_archives_are_refused(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is written outside the folder where they are unpacked."""
    path = tmp_path / "b.tar.gz"
    outside = tmp_path / "outside"
    with tarfile.open(path, "w:gz") as tar:
        entry = tarfile.TarInfo({"outside": "../outside", "absolute": str(outside)}.get(kind, "x"))
        if kind in {"link", "device"}:
            entry.type = tarfile.SYMTYPE if kind == "link" else tarfile.CHRTYPE
            entry.linkname = str(outside)
        else:
            entry.size = 4
        tar.addfile(entry, io.BytesIO(b"text"))
        if kind == "twice":
            tar.addfile(entry, io.BytesIO(b"evil"))
        if kind == "huge":
            monkeypatch.setattr("runner.bundle.file.LARGEST_BYTES", 3)
    if kind == "text":
        path.write_text("no tar")
    elif kind == "half":
        path.write_bytes(path.read_bytes()[:-20])
    said = {"twice": "holds 'x' twice", "huge": "holds more than"}.get(kind)
    with pytest.raises(BundleError, match=said), opened(path):
        pass
    assert not outside.exists()


@pytest.mark.parametrize("sparse", [False, True])
def test_unreadable_archives_are_refused(sparse: bool, tmp_path: Path) -> None:
    """Even if reading them raises another error than TarError."""
    path = tmp_path / "b.tar.gz"
    entry = tarfile.TarInfo("b/x")
    entry.size = 512
    if sparse:
        entry.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0"}
    with tarfile.open(path, "w:gz", format=tarfile.PAX_FORMAT) as tar:
        tar.addfile(entry, io.BytesIO(b"no number\n" * 60))
    if not sparse:
        path.write_bytes(path.read_bytes()[:30] + b"\xff" * 60)
    with pytest.raises(BundleError, match="cannot be unpacked"), opened(path):
        pass


def test_a_header_that_fills_the_memory_is_refused(tmp_path: Path) -> None:
    """A few megabytes could unpack to one of many gigabytes, which is read at once."""
    entry = tarfile.TarInfo("long")
    entry.type, entry.size = tarfile.GNUTYPE_LONGNAME, 5 << 20
    with gzip.open(tmp_path / "b.tar.gz", "wb") as file:
        file.write(entry.tobuf(tarfile.GNU_FORMAT) + bytes(entry.size))
    with (
        pytest.raises(BundleError, match="a header in it is too large"),
        opened(tmp_path / "b.tar.gz"),
    ):
        pass


def test_a_fifo_is_no_bundle(tmp_path: Path) -> None:
    """Nobody waits for its other end."""
    os.mkfifo(tmp_path / "b.tar.gz")
    with pytest.raises(BundleError, match="is not a regular file"), opened(tmp_path / "b.tar.gz"):
        pass


@pytest.mark.parametrize("name", ["nowhere.tar.gz", "x" * 5000])
def test_a_missing_bundle_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The message names it."""
    assert main(["replay", name]) == Exit.RUN_FOLDER
    assert f"there is no readable bundle at {name}" in capsys.readouterr().err


def test_an_interrupted_bundle_leaves_the_old_one(
    machines: Machines, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bundle is written completely or not at all."""
    Path(BUNDLE).write_text("an earlier one")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("runner.bundle.wheels.collect", interrupted)
    assert main(["bundle"]) == Exit.INTERRUPTED
    assert Path(BUNDLE).read_text() == "an earlier one"
    assert not list(Path().glob("matrix-runner-*"))

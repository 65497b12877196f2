"""The generated workflows: what they contain, and what official schemas and linters say."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
import yaml

from runner.ci import github
from runner.ci.github import Wanted
from runner.cli import main
from runner.errors import Exit
from tests.support.actions import Job
from tests.support.github import REPOSITORY, TOKEN, FakeGitHub, serving
from tests.support.studies import ROOT

ACTIONS = (ROOT / "action.yml", ROOT / "comment" / "action.yml")
PROGRAMS = Path(sys.executable).parent
ACTION = f"owner/matrix-runner@{'0123456789' * 4}"
LOCK_BUMP = """\
format: 1
name: lock-bump
axes:
  deps: {lock: {before: "git:main:uv.lock", after: uv.lock}}
experiment: {script: bench.py}
"""
STUDY = """\
format: 1
name: study
axes:
  six: {package: six, versions: ["1.15.0", "1.16.0"]}
experiment: {script: bench.py}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a repository with two studies, which is the working folder."""
    (tmp_path / ".git").mkdir()
    (tmp_path / "bench.py").write_text("")
    (tmp_path / "matrix.yaml").write_text(STUDY)
    (tmp_path / "lock-bump.yaml").write_text(LOCK_BUMP)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def generated(*words: str) -> dict[str, str]:
    """Run ``ci github``; return what lies in .github."""
    assert main(["ci", "github", "--action", ACTION, *words]) == Exit.OK
    return {path.name: path.read_text() for path in Path(".github").rglob("*.yml")}


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run ``ci github`` with a mistake; return the message."""
    assert main(["ci", "github", *words]) == Exit.CONFIG
    return capsys.readouterr().err


def checked(*command: str, folder: Path) -> None:
    """Run a program of the test environment that finds nothing."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PATH": f"{PROGRAMS}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


# --- this project ---


def test_the_workflows_of_this_project_are_generated(monkeypatch: pytest.MonkeyPatch) -> None:
    """All but those of its own CI, which `ci github` does not know."""
    monkeypatch.chdir(ROOT)
    wanted = Wanted(
        matrix=Path("matrix.yaml"),
        pull_request=Path("experiments/lock_bump/lock-bump.yaml"),
        action=github.OWN,
        shards=3,
    )
    files = github.files(wanted)
    stored = {path.relative_to(ROOT) for path in (ROOT / ".github").rglob("*.yml")}
    assert stored - {Path(".github/workflows/ci.yml"), Path(".github/zizmor.yml")} == set(files)
    for path, text in files.items():
        assert path.read_text(encoding="utf-8") == text, path


def test_every_action_is_pinned_and_each_to_one_commit() -> None:
    """A comment says which version a commit is."""
    pins: dict[str, set[str]] = {}
    for path in (*(ROOT / ".github").rglob("*.yml"), *ACTIONS):
        for used in re.findall(r"uses: (\S.*)", path.read_text(encoding="utf-8")):
            if not used.startswith("./"):
                found = re.fullmatch(r"([\w/-]+)@([0-9a-f]{40} # v\d+\.\d+\.\d+)", used)
                assert found, f"{path}: {used}"
                pins.setdefault(found[1], set()).add(found[2])
    assert len(pins) == 5
    assert [name for name, versions in pins.items() if len(versions) > 1] == []


def test_no_expression_stands_in_a_script() -> None:
    """A shell would execute what a stranger wrote; values come through the environment."""
    for path in (*(ROOT / ".github" / "workflows").glob("*.yml"), *ACTIONS):
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        jobs = document.get("jobs", {}).values()
        steps = [step for job in jobs for step in job.get("steps", ())]
        steps += document.get("runs", {}).get("steps", ())
        assert steps
        assert [step for step in steps if "${{" in step.get("run", "")] == []


# --- scripts that ask GitHub ---


def scheduled(server: FakeGitHub, home: Path, job: str) -> Job:
    """Execute a job of the weekly workflow against a small GitHub."""
    missing = [one for one in ("curl", "jq") if shutil.which(one) is None]
    if missing:
        pytest.skip(f"{missing} are not installed")
    executed = Job(
        workspace=ROOT,
        home=home,
        context={"github": {"token": TOKEN, "event_name": "schedule"}},
        variables={"GITHUB_API_URL": server.address, "GITHUB_REPOSITORY": REPOSITORY},
    )
    executed.execute("matrix.yml", job)
    return executed


@pytest.mark.parametrize(
    ("days", "said", "warns"),
    [
        (None, "No weekly run has succeeded yet.\n", False),
        (6, "The last successful weekly run is 6 days old.\n", False),
        (70, "The last successful weekly run is 70 days old.\n", True),
    ],
)
def test_the_age_of_the_weekly_run(
    tmp_path: Path, days: int | None, said: str, *, warns: bool
) -> None:
    """It is in the summary, and an old run also gives a warning."""
    with serving() as server:
        if days is not None:
            then = datetime.now(timezone.utc) - timedelta(days=days, hours=1)
            server.weekly = [{"run_started_at": f"{then:%Y-%m-%dT%H:%M:%SZ}"}]
        job = scheduled(server, tmp_path, "age")
    assert (job.is_failed, job.summary) == (False, said), job.log
    assert job.log.startswith("::warning title=The weekly run is 70 days old::") is warns


def test_the_weekly_run_enables_itself(tmp_path: Path) -> None:
    """With one request, and nothing else."""
    with serving() as server:
        job = scheduled(server, tmp_path, "keep-alive")
    assert not job.is_failed, job.log
    path = f"/repos/{REPOSITORY}/actions/workflows/matrix.yml/enable"
    assert server.requests == [f"PUT {path}"]


# --- other projects ---


@pytest.fixture(params=["this", "other"])
def repository(request: pytest.FixtureRequest) -> Path:
    """Return this repository, and another one with generated workflows."""
    if request.param == "this":
        return ROOT
    generated("--pull-request", "lock-bump.yaml")
    return Path.cwd()


def test_they_follow_the_official_schemas(repository: Path) -> None:
    """Those of workflows, of actions and of Dependabot."""
    check = ("check-jsonschema", "--builtin-schema")
    workflows = map(str, (repository / ".github" / "workflows").glob("*.yml"))
    checked(*check, "vendor.github-workflows", *workflows, folder=repository)
    checked(*check, "vendor.dependabot", ".github/dependabot.yml", folder=repository)
    checked(*check, "vendor.github-actions", *map(str, ACTIONS), folder=ROOT)


def test_actionlint_finds_nothing(repository: Path) -> None:
    """It also has shellcheck read the scripts."""
    workflows = map(str, (repository / ".github" / "workflows").glob("*.yml"))
    checked("actionlint", *workflows, folder=repository)


def test_zizmor_finds_nothing(repository: Path) -> None:
    """Exceptions have their reasons beside them: workflow_run, and in .github/zizmor.yml."""
    actions = map(str, ACTIONS if repository == ROOT else ())
    strict = ("zizmor", "--offline", "--quiet", "--persona=pedantic")
    checked(*strict, ".github", *actions, folder=repository)


def test_rights_are_minimal() -> None:
    """No job may write, except that which comments and that which enables the schedule."""
    writing = {}
    for name, text in generated("--pull-request", "lock-bump.yaml").items():
        document = yaml.safe_load(text)
        if "jobs" in document:
            assert document["permissions"] == {}
            for job, body in document["jobs"].items():
                rights = {right for right, level in body["permissions"].items() if level == "write"}
                writing[name, job] = rights
    assert {place: rights for place, rights in writing.items() if rights} == {
        ("matrix-comment.yml", "comment"): {"pull-requests"},
        ("matrix.yml", "keep-alive"): {"actions"},
    }


def test_a_pull_request_compares_its_base_with_itself() -> None:
    """Only where it changes one of the files; without a weekly study there is no weekly run."""
    files = generated("--matrix", "lock-bump.yaml")
    assert set(files) == {"matrix-pull-request.yml", "matrix-comment.yml", "dependabot.yml"}
    document = yaml.safe_load(files["matrix-pull-request.yml"])
    assert document[True]["pull_request"]["paths"] == ["uv.lock", "lock-bump.yaml"]
    assert set(document["jobs"]) == {"upgrade"}
    step = document["jobs"]["upgrade"]["steps"][1]
    assert step["uses"] == ACTION
    assert step["with"] == {
        "matrix": "lock-bump.yaml",
        "arguments": "--set axes.deps.lock.before=git:HEAD^1:uv.lock --budget 90m",
        "gate": True,
    }
    comment = yaml.safe_load(files["matrix-comment.yml"])["jobs"]["comment"]
    assert [step["uses"] for step in comment["steps"]] == [ACTION.replace("@", "/comment@")]
    assert comment["permissions"] == {"actions": "read", "pull-requests": "write"}


def test_a_study_without_lock_files_has_no_pull_requests() -> None:
    """It has a weekly run, and shards of a number that the command names."""
    files = generated("--shards", "5")
    assert set(files) == {"matrix.yml", "matrix-sharded.yml", "dependabot.yml"}
    jobs = yaml.safe_load(files["matrix-sharded.yml"])["jobs"]
    assert jobs["shard"]["strategy"]["matrix"] == {"shard": [1, 2, 3, 4, 5]}
    assert "--locked" not in files["matrix.yml"]


def test_a_committed_lock_is_used() -> None:
    """Then every run measures the same packages."""
    shutil.copy(ROOT / "matrix.lock", "matrix.lock")
    assert "arguments: --locked --budget 150m" in generated()["matrix.yml"]


def test_the_same_command_writes_them_again() -> None:
    """The first lines name it."""
    first = generated("--pull-request", "lock-bump.yaml")
    command = first["matrix.yml"].splitlines()[1].removeprefix("# matrix-runner ").split()
    Path(".github/workflows/matrix.yml").write_text(f"{github.MARK}; but old")
    assert main(command) == Exit.OK
    assert generated("--pull-request", "lock-bump.yaml") == first


def test_files_of_others_are_kept(capsys: pytest.CaptureFixture[str]) -> None:
    """A workflow stops the command before it writes; the file for Dependabot stays."""
    Path(".github/workflows").mkdir(parents=True)
    Path(".github/dependabot.yml").write_text("mine")
    Path(".github/workflows/matrix.yml").write_text("mine")
    message = refused(capsys, "--action", ACTION)
    assert ".github/workflows/matrix.yml: not written by this command" in message
    assert len(list(Path(".github").rglob("*.yml"))) == 2
    Path(".github/workflows/matrix.yml").unlink()
    assert generated()["dependabot.yml"] == "mine"
    assert "kept .github/dependabot.yml" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "--action OWNER/NAME@SHA"),
        (("--action", "owner/matrix-runner@v1"), "is not a pinned action"),
        (("--action", f"{ACTION}\n  evil: true"), "is not a pinned action"),
        (("--action", ACTION, "--pull-request", "matrix.yaml"), "no axis of lock files"),
        (("--action", ACTION, "--matrix", "../study.yaml"), "cannot be used in a workflow"),
        (("--action", ACTION, "--matrix", "a ${{ b }}.yaml"), "cannot be used in a workflow"),
        (("--action", ACTION, "--matrix", "absent.yaml"), "absent.yaml"),
        (("--action", ACTION, "--pull-request", "dots.yaml"), "may have only letters"),
    ],
)
def test_mistakes_are_named(
    project: Path, capsys: pytest.CaptureFixture[str], words: Sequence[str], said: str
) -> None:
    """Before anything is written."""
    for name in ("../study.yaml", "a ${{ b }}.yaml"):
        (project / name).write_text(STUDY.replace("script: bench.py", "command: [python, -V]"))
    (project / "dots.yaml").write_text(LOCK_BUMP.replace("before:", '"v1.0":'))
    assert said in refused(capsys, *words)
    assert not Path(".github").exists()


def test_workflows_lie_at_the_top_of_a_repository(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """GitHub looks nowhere else."""
    (project / ".git").rmdir()
    assert "run this command there" in refused(capsys, "--action", ACTION)

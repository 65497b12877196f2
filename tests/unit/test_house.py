"""The rules of the house: who may import whom, and which module owns which package."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from runner.cli.arguments import EXITS
from runner.errors import Exit, RunnerError

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "runner"

TIERS = (
    # words
    (
        "errors",
        "model",
        "options",
        "digest",
        "atomic",
        "ssh",
        "inside",
        "matched",
        "report.page",
        "interruption",
        "child",
        "keeper",
    ),
    ("workplace", "whereabouts", "address"),
    # what needs nothing else: the disk, the machine, the order of trials, the numbers
    (
        "store",
        "host",
        "uv",
        "log",
        "hardening",
        "isolation",
        "cgroup",
        "observer",
        "identity",
        "guards",
        "patience",
        "problems",
        "judge.records",
        "plan",
        "summarise",
        "recipe",
        "lockfile",
    ),
    (
        "processes",
        "interpreters",
        "yaml_tree",
        "progress",
        "goal",
        "judge.estimate",
        "report.wording",
    ),
    ("judge.samples", "judge.looks", "judge.history"),
    ("judge.compare",),
    ("judge.claims", "judge.policy", "judge.groups", "judge.partings"),
    ("judge",),
    ("judge.reproduction", "report.plots", "report.evidence"),
    (
        "engine",
        "base",
        "packages",
        "notation",
        "report.differing",
        "report.verdict_words",
        "report.render",
    ),
    # the verbs, and the sections of the report
    ("result", "prepare", "resolve", "labels", "schema", "environments", "docker_client"),
    (
        "report.measured",
        "report.published",
        "report.reproduced",
        "report.surroundings",
        "report.verdicts",
    ),
    (
        "execute",
        "reap",
        "lock",
        "outlook",
        "docker_engine",
        "venv_engine",
        "glance",
        "cells",
        "refusals",
        "report.view",
    ),
    ("read", "report", "engines"),
    # a whole run, the commands, the command line
    ("calibration",),
    ("runs",),
    ("course", "explain", "doctor", "bundle", "wheels"),
    ("pack", "replay"),
    ("commands", "arguments"),
    ("cli",),
    ("__main__",),
)
"""A module imports only modules of the lines above its own."""

OWNERS = {
    "altair": {"report.plots"},
    "docker": {"docker_client", "docker_engine"},
    "requests": {"docker_client", "docker_engine"},
    "urllib3": {"docker_client"},
    "yaml": {"yaml_tree"},
    "jinja2": {"report.render"},
    "markupsafe": {"report.render"},
    "numpy": {"judge.estimate", "judge.history", "matched"},
    "tabulate": {"report.render"},
    "rich": {"progress"},
    "ruptures": {"judge.history"},
    "scipy": {"judge.estimate"},
    "uv": {"uv"},
    "vl_convert": {"report.plots"},
    "pydantic": {"bundle", "lockfile", "notation", "refusals", "result", "schema", "store"},
    "pydantic_core": {"notation", "refusals", "schema"},
}
"""The only modules that import a package; one that is not here is imported by none."""

HEAVY = {
    "altair",
    "docker",
    "jinja2",
    "numpy",
    "pydantic",
    "rich",
    "scipy",
    "tabulate",
    "vl_convert",
    "yaml",
}


def name(path: Path) -> str:
    """Return the name of a module within the package; that of the package itself is empty."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imported(path: Path) -> frozenset[str]:
    """Return what a file imports, wherever in the file: ``json``, ``runner.model``."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by the full name"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                known = inner.removeprefix("runner.") in MODULES
                found.add(inner if known else str(node.module))
    return frozenset(found)


def own(path: Path) -> set[str]:
    """Return the modules of the package that a file imports, less the package itself."""
    found = {one for one in imported(path) if one.partition(".")[0] == "runner"}
    return {one.removeprefix("runner.") for one in found} - {"runner"}


def foreign(path: Path) -> set[str]:
    """Return the packages a file imports that are neither ours nor of the standard library."""
    found = {one.partition(".")[0] for one in imported(path)}
    return found - sys.stdlib_module_names - {"runner"}


def reached(start: str) -> set[str]:
    """Return all modules that importing one may load in the end."""
    found: set[str] = set()
    waiting = {start}
    while waiting:
        found |= waiting
        waiting = {one for module in waiting for one in own(MODULES[module])} - found
    return found


def test_every_module_has_a_place() -> None:
    """A new module is put into a tier, one that is gone is removed from it."""
    placed = [module for tier in TIERS for module in tier]
    assert sorted(placed) == sorted(set(MODULES) - {""})


def test_imports_point_one_way() -> None:
    """A module imports only what stands above it, so there is no cycle either."""
    above: set[str] = set()
    wrong = []
    for tier in TIERS:
        for module in tier:
            wrong += [f"{module} imports {one}" for one in own(MODULES[module]) - above]
        above |= set(tier)
    assert wrong == []
    assert own(MODULES[""]) == set()


def test_each_package_has_its_owners() -> None:
    """One module knows Docker, one YAML, one the terminal; no package has no owner."""
    users: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        for package in foreign(path):
            users.setdefault(package, set()).add(module)
    assert users == OWNERS


def test_only_commands_choose_an_engine() -> None:
    """Everything else works with any engine that keeps the protocol."""
    users = {
        module for module, path in MODULES.items() if own(path) & {"docker_engine", "venv_engine"}
    }
    assert users == {"engines"}


def test_a_report_needs_no_engine() -> None:
    """Nothing that the report loads can build or execute."""
    assert not reached("report") & {"engine", "docker_engine", "prepare", "execute", "uv"}


def test_the_launcher_runs_anywhere() -> None:
    """It imports the standard library alone and keeps to the syntax of Python 3.6."""
    path = MODULES["inside"]
    assert imported(path) <= sys.stdlib_module_names
    ast.parse(path.read_text(), feature_version=(3, 6))


def test_what_lies_beside_a_script_runs_anywhere() -> None:
    """It imports the standard library and numpy, and keeps to the syntax of Python 3.6."""
    path = MODULES["matched"]
    assert imported(path) <= {*sys.stdlib_module_names, "numpy"}
    ast.parse(path.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda p: p.name)
def test_experiments_do_not_know_the_runner(path: Path) -> None:
    """An experiment runs where the runner is not, on the oldest Python."""
    assert "runner" not in {one.partition(".")[0] for one in imported(path)}
    ast.parse(path.read_text(), feature_version=(3, 6))


def test_no_module_is_a_drawer() -> None:
    """Every module is named after what it does."""
    words = re.compile(r"util|helper|common|misc|manager|handler|session|(^|_)(job|task|info)")
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert [path for path in files if words.search(path.stem)] == []


def test_every_error_has_its_exit_code() -> None:
    """Exit codes are distinct, explained by --help, and no error ends with 0."""
    codes = Exit.__members__.values()
    assert len({int(code) for code in codes}) == len(codes)
    for code in set(Exit) - {Exit.HOLD}:
        assert re.search(rf"(^|\s){int(code)} \w", EXITS)
    family = [RunnerError]
    for error in family:
        family += error.__subclasses__()
        assert isinstance(error.exit_code, Exit)
        assert error.exit_code is not Exit.OK


@pytest.mark.parametrize("path", sorted((ROOT / "Dockerfiles").iterdir()), ids=lambda p: p.name)
def test_dockerfiles_need_no_buildkit(path: Path) -> None:
    """The classic builder, and podman, can build them."""
    only_buildkit = r"^#\s*syntax=|^RUN\s+--|^(COPY|ADD)\s+--(link|chmod|parents|exclude)|<<"
    assert not re.search(only_buildkit, path.read_text(), re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("word", ["--version", "--help"])
def test_nothing_heavy_is_loaded_for_a_first_look(word: str) -> None:
    """The version and the help appear at once."""
    assert loaded(word) & HEAVY == set()


def test_a_plan_loads_only_what_reads(tmp_path: Path) -> None:
    """To look ahead takes no engine's SDK, no report and no screen."""
    (tmp_path / "run.py").write_text("")
    (tmp_path / "matrix.yaml").write_text(
        "format: 1\nname: a\naxes: {a: [1]}\nexperiment: {script: run.py}\n"
        "metrics: {x: {better: lower}}\n"
    )
    assert loaded("plan") & HEAVY == {"pydantic", "yaml"}


def loaded(*words: str) -> set[str]:
    """Return the top-level modules that a command has loaded when it ends."""
    code = (
        "import contextlib, io, sys\n"
        "from runner.cli import main\n"
        "with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):\n"
        "    main(sys.argv[1:])\n"
        "print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return {module.partition(".")[0] for module in done.stdout.split()}


def test_no_file_names_a_machine() -> None:
    """No path of one machine, no host of a registry and no password is in any text."""
    machine = re.compile(
        r"/(home|Users|root|work)/\w|pypi\.org|pythonhosted\.|docker\.(io|com)\b|(ghcr|gcr|quay)\.io"
    )
    found = [
        f"{path.relative_to(ROOT)}:{number}: {line.strip()[:80]}"
        for path in texts()
        for number, line in enumerate(path.read_text().splitlines(), 1)
        if machine.search(line)
    ]
    assert found == []


def texts() -> Iterator[Path]:
    """Yield the text files of the project, less what running it leaves."""
    left = {"__pycache__", ".venv", ".git", ".hypothesis", "dist", "reports", "data"}
    for where, folders, files in os.walk(ROOT):
        folders[:] = [
            one for one in folders if one not in left and not one.endswith(("_cache", ".egg-info"))
        ]
        endings = (".py", ".md", ".yaml", ".yml", ".toml", ".json", ".j2", ".lock", "file", "run")
        yield from (Path(where, one) for one in files if one.endswith(endings))

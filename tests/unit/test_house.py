"""The structure of the code: which folders import which, and which modules use which packages.

A room is a folder or a file directly in ``runner/``.
"""

import ast
import graphlib
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

LEVELS = (
    ("errors", "text", "records", "inside"),
    ("observer", "system"),
    ("read", "plan", "summarise"),
    ("python", "judge", "ledger"),
    ("lock", "engines"),
    ("prepare",),
    ("runs",),
    ("execute", "report"),
    ("bundle", "ci", "doctor", "pipeline"),
    ("cluster",),
    ("cli",),
    ("__main__",),
)
"""The rooms. A room may import only from the levels above its own line."""

VERBS = ("read", "lock", "plan", "prepare", "execute", "summarise", "judge", "report")
KNOW_NO_VERB = {"records", "errors", "text", "system", "inside", "observer", "python", "engines"}

PUBLIC = {
    "lock.export",
    "lock.file",
    "prepare.context",
    "prepare.recipe",
    "execute.cleanup",
    "execute.result",
    "judge.estimate",
    "judge.records",
    "read.pruning",
    "report.document",
    "report.environments",
    "report.evidence",
    "report.issue",
    "report.render",
    "report.words",
}
"""The modules of a verb's folder that others import besides the verb itself."""

MOST_ROOMS = 28

OWNERS = {
    "docker": {
        "engines.docker.ahead",
        "engines.docker.client",
        "engines.docker.containers",
        "engines.docker.images",
        "engines.docker.ready",
        "engines.docker.trials",
    },
    "requests": {
        "ci.github.api",
        "engines.docker.client",
        "engines.docker.containers",
        "engines.docker.ready",
        "python.index",
    },
    "dask": {"cluster.dask"},
    "distributed": {"cluster.dask"},
    "urllib3": {"engines.docker.client", "python.index"},
    "packaging": {
        *("lock.choose", "lock.outside", "lock.pins", "lock.projects", "lock.ranges"),
        *("lock.releases", "lock.resolve"),
        *("python.index", "python.interpreters"),
        *("read.axes", "read.fields"),
    },
    "pypi_simple": {"python.addresses", "python.index"},
    "tomli": {"python.toml"},
    "yaml": {"read.yaml"},
    "jinja2": {"ci.github", "ci.slurm", "report.render"},
    "numpy": {"inside.matched"},
    "tabulate": {"report.render"},
    "rich": {"cli.screen"},
    "scipy": {"judge.estimate"},
    "uv": {"python.uv"},
    "pydantic": {
        "bundle.file",
        "execute.script_result",
        "read.fields",
        "read.validation",
        "read.schema",
        "system.stored",
    },
    "pydantic_core": {
        "execute.script_result",
        "read.fields",
        "read.schema",
        "read.validation",
        "system.stored",
    },
}
"""The only modules that import a package; a package that is not listed is imported by none."""

HEAVY = {
    "distributed",
    "docker",
    "requests",
    "urllib3",
    "jinja2",
    "numpy",
    "pydantic",
    "rich",
    "scipy",
    "tabulate",
    "yaml",
}


def name(path: Path) -> str:
    """Return the name of a module without ``runner.``; the package itself has an empty name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


MODULES = {name(path): path for path in sorted(PACKAGE.rglob("*.py"))}


@cache
def imported(path: Path) -> frozenset[str]:
    """Return everything that a file imports, also inside functions: ``json``, ``runner.plan``."""
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
    """Return the modules of ``runner`` that a file imports, without the package itself."""
    found = {one for one in imported(path) if one.partition(".")[0] == "runner"}
    return {one.removeprefix("runner.") for one in found} - {"runner"}


def foreign(path: Path) -> set[str]:
    """Return the third-party packages that a file imports."""
    found = {one.partition(".")[0] for one in imported(path)}
    return found - sys.stdlib_module_names - {"runner"}


def reached(start: str) -> set[str]:
    """Return all modules that a module imports, directly or indirectly."""
    found: set[str] = set()
    waiting = {start}
    while waiting:
        found |= waiting
        waiting = {one for module in waiting for one in own(MODULES[module])} - found
    return found


def room(module: str) -> str:
    """Return the room of a module."""
    return module.partition(".")[0]


def arrows() -> set[tuple[str, str]]:
    """Return every import between two rooms: the importing and the imported room."""
    found = {(room(name), room(one)) for name, path in MODULES.items() for one in own(path)}
    return {(above, below) for above, below in found if above != below}


def test_the_package_has_few_rooms() -> None:
    """A newcomer sees the whole program in one listing."""
    rooms = {room(module) for module in MODULES} - {""}
    assert sorted(rooms) == sorted(one for level in LEVELS for one in level)
    assert len(rooms) <= MOST_ROOMS


def test_rooms_import_only_from_lower_levels() -> None:
    """This prevents cycles."""
    heights = {one: height for height, level in enumerate(LEVELS) for one in level}
    assert [pair for pair in arrows() if heights[pair[0]] <= heights[pair[1]]] == []
    assert own(MODULES[""]) == set()


def test_modules_form_no_cycle() -> None:
    """This holds inside folders, too. A submodule may import its own package."""
    graph = {
        module: {one for one in own(path) if not module.startswith(f"{one}.")}
        for module, path in MODULES.items()
    }
    assert list(graphlib.TopologicalSorter(graph).static_order())


def test_a_verb_never_imports_a_later_verb() -> None:
    """Only the pipeline and the command line know the whole order."""
    later = {(verb, other) for at, verb in enumerate(VERBS) for other in VERBS[at + 1 :]}
    assert arrows() & later == set()
    assert [pair for pair in arrows() if pair[0] in KNOW_NO_VERB and pair[1] in VERBS] == []


def test_a_folder_is_entered_by_its_verb_or_its_records() -> None:
    """Its other modules can change without affecting other folders."""
    entered = {
        one
        for module, path in MODULES.items()
        for one in own(path)
        if room(one) in VERBS and "." in one and room(one) != room(module)
    }
    assert entered == PUBLIC


def test_each_package_has_its_owners() -> None:
    """A package is imported only by its owners, and every package has one."""
    users: dict[str, set[str]] = {}
    for module, path in MODULES.items():
        for package in foreign(path):
            users.setdefault(package, set()).add(module)
    assert users == OWNERS


def test_only_commands_choose_an_engine() -> None:
    """Everything else works with any engine that follows the protocol, except for its caches."""
    users = {
        module
        for module, path in MODULES.items()
        if any(one.startswith(("engines.docker", "engines.venv")) for one in own(path))
        and not module.startswith(("engines.docker", "engines.venv"))
    }
    assert users == {"engines", "engines.caches"}


def test_a_report_needs_no_engine() -> None:
    """The report imports nothing that can build or execute."""
    assert {room(one) for one in reached("report")} & {
        "engines",
        "prepare",
        "execute",
        "python",
    } == set()


def test_the_launcher_runs_on_any_python() -> None:
    """It imports only the standard library and uses only the syntax of Python 3.6."""
    path = MODULES["inside.launcher"]
    assert imported(path) <= sys.stdlib_module_names
    ast.parse(path.read_text(), feature_version=(3, 6))


def test_matched_runs_on_any_python() -> None:
    """It imports only the standard library and numpy, and uses the syntax of Python 3.6."""
    path = MODULES["inside.matched"]
    assert imported(path) <= {*sys.stdlib_module_names, "numpy"}
    ast.parse(path.read_text(), feature_version=(3, 6))


@pytest.mark.parametrize("path", sorted((ROOT / "experiments").glob("*.py")), ids=lambda p: p.name)
def test_experiments_do_not_import_the_runner(path: Path) -> None:
    """An experiment runs in an environment without the runner, on the oldest Python."""
    assert "runner" not in {one.partition(".")[0] for one in imported(path)}
    ast.parse(path.read_text(), feature_version=(3, 6))


def test_texts_do_not_depend_on_the_locale() -> None:
    """Every text file is opened with its encoding. The launcher writes and reads only ASCII."""
    found = []
    for module, path in MODULES.items():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and not module.startswith("inside."):
                name, given = ast.unparse(node.func), ast.unparse(node)
                opens = re.search(r"^(os\.fd)?open$|\.(read|write)_text$", name)
                if opens and "encoding=" not in given and not re.search(r"'[rwx]b'", given):
                    found.append(f"{module}:{node.lineno}: {given}")
    assert found == []


def test_no_module_has_a_vague_name() -> None:
    """Every module is named after what it does."""
    words = re.compile(r"util|helper|common|misc|manager|handler|session|(^|_)(job|task|info)")
    files = [*PACKAGE.rglob("*.py"), *(ROOT / "tests").rglob("*.py")]
    assert [path for path in files if words.search(path.stem)] == []


def test_unit_tests_lie_where_their_modules_lie() -> None:
    """``test_file.py`` or ``test_file_topic.py`` in ``unit/lock`` tests ``runner/lock/file.py``."""
    unit, strays = ROOT / "tests" / "unit", []
    for path in sorted(unit.rglob("test_*.py")):
        folder = path.parent.relative_to(unit)
        source = (ROOT if folder.parts[:1] == ("benchmarks",) else PACKAGE) / folder
        names = {source.name, *(module.stem for module in source.glob("*.py"))}
        names |= set() if folder.parts else {"house", "documents", "experiments"}
        if not any(f"{path.stem}_".startswith(f"test_{name}_") for name in names):
            strays.append(path.relative_to(unit))
    assert strays == []


def test_no_test_imports_from_another_test() -> None:
    """Shared code lies in ``tests/support``. Only faults, fuzz and messages have parts."""
    tests = ROOT / "tests"
    imports = {
        (path.relative_to(tests).parts[0], one.split(".")[1])
        for path in tests.rglob("*.py")
        for one in imported(path)
        if one.startswith("tests.")
    }
    inner = {(folder, of) for folder, of in imports if of != "support"}
    assert inner == {(one, one) for one in ("faults", "fuzz", "messages")}


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
    """The classic builder and podman can build them."""
    only_buildkit = r"^#\s*syntax=|^RUN\s+--|^(COPY|ADD)\s+--(link|chmod|parents|exclude)|<<"
    assert not re.search(only_buildkit, path.read_text(), re.MULTILINE | re.IGNORECASE)


@pytest.mark.parametrize("words", ["--help", "help run", "completion bash"])
def test_help_and_completion_load_no_heavy_package(words: str) -> None:
    """They appear immediately."""
    assert loaded(*words.split()) & HEAVY == set()


def test_version_loads_nothing_that_it_does_not_need() -> None:
    """It takes hardly longer than Python itself."""
    slow = {"argparse", "dataclasses", "json", "pathlib", "subprocess", "traceback", "typing"}
    assert loaded("--version") & (HEAVY | slow) == set()


@pytest.fixture
def study(tmp_path: Path) -> None:
    """Write a study into the working folder."""
    (tmp_path / "run.py").write_text("")
    (tmp_path / "matrix.yaml").write_text(
        "format: 1\nname: a\naxes: {a: [1]}\nexperiment: {script: run.py}\n"
        "metrics: {x: {better: lower}}\n"
    )


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize("verb", ["list", "plan"])
def test_list_and_plan_load_only_the_packages_that_read(verb: str) -> None:
    """They need no SDK, no index, no report and no screen."""
    assert loaded(verb) & HEAVY == {"pydantic", "yaml"}


@pytest.mark.usefixtures("study")
def test_list_loads_neither_the_lock_nor_an_engine() -> None:
    """The completion of a cell waits for it."""
    found = loaded_modules("list")
    assert found & {"asyncio", "packaging", "statistics", "tomllib"} == set()
    rooms = {one.split(".")[1] for one in found if one.startswith("runner.")}
    assert rooms == {"cli", "errors", "read", "records", "system", "text"}


def loaded(*words: str) -> set[str]:
    """Return the top-level modules that a command has loaded when it ends."""
    return {module.partition(".")[0] for module in loaded_modules(*words)}


def loaded_modules(*words: str) -> set[str]:
    """Return the modules that a command has loaded when it ends."""
    code = (
        "import io, sys\n"
        "from runner.cli import main\n"
        "terminal, sys.stdout = sys.stdout, io.StringIO()\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    pass\n"
        "print(*sys.modules, file=terminal)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    return set(done.stdout.split())


def test_no_file_names_a_machine() -> None:
    """No file contains a path of one machine or the host of a registry."""
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
    """Yield the text files of the project, without the files that it creates."""
    left = {"__pycache__", ".venv", ".git", ".hypothesis", "dist", "reports", "data"}
    for where, folders, files in os.walk(ROOT):
        folders[:] = [
            one for one in folders if one not in left and not one.endswith(("_cache", ".egg-info"))
        ]
        endings = (".py", ".md", ".yaml", ".yml", ".toml", ".json", ".j2", ".lock", "file", "run")
        yield from (Path(where, one) for one in files if one.endswith(endings))

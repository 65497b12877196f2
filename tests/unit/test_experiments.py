"""The scripts in ``experiments/`` can run in every environment, and their guide is correct."""

import ast
import hashlib
import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runner.inside import TRIAL
from runner.lock import missing
from runner.lock.file import lock_path, read_lock
from runner.read import read

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
SCRIPTS = sorted(one for one in EXPERIMENTS.rglob("*.py") if not one.is_symlink())
OURS = {"matched", "trial"}
ENVIRONMENT_PACKAGES = {"numpy", "sklearn", "sortedcontainers", "tensorflow"}
STUDIES = sorted(EXPERIMENTS.glob("*/matrix.yaml"))
NEWER_THAN_PYTHON_36 = {
    "annotationlib",
    "compression",
    "contextvars",
    "dataclasses",
    "graphlib",
    "tomllib",
    "zoneinfo",
}

every_script = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)


def parsed(script: Path) -> ast.Module:
    """Parse a script with the grammar of Python 3.6."""
    return ast.parse(script.read_text(encoding="utf-8"), str(script), feature_version=(3, 6))


def imported(tree: ast.Module) -> set[str]:
    """Return the full names of the modules that a script imports."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.add(f"{'.' * node.level}{node.module or ''}")
    return names


def test_there_is_a_script() -> None:
    """Otherwise the tests below would check nothing."""
    assert EXPERIMENTS / "mnist_softmax.py" in SCRIPTS


@pytest.mark.parametrize("matrix", STUDIES, ids=lambda path: path.parent.name)
def test_a_study_is_short_and_locked(matrix: Path) -> None:
    """It has fewer than thirty lines, and every environment is in its lock."""
    assert len(matrix.read_text(encoding="utf-8").splitlines()) < 30
    assert missing(read(matrix), read_lock(lock_path(matrix))) == ()


def test_scripts_that_are_run_by_hand_find_the_module() -> None:
    """A link beside them leads to it."""
    assert (EXPERIMENTS / "trial.py").samefile(TRIAL)


@every_script
def test_a_script_imports_only_what_an_environment_has(script: Path) -> None:
    """A script needs the standard library of Python 3.6 and the framework, and never the runner."""
    roots = {name.split(".")[0] for name in imported(parsed(script))}
    standard = sys.stdlib_module_names - NEWER_THAN_PYTHON_36 - {"__future__"}
    assert roots - standard - OURS - ENVIRONMENT_PACKAGES == set()


@every_script
def test_the_annotations_of_a_script_can_be_evaluated_by_python_36(script: Path) -> None:
    """Python 3.6 evaluates annotations and knows neither ``list[str]`` nor ``str | None``."""
    annotations = [
        annotation
        for node in ast.walk(parsed(script))
        for annotation in (getattr(node, "annotation", None), getattr(node, "returns", None))
        if annotation is not None
    ]
    assert annotations
    for part in (part for annotation in annotations for part in ast.walk(annotation)):
        assert not isinstance(part, ast.BinOp), ast.unparse(part)
        if isinstance(part, ast.Subscript):
            assert ast.unparse(part.value) not in {"dict", "list", "set", "tuple", "type"}


def test_the_example_in_the_guide_works_in_a_trial_and_by_hand(tmp_path: Path) -> None:
    """The script in ``docs/experiments.md`` records the same names in both."""
    guide = (ROOT / "docs" / "experiments.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"^```python\n(.*?)^```", guide, re.DOTALL | re.MULTILINE)
    ast.parse(example, feature_version=(3, 6))
    (tmp_path / "train.py").write_text(example, encoding="utf-8")
    shutil.copy(TRIAL, tmp_path)
    order = {"seed": 7, "parameters": {"epochs": 2}, "cell": {"model": "any"}}
    (tmp_path / "params.json").write_text(json.dumps(order), encoding="utf-8")
    result = tmp_path / "result.json"
    in_trial = {"PARAMS_PATH": str(tmp_path / "params.json"), "RESULT_PATH": str(result)}
    assert ran(tmp_path / "train.py", in_trial) == ""
    document = json.loads(result.read_text(encoding="utf-8"))
    assert set(document) == {"format", "values", "series", "environment", "adapted"}
    assert (document["format"], len(document["series"]["epoch_seconds"])) == (1, 2)
    by_hand = ran(tmp_path / "train.py", {"TRIAL_PARAMETERS": '{"epochs": 2}'})
    assert re.findall(r"^  (.+?): .*", by_hand, re.MULTILINE) == [
        *sorted(document["values"]),
        *sorted(document["series"]),
    ]
    said = re.sub(r"[0-9][0-9.e+-]*", "", by_hand)
    assert said in re.sub(r"[0-9][0-9.e+-]*", "", guide)


def ran(script: Path, variables: dict[str, str]) -> str:
    """Run a script with these variables alone; return what it prints."""
    return subprocess.run(
        [sys.executable, str(script)],
        env=variables,
        check=True,
        timeout=60,
        capture_output=True,
        text=True,
    ).stdout


def test_the_data_have_the_described_digest() -> None:
    """The text about the licence gives the digest of the committed file."""
    described = (EXPERIMENTS / "data" / "README.md").read_text(encoding="utf-8")
    content = (EXPERIMENTS / "data" / "mnist.npz").read_bytes()
    assert hashlib.sha256(content).hexdigest() in described

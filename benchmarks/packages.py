"""Popular packages at old versions: how many lock, install and import without naming a Python.

``python -m benchmarks.packages`` prints a table. It needs the package index, downloads about 2 GB,
and imports every package on this machine.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tabulate import tabulate

from runner.errors import PackagesError
from runner.lock import lock_matrix
from runner.python import interpreters, packages
from runner.read import read
from runner.records.environment import Entry, Environment, Lock
from runner.system import child
from runner.system.parallel import in_parallel
from runner.text import shortened

POPULAR = {
    "numpy": ("numpy", "1.16.0", "1.21.0"),
    "pandas": ("pandas", "0.25.0", "1.3.0"),
    "scipy": ("scipy", "1.2.0", "1.7.0"),
    "scikit-learn": ("sklearn", "0.20.0", "0.24.0"),
    "statsmodels": ("statsmodels", "0.10.0", "0.13.0"),
    "xgboost": ("xgboost", "0.90", "1.5.0"),
    "lightgbm": ("lightgbm", "2.1.0", "3.2.0"),
    "catboost": ("catboost", "0.20", "1.0.0"),
    "pydantic": ("pydantic", "1.10.17", "2.0.3"),
    "polars": ("polars", "0.14.0", "0.20.0"),
    "xarray": ("xarray", "0.15.0", "2022.12.0"),
    "dask": ("dask", "2.9.0", "2022.1.0"),
    "keras": ("keras", "2.2.4", "2.3.1"),
    "transformers": ("transformers", "2.3.0", "4.12.0"),
    "sympy": ("sympy", "1.4", "1.12"),
    "numba": ("numba", "0.45.0", "0.55.0"),
    "SQLAlchemy": ("sqlalchemy", "1.3.0", "1.4.0"),
    "hydra-core": ("hydra", "1.0.0", "1.1.0"),
    "matplotlib": ("matplotlib", "3.0.0", "3.4.0"),
    "Pillow": ("PIL", "5.4.0", "8.3.0"),
    "h5py": ("h5py", "2.9.0", "3.2.0"),
    "pyarrow": ("pyarrow", "0.15.0", "6.0.0"),
    "networkx": ("networkx", "2.2", "2.6"),
    "spacy": ("spacy", "2.2.0", "3.2.0"),
    "gensim": ("gensim", "3.8.0", "4.1.0"),
    "requests": ("requests", "2.20.0", "2.26.0"),
    "aiohttp": ("aiohttp", "3.5.0", "3.8.0"),
    "fastapi": ("fastapi", "0.50.0", "0.70.0"),
    "Django": ("django", "2.2", "3.2"),
    "PyYAML": ("yaml", "5.1", "6.0"),
}
"""The module to import and two versions, by package."""

BESIDE = {"keras": "tensorflow"}
"""What a package cannot be imported without, although it does not require it."""

MATRIX = """\
format: 1
name: popular
axes:
  package: {{package: {name}, versions: ["{old}", "{newer}"]}}
environment: {{packages: [{beside}]}}
experiment: {{script: script.py}}
metrics: {{x: {{better: lower}}}}
"""
IMPORT = "import sys; sys.path.insert(0, sys.argv[1]); import {module}"
IMPORT_TIMEOUT_S = 120.0
HEADS = ("package", "version", "Python", "locked", "installed", "imported", "problem")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How far one version of a package came."""

    name: str
    version: str
    python: str = ""
    locked: bool = False
    installed: bool = False
    imported: bool = False
    problem: str = ""


def tried(name: str) -> list[Row]:
    """Lock, install and import both versions of a package."""
    module, old, newer = POPULAR[name]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        (folder / "script.py").touch()
        text = MATRIX.format(name=name, old=old, newer=newer, beside=BESIDE.get(name, ""))
        (folder / "matrix.yaml").write_text(text)
        matrix = read(folder / "matrix.yaml")
        try:
            lock = lock_matrix(matrix, Lock(entries=()), matrix.requests, lambda _: None)
        except PackagesError as error:
            return [Row(name=name, version=one, problem=str(error)) for one in (old, newer)]
        return [
            _installed(name, module, entry, folder / entry.request.label) for entry in lock.entries
        ]


def _installed(name: str, module: str, entry: Entry, folder: Path) -> Row:
    version = entry.request.requirements[0].version
    if not isinstance(entry, Environment):
        return Row(name=name, version=version, problem=getattr(entry, "reason", ""))
    row = Row(name=name, version=version, python=entry.python, locked=True)
    interpreter = interpreters.find(entry.python)
    try:
        packages.install(entry, interpreter, folder)
    except PackagesError as error:
        return replace(row, problem=str(error))
    site = folder / "lib" / f"python{entry.python}" / "site-packages"
    command = [str(interpreter.path), "-I", "-c", IMPORT.format(module=module), str(site)]
    done = child.run(command, timeout_s=IMPORT_TIMEOUT_S)
    problem = done.stderr.strip().rpartition("\n")[2] if done.returncode else ""
    return replace(row, installed=True, imported=done.returncode == 0, problem=problem)


def main(words: Sequence[str] | None = None) -> int:
    """Print the table; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.packages", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="PACKAGE", help="only these packages")
    asked = parser.parse_args(words)
    rows = []
    for found in in_parallel(tried, asked.names or POPULAR):
        rows += found
        for row in found:
            print(f"{row.name} {row.version}: {row.problem or 'ok'}", file=sys.stderr, flush=True)
    table = [
        (
            one.name,
            one.version,
            one.python,
            one.locked,
            one.installed,
            one.imported,
            shortened(one.problem, 100),
        )
        for one in rows
    ]
    print(tabulate(table, HEADS, disable_numparse=True))
    counts = [
        sum(getattr(one, step) for one in rows) for step in ("locked", "installed", "imported")
    ]
    print(f"{len(rows)} versions: {counts[0]} locked, {counts[1]} installed, {counts[2]} imported")
    return int(counts[2] < len(rows))


if __name__ == "__main__":
    sys.exit(main())

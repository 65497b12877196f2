"""``python -m runner`` imports nothing from the working folder."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HOSTILE = "import pathlib\npathlib.Path('imported').touch()\nraise SystemExit('hostile')\n"
IMITATED = ("argparse", "docker", "jinja2", "json", "pydantic", "subprocess", "tempfile", "yaml")
PACKAGES = ("numpy", "rich", "scipy", "uv")


MODULE = ("-m", "runner")
SCRIPT = ("-c", "from runner.__main__ import main; raise SystemExit(main())")
"""What the script ``matrix-runner`` does."""


def started(
    folder: Path, paths: str, *words: str, how: tuple[str, str] = MODULE
) -> subprocess.CompletedProcess[str]:
    """Run the program in a folder."""
    return subprocess.run(
        [sys.executable, *how, *words],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("how", [MODULE, SCRIPT])
@pytest.mark.parametrize("paths", [str(ROOT), f":{ROOT}", f".:{ROOT}", f"lib:{ROOT}:"])
def test_files_named_like_modules_are_not_imported(
    tmp_path: Path, paths: str, how: tuple[str, str]
) -> None:
    """Neither those of the standard library nor those of packages."""
    for folder in (tmp_path, tmp_path / "lib"):
        folder.mkdir(exist_ok=True)
        for name in IMITATED:
            (folder / f"{name}.py").write_text(HOSTILE)
        for name in PACKAGES:
            (folder / name).mkdir()
            (folder / name / "__init__.py").write_text(HOSTILE)
    (tmp_path / "script.py").write_text("")
    (tmp_path / "matrix.yaml").write_text(
        "format: 1\nname: a\naxes: {a: [1]}\nexperiment: {script: script.py}\n"
        "metrics: {x: {better: lower}}\n"
    )
    done = started(tmp_path, paths, "plan", how=how)
    assert (done.returncode, done.stderr) == (0, "")
    assert not (tmp_path / "imported").exists()


def test_a_checkout_runs_from_its_own_folder() -> None:
    """There the working folder is the only place where this package is."""
    assert started(ROOT, "", "--version").stdout.startswith("matrix-runner ")

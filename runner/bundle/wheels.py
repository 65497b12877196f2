"""The wheels of the runner and its dependencies.

For the Python that runs here, they have the installed versions. For another Python they have the
newest versions, because the installed ones may not support it. Only this module runs pip: uv
installs wheels, but cannot save them.
"""

import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path

from runner.errors import PackagesError
from runner.system import child, tempdir

NAME = "matrix-runner"
TIMEOUT_S = 900.0


def this_python() -> str:
    """Return the minor version of Python that runs here: ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def collect(folder: Path, pythons: Sequence[str]) -> None:
    """Save the wheels for each minor version of Python in a folder; PackagesError if that fails.

    They include pip, so that a Python without pip can install them.
    """
    _save_own_wheel(folder)
    required = [one for one in metadata.requires(NAME) or () if "extra ==" not in one]
    installed = [one for one in metadata.distributions() if one.name != NAME]
    with tempdir.folder() as place:
        exact = place / "installed.txt"
        lines = "\n".join(f"{one.name}=={one.version}" for one in installed)
        exact.write_text(lines, encoding="utf-8")
        for python in pythons:
            same = python == this_python()
            which = ["--constraint", str(exact)] if same else ["--python-version", python]
            _pip(
                [
                    *("download", "--quiet", "--only-binary", ":all:", "--dest", str(folder)),
                    *(*which, "pip", *required),
                ],
                f"download the runner's wheels for Python {python}",
            )


def _save_own_wheel(folder: Path) -> None:
    """Build the runner's wheel from its checkout; if it is installed, download it."""
    top = Path(__file__).parents[2]
    if (top / "pyproject.toml").is_file():
        arguments = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(top)]
    else:
        own = f"{NAME}=={metadata.version(NAME)}"
        arguments = ["download", "--quiet", "--no-deps", "--dest", str(folder), own]
    _pip(arguments, "save the runner's own wheel")


def _pip(arguments: Sequence[str], purpose: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        done = child.run(command, timeout_s=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackagesError(f"pip could not {purpose}: {error}.") from error
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise PackagesError(
            f"pip could not {purpose}: {last}. Check the network and the package index, and that "
            f"`{sys.executable} -m pip` works."
        )

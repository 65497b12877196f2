"""The runner's own wheels: itself and all that it needs.

For the Python that is at work here they are at the versions that are installed; for another one at
the newest, as what is installed need not exist for it. The only module that runs pip: uv installs
wheels, but does not hand them out.
"""

import subprocess
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from runner.errors import PackagesError
from runner.system import child, tempdir

NAME = "matrix-runner"
TIMEOUT_S = 900.0


def this_python() -> str:
    """Return the minor version that the runner works on here: ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def collect(folder: Path, pythons: Sequence[str]) -> None:
    """Put the wheels for each minor version of Python into a folder; PackagesError if that fails.

    pip is among them: a Python that has none can install them, too.
    """
    _own(folder)
    with tempdir.folder() as place:
        exact = place / "installed.txt"
        exact.write_text("\n".join(_installed()))
        for python in pythons:
            own = python == this_python()
            which = ["--constraint", str(exact)] if own else ["--python-version", python]
            _pip(
                [
                    *("download", "--quiet", "--only-binary", ":all:", "--dest", str(folder)),
                    *(*which, "pip", *_required()),
                ],
                f"download the runner's wheels for Python {python}",
            )


def _own(folder: Path) -> None:
    """Make the runner's own wheel from its checkout; an installed one comes from the index."""
    top = Path(__file__).parents[2]
    if (top / "pyproject.toml").is_file():
        words = ["wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), str(top)]
    else:
        version = metadata.version(NAME)
        words = ["download", "--quiet", "--no-deps", "--dest", str(folder), f"{NAME}=={version}"]
    _pip(words, "make the runner's own wheel")


def _required() -> list[str]:
    """Return what the runner itself requires, without its extras."""
    found = metadata.requires(NAME) or ()
    return [one for one in found if "extra ==" not in one]


def _installed() -> Iterator[str]:
    """Yield what is installed here, each at its version."""
    for one in metadata.distributions():
        if one.name != NAME:
            yield f"{one.name}=={one.version}"


def _pip(words: Sequence[str], purpose: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *words]
    try:
        done = child.run(command, timeout_s=TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackagesError(f"pip could not {purpose}: {error}.") from error
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise PackagesError(
            f"pip could not {purpose}: {last}. Look at the network and the package index, and that "
            f"`{sys.executable} -m pip` works."
        )

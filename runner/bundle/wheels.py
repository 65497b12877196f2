"""The wheels of the runner and its dependencies.

The runner's own wheel is made of the files that are running: no package index is asked for it,
because anybody could publish a package of that name there. The dependencies have the installed
versions for the Python that runs here. For another Python they have the newest versions, because
the installed ones may not support it. Only this module runs pip: uv installs wheels, but cannot
save them.
"""

import base64
import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path

from runner import __version__
from runner.errors import PackagesError
from runner.prepare.recipe import dockerfile
from runner.system import child, tempdir
from runner.text import why

NAME = "matrix-runner"
TIMEOUT_S = 900.0
PACKAGE = Path(__file__).parents[1]
FACTS = f"matrix_runner-{__version__}.dist-info"
"""The folder of the facts about a package in its wheel."""
WHEEL = f"""\
Wheel-Version: 1.0
Generator: {NAME}
Root-Is-Purelib: true
Tag: py3-none-any
"""
EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The earliest date in a zip file; all files have it, so equal files give equal wheels."""


def this_python() -> str:
    """Return the minor version of Python that runs here: ``3.11``."""
    return f"{sys.version_info.major}.{sys.version_info.minor}"


def collect(folder: Path, pythons: Sequence[str]) -> None:
    """Save the wheels for each minor version of Python in a folder; PackagesError if that fails.

    They include pip, so that a Python without pip can install them.
    """
    own = save_own_wheel(folder)
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
                    # With its path, no requirement for the runner is looked up in the index.
                    *(*which, "--", "pip", str(own)),
                ],
                f"download the runner's wheels for Python {python}",
                place,
            )


def save_own_wheel(folder: Path) -> Path:
    """Make a wheel of the runner's own files and return its path; PackagesError if that fails."""
    path = folder / f"matrix_runner-{__version__}-py3-none-any.whl"
    record = []
    try:
        with zipfile.ZipFile(path, "w") as wheel:
            for name, content in _files():
                digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest())
                record.append(f"{name},sha256={digest.decode().rstrip('=')},{len(content)}\n")
                _add(wheel, name, content)
            name = f"{FACTS}/RECORD"
            _add(wheel, name, "".join([*record, f"{name},,\n"]).encode())
    except (OSError, metadata.PackageNotFoundError) as error:
        raise PackagesError(
            f"the runner's own wheel cannot be made ({why(error)}); install matrix-runner and run "
            "the command again."
        ) from error
    return path


def _add(wheel: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, EARLIEST)
    entry.external_attr = 0o100644 << 16
    wheel.writestr(entry, content, zipfile.ZIP_DEFLATED)


def _files() -> Iterator[tuple[str, bytes]]:
    """Yield the files of the runner's wheel, with their names."""
    for path in sorted(PACKAGE.rglob("*")):
        inside = path.relative_to(PACKAGE)
        if path.is_file() and not {"__pycache__", "Dockerfiles"} & {*inside.parts}:
            yield f"{PACKAGE.name}/{inside.as_posix()}", path.read_bytes()
    for path in sorted(dockerfile().parent.glob("*.Dockerfile")):
        yield f"{PACKAGE.name}/Dockerfiles/{path.name}", path.read_bytes()
    for name, text in (
        ("METADATA", _metadata()),
        ("WHEEL", WHEEL),
        ("entry_points.txt", f"[console_scripts]\n{NAME} = {PACKAGE.name}.__main__:main\n"),
    ):
        yield f"{FACTS}/{name}", text.encode()
    for license_file in metadata.files(NAME) or ():
        if license_file.name == "LICENSE":
            yield f"{FACTS}/licenses/LICENSE", license_file.read_binary()


def _metadata() -> str:
    """Return what pip needs to know: the version, and what has to be installed, too."""
    known = metadata.metadata(NAME)
    required = [one for one in metadata.requires(NAME) or () if "extra ==" not in one]
    lines = [
        "Metadata-Version: 2.4",
        f"Name: {NAME}",
        f"Version: {__version__}",
        f"Requires-Python: {known['Requires-Python']}",
        "License-Expression: Apache-2.0",
        "License-File: LICENSE",
        *(f"Requires-Dist: {one}" for one in required),
    ]
    return "\n".join(lines) + "\n"


def _pip(arguments: Sequence[str], purpose: str, folder: Path) -> None:
    """Run pip in a folder of ours: ``-I`` and the folder keep other modules from being imported."""
    command = [sys.executable, "-I", "-m", "pip", "--disable-pip-version-check", *arguments]
    try:
        done = child.run(command, timeout_s=TIMEOUT_S, folder=folder)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackagesError(f"pip could not {purpose}: {why(error)}.") from error
    if done.returncode:
        last = (done.stderr.strip() or "no reason given").splitlines()[-1]
        raise PackagesError(
            f"pip could not {purpose}: {last}. Check the network and the package index, and that "
            f"`{sys.executable} -m pip` works."
        )

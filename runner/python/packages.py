"""Install locked packages into a folder, with the settings that resolved them."""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path

from runner.errors import PackagesError
from runner.python import uv
from runner.python.interpreters import Interpreter
from runner.python.uv import Verdict
from runner.records.environment import Environment, Package
from runner.system import child

INSTALL_TIMEOUT_S = 900.0
BYTECODE_TIMEOUT_S = 300.0
AFTER_ALL = datetime(2200, 1, 1, tzinfo=timezone.utc)
FILE_DATE = (0, 0)  # access and modification, seconds since 1970


def install(environment: Environment, interpreter: Interpreter, folder: Path) -> None:
    """Install the locked packages with bytecode in ``lib/python<minor>/site-packages``.

    Every file gets the same date, so that equal environments give equal trees. Files may be hard
    links into the cache of uv: replace them, never write into them. PackagesError if it fails.
    """
    site = folder / "lib" / f"python{environment.python}" / "site-packages"
    site.mkdir(parents=True, exist_ok=True)
    label = environment.request.label
    if environment.packages:
        answer = uv.call(
            [
                *("pip", "install", "--target", str(site.resolve())),
                *("--requirements", "locked.txt", "--require-hashes", "--no-deps"),
                *settings(interpreter, environment.as_of, environment.build_tools),
            ],
            purpose=f"install the packages of {label}",
            timeout_s=INSTALL_TIMEOUT_S,
            files={
                "locked.txt": "".join(_locked_line(package) for package in environment.packages),
                "tools.txt": "\n".join(environment.build_tools),
            },
            compiler=environment.request.compile,
        )
        if answer.verdict is not Verdict.YES:
            raise PackagesError(
                f"the locked packages of {label} cannot be installed: {answer.reason}. Remove its "
                "entry from the lock and lock again."
            )
    shutil.rmtree(site / "bin", ignore_errors=True)  # console scripts name this interpreter
    (site / ".lock").unlink(missing_ok=True)
    _add_bytecode(site, interpreter, label)


def settings(interpreter: Interpreter, as_of: datetime, tools: Sequence[str]) -> list[str]:
    """Return the options that resolution and installation share."""
    settings = ["--python", str(interpreter.path), "--exclude-newer", _stamp(as_of)]
    for tool in tools:
        name = tool.partition("==")[0]
        settings += ["--exclude-newer-package", f"{name}={_stamp(AFTER_ALL)}"]
    return settings + (["--build-constraints", "tools.txt"] if tools else [])


def parse_locked(text: str) -> tuple[Package, ...]:
    """Return the packages of a ``pylock.toml`` from uv, with the hashes of the files to install.

    These are the wheels for the interpreter and this platform, or the source if there are none.
    """
    packages = []
    for block in text.split("[[packages]]")[1:]:
        source, _, wheels = block.partition("\nwheels = ")
        name, version = (
            re.search(rf'^{key} = "(.+)"$', source, re.MULTILINE) for key in ("name", "version")
        )
        hashes = re.findall(r'sha256 = "([0-9a-f]{64})"', wheels or source)
        if name is None or version is None or not hashes:
            raise PackagesError(
                f"{name[1] if name else 'a package'} has no version and hash on a package index, "
                "so it cannot be locked: use only packages from an index."
            )
        checks = tuple(f"sha256:{one}" for one in sorted(hashes))
        packages.append(Package(name=name[1], version=version[1], hashes=checks))
    return tuple(packages)


def _stamp(instant: datetime) -> str:
    return instant.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _locked_line(package: Package) -> str:
    hashes = " ".join(f"--hash={one}" for one in package.hashes)
    return f"{package.name}=={package.version} {hashes}\n"


def _add_bytecode(site: Path, interpreter: Interpreter, label: str) -> None:
    """Compile all modules before any trial, and give every file the same date."""
    command = [str(interpreter.path), "-I", "-m", "compileall", "-qq", "-j", "0"]
    command += ["-d", f"lib/python{interpreter.minor}/site-packages"]
    if interpreter.minor != "3.6":  # 3.6 can only check the date of the source, which is fixed
        command += ["--invalidation-mode", "unchecked-hash"]
    _date_files(site)
    try:
        done = child.run([*command, "."], timeout_s=BYTECODE_TIMEOUT_S, folder=site)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PackagesError(f"the packages of {label} could not be compiled: {error}.") from error
    if done.returncode not in (0, 1):  # 1: some files are for other Pythons
        last = done.stderr.strip().rpartition("\n")[2]
        raise PackagesError(f"the packages of {label} could not be compiled: {last}.")
    _date_files(site)


def _date_files(folder: Path) -> None:
    for where, _, files in os.walk(folder):
        for name in (".", *files):
            os.utime(Path(where, name), FILE_DATE, follow_symlinks=False)

"""Install locked packages into a folder, with the settings that resolved them."""

import csv
import os
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from runner.errors import PackagesError
from runner.python import builds, bytecode, toml, uv
from runner.python.interpreters import Interpreter, executable
from runner.python.uv import Answer, Build
from runner.records.environment import (
    REFUSE,
    Environment,
    EnvironmentRequest,
    LocalWheel,
    Package,
    SourceKind,
)
from runner.system import atomic, digest, safe, tempdir
from runner.system.parallel import in_parallel
from runner.text import listed, why

INSTALL_TIMEOUT_S = 900.0
AFTER_ALL = datetime(2200, 1, 1, tzinfo=timezone.utc)
CARELESS = frozenset({"test", "tests", "docs", "doc", "examples", "benchmarks", "scripts"})
"""Folders that packages install by mistake, without using them."""

LOCAL = "local"
"""The folder with wheels of this machine, in that of a call of uv."""


def install(environment: Environment, interpreter: Interpreter, folder: Path) -> None:
    """Install the locked packages with bytecode in ``lib/python<minor>/site-packages``.

    Files may be hard links into the cache of uv: replace them, never write into them. Their dates
    mean nothing. PackagesError if it fails.
    """
    site = folder / "lib" / executable(environment.python) / "site-packages"
    site.mkdir(parents=True, exist_ok=True)
    with tempdir.folder() as built:
        steps = (
            partial(_install_wheels, environment, interpreter, site.resolve()),
            partial(_install_sources, environment, interpreter, built),
        )
        for _ in in_parallel(lambda step: step(), steps):
            pass
        _copy(environment, built, site)
    refuse_overwritten(site, environment.request.label)
    shutil.rmtree(site / "bin", ignore_errors=True)  # console scripts name this interpreter


def _install_wheels(environment: Environment, interpreter: Interpreter, site: Path) -> None:
    """Install wheels, mostly hard links into the persistent cache, with their bytecode."""
    packages = [package for package in environment.packages if not package.source]
    if packages:
        answer = _ask_cache_first(environment, interpreter, packages, site)
        if not answer.found:
            reason = f"{answer.reason}; only packages that the lock marks as source are built"
            raise _failed(environment, reason)
    _install_local_wheels(environment, interpreter, site)
    (site / ".lock").unlink(missing_ok=True)
    bytecode.compile_all(site, interpreter, environment.request.label, keep=True)


def _ask_cache_first(
    environment: Environment, interpreter: Interpreter, packages: Sequence[Package], site: Path
) -> Answer:
    """Install from the cache alone if everything is there, which an index would only confirm.

    The hashes of the lock say what may be installed, whatever an index says.
    """
    with suppress(PackagesError):
        answer = _ask(environment, interpreter, packages, site, offline=True)
        if answer.found:
            return answer
    return _ask(environment, interpreter, packages, site)


def _install_sources(environment: Environment, interpreter: Interpreter, built: Path) -> None:
    """Put what source builds make, or have made for this environment, into a folder."""
    sources = [package for package in environment.packages if package.source]
    if not sources:
        return
    if environment.request.source_packages == REFUSE:
        raise _failed(environment, "some have no wheel, and the matrix forbids to build them")
    kept = builds.place(environment, interpreter)
    if kept is not None and _restored(environment, kept, built):
        return
    with tempdir.folder() as folder:
        answer = _ask(environment, interpreter, sources, folder / "built", folder)
        if not answer.found:
            raise _failed(environment, answer.reason)
        _copy(environment, folder / "built", built)  # without links that would lead us elsewhere
    (built / ".lock").unlink(missing_ok=True)
    bytecode.compile_all(built, interpreter, environment.request.label, keep=False)
    if kept is not None:
        builds.keep(kept, built)


def _restored(environment: Environment, kept: Path, built: Path) -> bool:
    try:
        return builds.restore(kept, built)
    except OSError as error:
        raise _failed(environment, f"what was built cannot be copied ({why(error)})") from error


def _copy(environment: Environment, built: Path, place: Path) -> None:
    try:
        _copy_plain(built, place)
    except OSError as error:
        raise _failed(environment, f"what was built cannot be copied ({why(error)})") from error


def _install_local_wheels(environment: Environment, interpreter: Interpreter, site: Path) -> None:
    """Install the wheels that no index has, from our cache."""
    if not environment.wheels:
        return
    files = {one.name: kept_wheel(one) for one in environment.wheels}
    if lost := [name for name, path in files.items() if path is None]:
        reason = f"{listed(lost)} is no longer in the cache; run the command again to build it"
        raise _failed(environment, reason)
    answer = uv.call(
        [
            *("pip", "install", f"--target={site}", "--no-deps", "--no-index", "--require-hashes"),
            f"--python={interpreter.path}",
            "--requirements=wheels.txt",
        ],
        purpose=f"install the local wheels of {environment.request.label}",
        timeout_s=INSTALL_TIMEOUT_S,
        files={
            "wheels.txt": "".join(
                f"./{one.name} --hash={one.hash}\n" for one in environment.wheels
            ),
            **{name: path for name, path in files.items() if path is not None},
        },
    )
    if not answer.found:
        raise _failed(environment, answer.reason)


def keep_wheel(path: Path) -> None:
    """Keep a copy of a wheel in our cache, for every later installation."""
    target = uv.wheels_folder() / digest.of_file(path) / "any" / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    atomic.write(target, safe.read(path))


def kept_wheel(wheel: LocalWheel) -> Path | None:
    """Return a wheel from our cache; None if it is no longer there."""
    for path in uv.wheels_folder().glob(f"*/*/{wheel.name}"):
        if f"sha256:{digest.of_file(path)}" == wheel.hash:
            return path
    return None


def _ask(
    environment: Environment,
    interpreter: Interpreter,
    packages: Sequence[Package],
    target: Path,
    folder: Path | None = None,
    *,
    offline: bool = False,
) -> Answer:
    """Have uv install packages into ``target``; in a ``folder`` it may build them."""
    build = Build(interpreter=interpreter.path, compiler=environment.request.compile)
    return uv.call(
        [
            *("pip", "install", f"--target={target}", "--require-hashes", "--no-deps"),
            *(() if folder else ("--no-build",)),
            *(("--offline",) if offline else ()),
            *settings(
                interpreter,
                index_day(environment.request, environment.as_of),
                environment.build_tools,
            ),
            "--requirements=locked.txt",
        ],
        purpose=f"install the packages of {environment.request.label}",
        timeout_s=INSTALL_TIMEOUT_S,
        files={
            "locked.txt": "".join(_locked_line(package) for package in packages),
            "tools.txt": "\n".join(environment.build_tools),
        },
        build=build if folder else None,
        index=environment.request.index,
        folder=folder,
    )


def why_not_built(environment: Environment, interpreter: Interpreter) -> str | None:
    """Return why the source packages of an environment cannot be built; None if they can."""
    sources = [package for package in environment.packages if package.source]
    if not sources:
        return None
    with tempdir.folder() as folder:
        answer = _ask(environment, interpreter, sources, folder / "built", folder)
    return None if answer.found else answer.reason


def index_day(request: EnvironmentRequest, as_of: datetime) -> datetime | None:
    """Return the day after which files do not count; None if all do.

    Today needs no dates, and a lock file of the user names exact files.
    """
    exact = request.source(SourceKind.LOCK) is not None
    return None if exact or request.as_of == "today" else as_of


def _failed(environment: Environment, reason: str) -> PackagesError:
    return PackagesError(
        f"the locked packages of {environment.request.label} cannot be installed: {reason}. Remove "
        "its entry from the lock and lock again."
    )


def refuse_overwritten(site: Path, label: str) -> None:
    """Raise PackagesError if two packages install different code under the same name.

    Which one would be measured depends on the order of the installation. tensorflow-cpu and the
    tensorflow that another package requires are such a pair.
    """
    owners: dict[str, tuple[str, str]] = {}
    for record in sorted(site.glob("*.dist-info/RECORD")):
        package = record.parent.name.removesuffix(".dist-info").rpartition("-")[0]
        for path, checksum in _listed(record):
            other, known = owners.setdefault(path, (package, checksum))
            if other != package and known != checksum and _is_code(path):
                raise PackagesError(
                    f"the packages of {label} overwrite each other: {other} and {package} both "
                    f"contain {path}. Keep one of the two, and leave out packages that require "
                    "the other one."
                )


def _listed(record: Path) -> Iterator[tuple[str, str]]:
    """Yield the path and the checksum of each file that a package lists."""
    try:
        with record.open(encoding="utf-8", errors="replace", newline="") as file:
            yield from ((row[0], row[1]) for row in csv.reader(file) if len(row) > 1)
    except csv.Error as error:
        raise PackagesError(
            f"{record.parent.name} has a list of files that is damaged. Use another version."
        ) from error


def _is_code(path: str) -> bool:
    """Whether a file is imported; many packages carelessly install a folder of tests."""
    top = path.partition("/")[0]
    return path.endswith((".py", ".so", ".pyd")) and top not in CARELESS


def _copy_plain(built: Path, site: Path) -> None:
    """Copy the regular files and the folders that a build made, and nothing else.

    A link could lead anywhere. A file that is already there may be a hard link into the cache.
    """
    if built.is_symlink() or not built.is_dir():
        raise NotADirectoryError(f"{built} is not a folder")
    for where, _, names, descriptor in os.fwalk(built, follow_symlinks=False):
        place = site / Path(where).relative_to(built)
        place.mkdir(parents=True, exist_ok=True)
        for name in names:
            if stat.S_ISREG(os.stat(name, dir_fd=descriptor, follow_symlinks=False).st_mode):
                _copy_file(name, descriptor, place / name)


def _copy_file(name: str, folder: int, place: Path) -> None:
    opened = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    with os.fdopen(opened, "rb") as file:
        mode = os.fstat(opened).st_mode
        if not stat.S_ISREG(mode):
            return
        place.unlink(missing_ok=True)
        with place.open("xb") as copy:
            shutil.copyfileobj(file, copy)
    place.chmod(0o755 if mode & 0o100 else 0o644)


def settings(interpreter: Interpreter, as_of: datetime | None, tools: Sequence[str]) -> list[str]:
    """Return the options that resolution and installation share. Without a day all files count."""
    settings = [f"--python={interpreter.path}"]
    if as_of is not None:
        settings.append(f"--exclude-newer={_stamp(as_of)}")
        for tool in tools:
            name = tool.partition("==")[0]
            settings.append(f"--exclude-newer-package={name}={_stamp(AFTER_ALL)}")
    return settings + (["--build-constraints=tools.txt"] if tools else [])


def parse_locked(text: str) -> tuple[Package, ...]:
    """Return the packages of a ``pylock.toml`` from uv, with the hashes of the files to install.

    These are the wheels for the interpreter and this platform, or the source if there are none.
    Packages with a file on this machine are left out.
    """
    entries = toml.loads(text).get("packages", ())
    return tuple(
        _package(one) for one in entries if "path" not in one.get("archive", ()) and not _local(one)
    )


def parse_local(text: str) -> tuple[LocalWheel, ...]:
    """Return the wheels of a ``pylock.toml`` from uv that lie on this machine."""
    found = (_local(one)[:1] for one in toml.loads(text).get("packages", ()))
    return tuple(
        LocalWheel(
            name=unquote(one["url"].rpartition("/")[2]), hash=f"sha256:{one['hashes']['sha256']}"
        )
        for some in found
        for one in some
    )


def _local(entry: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the files of a package in the folder of wheels on this machine."""
    files = [*entry.get("wheels", ()), entry.get("archive", {})]
    places = [one.get("url") or one.get("path", "") for one in files]
    return [
        {**file, "url": place}
        for file, place in zip(files, places, strict=True)
        if place.startswith(("file:", f"{LOCAL}/"))
    ]


def _package(entry: Mapping[str, Any]) -> Package:
    name, version, wheels = entry["name"], entry.get("version"), entry.get("wheels", ())
    files = wheels or [one for one in (entry.get("sdist"), entry.get("archive")) if one]
    hashes = sorted(one["hashes"]["sha256"] for one in files if "sha256" in one.get("hashes", ()))
    if version is None or not hashes:
        raise PackagesError(
            f"{name} has no version and hash on a package index, so it cannot be locked: use only "
            "packages from an index."
        )
    checks = tuple(f"sha256:{one}" for one in hashes)
    try:
        return Package(name=name, version=version, hashes=checks, source=not wheels)
    except ValueError as error:
        raise PackagesError(
            f"the package index names a package that cannot be: {error}. Use another index."
        ) from error


def _stamp(instant: datetime) -> str:
    return instant.astimezone(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def _locked_line(package: Package) -> str:
    hashes = " ".join(f"--hash={one}" for one in package.hashes)
    return f"{package.name}=={package.version} {hashes}\n"

"""Lock files of the user: uv.lock, pylock.toml (PEP 751) and requirements.txt with exact versions.

They already name every package. Here they are only read, for one interpreter at a time: markers
decide which packages it gets, and the tags of wheels decide which files.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import PurePosixPath
from typing import Any

from packaging.markers import Marker
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

from runner.errors import ConfigError, PackagesError
from runner.lock.releases import Options, allowed_pythons
from runner.python import toml, uv
from runner.python.index import File, Files, named
from runner.python.interpreters import Interpreter, machine_platform
from runner.records.environment import REFUSE, Environment, EnvironmentRequest, Package
from runner.text import quoted, why, without_comment

UV_LOCK, PROJECT = "uv.lock", "pyproject.toml"
EXPORT_TIMEOUT_S = 60.0
FORMATS = "uv.lock, pylock.toml or requirements.txt"

Content = Mapping[str, bytes]
"""The content of a lock file, and of what belongs to it, by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """One package of a lock file. ``files`` is None if the lock file names none."""

    name: str
    version: str
    marker: Marker | None = None
    files: tuple[File, ...] | None = None
    hashes: frozenset[str] = frozenset()
    """Those that the lock file allows, without ``sha256:``; none if it names none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pins:
    """A lock file."""

    written: str
    every: tuple[Pin, ...]
    requires_python: SpecifierSet

    def of(self, interpreter: Interpreter) -> tuple[Pin, ...]:
        """Return the packages that an interpreter gets on this machine."""
        is_pypy = interpreter.name.startswith("pypy")
        here = {
            "python_version": interpreter.minor,
            "python_full_version": interpreter.version,
            "implementation_version": interpreter.version,
            "implementation_name": "pypy" if is_pypy else "cpython",
            "platform_python_implementation": "PyPy" if is_pypy else "CPython",
        }
        return tuple(
            one
            for one in self.every
            if one.marker is None or one.marker.evaluate(here, "lock_file")
        )


def read_pins(written: str, content: Content) -> Pins:
    """Return the packages of a lock file; ConfigError if it is not one, or not exact."""
    name = PurePosixPath(written.rpartition(":")[2]).name
    try:
        if name == UV_LOCK:
            return _from_pylock(written, toml.loads(_exported(written, content)))
        text = content[name].decode()
        if name.startswith("pylock.") and name.endswith(".toml"):
            return _from_pylock(written, toml.loads(text))
        return _from_requirements(written, text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigError(f"{written} cannot be read as a lock file: {_why(error)}.") from error


def _why(error: Exception) -> str:
    """Return why a file is no lock file, and what to do."""
    if isinstance(error, TypeError | AttributeError | RecursionError):
        return "its parts are not those of a lock file; export it again"
    return why(error) if ";" in why(error) else f"{why(error)}; export it again"


def is_lock_file(path: str) -> bool:
    """Whether a file has the name of a lock file that is read here."""
    return (
        re.fullmatch(r"uv\.lock|pylock\.([^.]+\.)?toml|.*\.txt", PurePosixPath(path).name)
        is not None
    )


def _exported(written: str, content: Content) -> str:
    """Return a uv.lock as pylock.toml, which needs no network, no interpreter and no build."""
    options = ("--frozen", "--offline", "--no-python-downloads", "--no-header")
    try:
        answer = uv.call(
            ["export", *options, "--no-emit-workspace", "--format=pylock.toml"],
            purpose=f"read {written}",
            timeout_s=EXPORT_TIMEOUT_S,
            files={name: text.decode() for name, text in content.items()},
        )
    except PackagesError as error:  # what is wrong with these files is not the index's fault
        reason = str(error).removesuffix(uv.ADVICE)
        raise ConfigError(f"{reason}; run `uv lock` to make it again.") from error
    if not answer.found:
        raise ConfigError(
            f"uv could not read {written}: {answer.reason}; run `uv lock` to make it again."
        )
    return answer.text


# pylock.toml


def _from_pylock(written: str, document: Mapping[str, Any]) -> Pins:
    if str(document["lock-version"]).partition(".")[0] != "1":
        raise ValueError(
            f"its format {document['lock-version']} is newer than PEP 751; export it in format 1.0"
        )
    return Pins(
        written=written,
        every=tuple(_packaged(one) for one in document.get("packages", ())),
        requires_python=SpecifierSet(document.get("requires-python", "")),
    )


def _packaged(entry: Mapping[str, Any]) -> Pin:
    name, marker = str(entry["name"]), entry.get("marker")
    wheels, source = entry.get("wheels", ()), entry.get("sdist")
    files = [_file(one) for one in (*wheels, *([source] if source else ()))]
    if not files or "version" not in entry:
        raise ValueError(
            f"{name} comes from a folder, a repository or a URL; use only packages from an index"
        )
    return Pin(
        name=canonicalize_name(name),
        version=str(entry["version"]),
        marker=None if marker is None else Marker(marker),
        files=tuple(file for file in files if file is not None),
    )


def _file(entry: Mapping[str, Any]) -> File | None:
    url = str(entry.get("url") or entry.get("path"))
    found = named(str(entry.get("name") or url.rpartition("/")[2]))
    uploaded: datetime | None = entry.get("upload-time")
    if uploaded is not None and uploaded.tzinfo is None:
        uploaded = uploaded.replace(tzinfo=timezone.utc)
    return found and replace(
        found, uploaded_at=uploaded, url=url, sha256=entry["hashes"].get("sha256")
    )


# requirements.txt


def _from_requirements(written: str, text: str) -> Pins:
    lines = re.sub(r"\\\r?\n", " ", text).splitlines()
    every = tuple(_pinned(line) for line in map(without_comment, lines) if line)
    return Pins(written=written, every=every, requires_python=SpecifierSet())


def _pinned(line: str) -> Pin:
    if line.startswith("-"):
        option = quoted(line.split(maxsplit=1)[0])
        raise ValueError(f"{option} is not supported; write all packages into one file")
    words, *options = re.split(r"\s+--", line)
    if any(not one.startswith("hash=") for one in options):
        raise ValueError(f"{quoted(line)} has an option that is not supported; keep only `--hash`")
    hashes = frozenset(one.partition("sha256:")[2] for one in options if "sha256:" in one)
    if options and not hashes:
        raise ValueError(f"{quoted(words)} has no sha256 among its hashes; add it")
    try:
        wanted = Requirement(words.replace(" --", ""))
        (version,) = (one.version for one in wanted.specifier if one.operator in {"==", "==="})
        Version(version)
    except (InvalidRequirement, InvalidVersion, ValueError) as error:
        raise ValueError(
            f"{quoted(words)} has no exact version; write one such as numpy==1.26.4"
        ) from error
    return Pin(
        name=canonicalize_name(wanted.name),
        version=version,
        marker=wanted.marker,
        hashes=hashes,
    )


# Environments


def options_of(request: EnvironmentRequest, pins: Pins, files: Files) -> Options | str:
    """Return on which interpreters a lock file may be installed, or why on none."""
    uploads = [file.uploaded_at for one in pins.every for file in _files(one, files)]
    last = max((one for one in uploads if one is not None), default=None)
    return allowed_pythons(request, pins.requires_python, last)


def pinned(
    request: EnvironmentRequest,
    pins: Pins,
    interpreter: Interpreter,
    as_of: datetime,
    files: Files,
) -> Environment | str:
    """Return the environment of a lock file for an interpreter, or why there is none."""
    packages: dict[str, Package] = {}
    for pin in pins.of(interpreter):
        package = _package(pin, interpreter, files)
        if isinstance(package, str):
            return f"{request.label} cannot be installed from {pins.written}: {package}"
        if packages.setdefault(pin.name, package) != package:
            return f"{pins.written} has two versions of {pin.name} for Python {interpreter.name}"
        if package.source and request.source_packages == REFUSE:
            return (
                f"{request.label} needs {pin.name} {pin.version}, which has no wheel for Python "
                f"{interpreter.name}; set `source_packages: build` to allow source packages"
            )
    return Environment(
        request=request,
        python=interpreter.name,
        platform=machine_platform(),
        as_of=as_of,
        packages=tuple(packages[name] for name in sorted(packages)),
    )


def _package(pin: Pin, interpreter: Interpreter, files: Files) -> Package | str:
    """Return a package with the hashes of the files that fit an interpreter."""
    subject = f"{pin.name} {pin.version}"
    known = _files(pin, files)
    if not known:
        return f"{subject} is not on the package index"
    fitting = [one for one in known if one.fits(interpreter) and one.sha256]
    chosen = [one for one in fitting if one.tags] or fitting
    if not chosen:
        return f"{subject} has no file for Python {interpreter.name} on this platform"
    try:
        return Package(
            name=pin.name,
            version=pin.version,
            hashes=tuple(sorted(f"sha256:{one.sha256}" for one in chosen)),
            source=not chosen[0].tags,
        )
    except ValueError as error:
        return f"{quoted(subject)} cannot be a package ({error})"


def _files(pin: Pin, files: Files) -> Sequence[File]:
    """Return the files of a package: those that the lock file names, or those of the index."""
    if pin.files is not None:
        return pin.files
    return tuple(_allowed(pin, files))


def _allowed(pin: Pin, files: Files) -> Iterator[File]:
    for file in files(pin.name):
        if file.version == Version(pin.version) and (not pin.hashes or file.sha256 in pin.hashes):
            yield file

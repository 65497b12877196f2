"""Export a locked environment in the formats that pip, uv and other installers read."""

import json
from collections.abc import Iterator

from runner.errors import PackagesError
from runner.python.index import File, Files
from runner.records.environment import Environment, Package


def as_requirements(environment: Environment) -> str:
    """Return a requirements file with hashes. It needs no index to be written."""
    lines = [f"# {_about(environment)}"]
    for package in environment.packages:
        hashes = [f"    --hash={one}" for one in package.hashes]
        lines.append(" \\\n".join((f"{package.name}=={package.version}", *hashes)))
    return "".join(f"{line}\n" for line in lines)


def as_pylock(environment: Environment, files: Files) -> str:
    """Return a ``pylock.toml`` (PEP 751), with the addresses that the index has for the hashes.

    PackagesError if the index fails, or no longer has a file.
    """
    lines = [
        f"# {_about(environment)}",
        'lock-version = "1.0"',
        f"environments = [{json.dumps(_marker(environment))}]",
        f'requires-python = "=={_version(environment.python)}"',
        'created-by = "matrix-runner"',
    ]
    for package in environment.packages:
        lines += [
            "",
            "[[packages]]",
            f"name = {json.dumps(package.name)}",
            f"version = {json.dumps(package.version)}",
        ]
        found = [_file(one) for one in _locked(package, files)]
        lines.append(f"sdist = {found[0]}" if package.source else f"wheels = [{', '.join(found)}]")
    return "".join(f"{line}\n" for line in lines)


def _about(environment: Environment) -> str:
    """Return what was locked, in one line."""
    return (
        f"{environment.request.label}: Python {environment.python} on {environment.platform}, "
        f"as of {environment.as_of.date()}"
    )


def _version(python: str) -> str:
    """Return the version of a Python as a specifier has it."""
    plain = python.removeprefix("pypy").removesuffix("t")
    return plain if plain.count(".") > 1 else f"{plain}.*"


def _marker(environment: Environment) -> str:
    system, _, machine = environment.platform.partition("-")
    return f"sys_platform == '{system}' and platform_machine == '{machine}'"


def _locked(package: Package, files: Files) -> Iterator[File]:
    """Yield the file of each hash of a package."""
    by_hash = {file.sha256: file for file in files(package.name)}
    for wanted in package.hashes:
        if wanted.removeprefix("sha256:") not in by_hash:
            raise PackagesError(
                f"the package index no longer has a file of {package.name} {package.version} with "
                f"the locked hash {wanted[:17]}...; export it as requirements.txt, which needs no "
                "addresses."
            )
        yield by_hash[wanted.removeprefix("sha256:")]


def _file(file: File) -> str:
    """Return a file as an inline table; JSON strings are valid in TOML."""
    return (
        f"{{ name = {json.dumps(file.name)}, url = {json.dumps(file.url)}, "
        f'hashes = {{ sha256 = "{file.sha256}" }} }}'
    )

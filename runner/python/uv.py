"""Run uv: where it is, what it may see, and what its output means.

uv has no stable machine-readable answers, so its sentences are parsed here. ``pyproject.toml`` pins
the versions that print these sentences.
"""

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from runner.errors import PackagesError
from runner.system import child, tempdir

# The environment variables that uv may see: how to reach the index, and where files belong.
# Others (VIRTUAL_ENV, UV_RESOLUTION, PYTHONPATH, ...) could change what is resolved.
KEPT = frozenset(
    {
        "HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "NETRC",
        "SSL_CERT_FILE", "SSL_CERT_DIR", "SSL_CLIENT_CERT",
        "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
        "UV_DEFAULT_INDEX", "UV_EXTRA_INDEX_URL", "UV_KEYRING_PROVIDER", "UV_NATIVE_TLS",
        "UV_SYSTEM_CERTS", "UV_INSECURE_HOST", "UV_HTTP_TIMEOUT", "UV_HTTP_RETRIES", "UV_OFFLINE",
        "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_INSTALL_MIRROR", "UV_PYTHON_DOWNLOADS",
    }
)  # fmt: skip
KEPT_PREFIX = "UV_INDEX"  # UV_INDEX, UV_INDEX_URL, UV_INDEX_<NAME>_USERNAME and _PASSWORD
NO_COMPILER = "no-compiler-in-reach"
_REFUSED = re.compile(r"^hint: (.*(?:could not be queried|returned a \d+ ).*)$", re.MULTILINE)
"""An index that refuses a request: uv reports "no such package" and mentions it only in a hint."""


class Verdict(Enum):
    """How uv answered a question about packages."""

    YES = "yes"
    UNSOLVABLE = "unsolvable"
    UNBUILDABLE = "unbuildable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of uv: its standard output if the verdict is yes, else the full error."""

    verdict: Verdict
    text: str

    @property
    def reason(self) -> str:
        """The conclusion in one line, without hints."""
        return conclusion(self.text)


def binary() -> str:
    """Return the path of the uv installed with the runner. PackagesError if it is missing."""
    from uv import find_uv_bin  # noqa: PLC0415  needed only to resolve or install

    try:
        return os.fsdecode(find_uv_bin())
    except FileNotFoundError as error:
        raise PackagesError(
            "uv, which resolves and installs packages, is missing: run `pip install uv` in the "
            "environment of the runner."
        ) from error


def cache_folder(compiler: bool) -> Path:
    """Return our own cache; the user's may contain wheels that were built with a compiler."""
    root = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return root / "matrix-runner" / "uv" / ("compiled" if compiler else "plain")


def call(
    arguments: Sequence[str],
    *,
    purpose: str,
    timeout_s: float,
    files: Mapping[str, str] | None = None,
    compiler: bool = False,
) -> Answer:
    """Run uv in a folder that contains only ``files``, and return its answer.

    ``purpose`` completes "uv could not ...". ``compiler`` allows a compiler for source packages.
    PackagesError if the index does not answer, uv fails, or ``timeout_s`` seconds pass.
    """
    command = [binary(), *arguments, "--no-progress", "--color", "never"]
    command += ["--cache-dir", str(cache_folder(compiler))]
    with tempdir.folder() as folder:
        for name, text in (files or {}).items():
            (folder / name).write_text(text, encoding="utf-8")
        try:
            done = child.run(
                command,
                timeout_s=timeout_s,
                folder=folder,  # without a pyproject.toml that could change settings
                environment=environment(folder, compiler),
            )
        except subprocess.TimeoutExpired as error:
            raise PackagesError(
                f"uv could not {purpose} within {timeout_s:.0f} s: check the network and the "
                "package index, then try again."
            ) from error
        except OSError as error:
            raise PackagesError(f"uv could not start to {purpose}: {error}.") from error
    return understand(done.returncode, done.stdout, done.stderr, purpose)


def understand(code: int, output: str, words: str, purpose: str) -> Answer:
    """Turn the exit code and the output of uv into an answer. PackagesError if uv failed."""
    if code == 0:
        return Answer(verdict=Verdict.YES, text=output)
    if "is missing an upload date" in words:
        raise PackagesError(
            f"uv could not {purpose}: this package index does not publish upload times, which "
            "`as_of` needs; use an index that does."
        )
    error = _error(words)
    refused = _REFUSED.search(error)
    unreachable = refused or re.search(r"Failed to fetch|error sending request", error)
    if not unreachable and error.startswith("No solution found when resolving dependencies"):
        return Answer(verdict=Verdict.UNSOLVABLE, text=error)
    if not unreachable and re.match(r"Failed to (download and )?build ", error):
        return Answer(verdict=Verdict.UNBUILDABLE, text=error)
    why = refused[1].rstrip(".") if refused else conclusion(error) or f"exit code {code}"
    raise PackagesError(
        f"uv could not {purpose}: {why}. Check the network, the package index and the free disk "
        "space, then try again."
    )


def conclusion(error: str) -> str:
    """Shorten an error of uv to one line: its first sentence and its last cause, no hints."""
    body = error.partition("\nhint:")[0]
    first, *causes = re.split(r"\n\s*cause: ", body)
    if first.startswith("No solution found"):
        first = ""
    parts = [" ".join(part.split()).rstrip(".") for part in (first, *causes[-1:])]
    return ": ".join(part for part in parts if part)[:600]


def _error(words: str) -> str:
    """Return the output of uv from ``error:`` on, or all of it, without passwords."""
    found = re.search(r"^error: (.*)", words, re.MULTILINE | re.DOTALL)
    return re.sub(r"(\w://)[^/\s@]*@", r"\1", found[1] if found else words).strip()


def environment(folder: Path, compiler: bool) -> dict[str, str]:
    """Return the environment variables of a call."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in KEPT or name.startswith(KEPT_PREFIX)
    }
    # Build scripts of old packages read UTF-8 files with the encoding of the locale.
    kept["LC_ALL"] = "C.UTF-8"
    kept.setdefault("UV_PYTHON_DOWNLOADS", "manual")  # download only for `python install`
    if compiler:
        return kept | {"PATH": os.environ.get("PATH", os.defpath)}
    return kept | {"PATH": f"{folder}/empty", "CC": NO_COMPILER, "CXX": NO_COMPILER}

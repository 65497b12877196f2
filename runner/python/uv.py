"""Run uv: where it is, what it may see, and whether it found what it was asked for."""

import os
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path

from runner.errors import PackagesError
from runner.python import addresses, confinement
from runner.records.environment import IndexSettings
from runner.system import child, places, tempdir
from runner.text import why, without_password

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
PRIVATE = frozenset(
    {
        "HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "NETRC",
        "UV_KEYRING_PROVIDER", "UV_PYTHON_INSTALL_DIR", "UV_PYTHON_INSTALL_MIRROR",
    }
)  # fmt: skip
"""Variables that builds of source packages do not see: they name places of the user."""

SETTINGS = Path("settings", "uv")
"""Where a confined call finds a copy of the user's settings of uv."""

ENDS_OF_SEARCH = ("pyproject.toml", "uv.toml")
"""Empty files in the folder of a call, where uv ends its search for settings.

Without them it would look in the folders around, and anybody may put settings into /tmp.
"""

NO_COMPILER = "no-compiler-in-reach"
BUILD_FAILED = "\nerror: Failed to build "
COMPILER_ERROR = re.compile(r":[0-9]+: (fatal )?error: ")
BACKEND_FAILED = "The build backend returned an error"
NOTHING_FOUND = 1
"""The exit code of uv if there is no solution or a source package cannot be built."""

ADVICE = ". Check the network, the package index and the free disk space, then try again."

NO_CACHE = "Failed to initialize cache"
"""How uv says that it cannot write its cache."""
SILENT_INDEX = ("Failed to fetch", "error sending request", "could not be queried", "returned a ")
"""How uv mentions an index that failed or refused in an answer that then means nothing.

``tests/unit/python/test_uv.py`` checks them with the real uv and an index of the machine.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of uv: its standard output if it found something, else the full error."""

    found: bool
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Permission to build source packages for an interpreter, and whether with a compiler.

    ``variables`` are further environment variables that the builds see.
    """

    interpreter: Path
    compiler: bool = False
    variables: Mapping[str, str] = field(default_factory=dict)


def cache_folder() -> Path:
    """Return our own cache of uv, which never contains anything that was built here."""
    return places.cache() / "uv" / "downloads"


def wheels_folder() -> Path:
    """Return the folder of the wheels that were built from projects of the user."""
    return places.cache() / "wheels"


def bytecode_folder() -> Path:
    """Return the folder of the bytecode of installed modules."""
    return places.cache() / "bytecode"


def builds_folder() -> Path:
    """Return the folder of what source builds made, each for one environment."""
    return places.cache() / "builds"


def cache_folders() -> tuple[Path, ...]:
    """Return the folders that installations fill, those of earlier versions included.

    RuntimeError if the user has no home.
    """
    ours = (wheels_folder(), bytecode_folder(), builds_folder())
    return (places.cache() / "uv", places.cache() / "python", *ours)


def python_folder() -> Path:
    """Return the folder of the interpreters that uv downloads."""
    return places.named("UV_PYTHON_INSTALL_DIR") or places.cache() / "python"


def python_folders() -> tuple[Path, ...]:
    """Return the folders with interpreters of uv: ours, and the user's own."""
    share = places.named("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return (python_folder(), share / "uv" / "python")


def call(
    arguments: Sequence[str],
    *,
    purpose: str,
    timeout_s: float,
    files: Mapping[str, str | Path] | None = None,
    build: Build | None = None,
    index: IndexSettings | None = None,
    folder: Path | None = None,
    programs: Sequence[str] = (),
) -> Answer:
    """Run uv in a folder that contains only ``files`` and no settings, and return its answer.

    A file is given as its text, or as the path of a file to copy.
    ``purpose`` completes "uv could not ...". With ``build``, uv may build source packages: it is
    confined, and its cache is thrown away, so that a build cannot plant anything for other calls.
    ``index`` names indexes beside those of the user. ``folder`` is a folder of ours to use instead
    of a temporary one. ``programs`` are the folders in which uv looks for interpreters; otherwise
    it finds none. PackagesError if the index does not answer, uv fails, or ``timeout_s`` seconds
    pass.
    """
    with nullcontext(folder) if folder else tempdir.folder() as work:
        done = _completed(
            work,
            arguments,
            purpose=purpose,
            timeout_s=timeout_s,
            files=files or {},
            build=build,
            index=index,
            programs=programs,
        )
    return understand(done.returncode, done.stdout, done.stderr, purpose)


def build_wheel(folder: Path, build: Build, *, purpose: str, timeout_s: float) -> Answer:
    """Build the project in ``folder/source`` into ``folder/built``, confined like other builds.

    Errors are as those of ``call``, but a project that cannot be built is an answer.
    """
    command = ["build", "--wheel", "--no-sources", "--no-create-gitignore", "--out-dir=built"]
    command += [f"--python={build.interpreter}", "--", "source"]
    done = _completed(folder, command, purpose=purpose, timeout_s=timeout_s, files={}, build=build)
    return understand_build(done.returncode, done.stderr, purpose)


def _completed(
    folder: Path,
    arguments: Sequence[str],
    *,
    purpose: str,
    timeout_s: float,
    files: Mapping[str, str | Path],
    build: Build | None,
    index: IndexSettings | None = None,
    programs: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """Run uv in a folder; PackagesError if it cannot start or takes too long."""
    program, work = binary(), folder.resolve()
    searching = {"PATH": os.pathsep.join(programs)} if programs else {}
    indexes = addresses.variables(index) if index else {}
    try:
        for name, content in (*dict.fromkeys(ENDS_OF_SEARCH, "").items(), *files.items()):
            (work / name).parent.mkdir(exist_ok=True)
            if isinstance(content, str):
                (work / name).write_text(content, encoding="utf-8")
            else:
                shutil.copyfile(content, work / name)
        wrapper = _confined(work, Path(program), build) if build else []
        cache = work / "cache" if build else cache_folder()
        return child.run(
            [
                *(*wrapper, program, "--no-progress", "--color=never", f"--cache-dir={cache}"),
                *arguments,
            ],
            timeout_s=timeout_s,
            folder=work,
            environment=environment(work, build) | searching | indexes,
        )
    except subprocess.TimeoutExpired as error:
        raise PackagesError(
            f"uv could not {purpose} within {timeout_s:.0f} s: check the network and the "
            "package index, then try again."
        ) from error
    except OSError as error:
        raise PackagesError(
            f"uv could not start to {purpose}: {why(error)}. Reinstall uv."
        ) from error


def _confined(work: Path, program: Path, build: Build) -> list[str]:
    """Prepare the folder of a confined call, and return the command around uv."""
    config = places.named("XDG_CONFIG_HOME") or Path.home() / ".config"
    settings = config / "uv" / "uv.toml"
    (work / SETTINGS).mkdir(parents=True)
    if settings.is_file():  # it may name the index
        shutil.copyfile(settings, work / SETTINGS / settings.name)
    confinement.prepare(work, ("home", "temporary", "cache"))
    visible = [program, *confinement.of_interpreter(build.interpreter), *_files_of_index()]
    return confinement.find(program, build.interpreter).wrapper(work, visible)


def _files_of_index() -> list[Path]:
    """Return the certificates and local indexes that environment variables name."""
    words = (
        word.removeprefix("file://")
        for name, value in os.environ.items()
        if name.startswith(("SSL_CERT_", "SSL_CLIENT_", "UV_INDEX", "UV_DEFAULT_", "UV_EXTRA_"))
        for word in value.split()
    )
    return [Path(word) for word in words if word.startswith("/")]


def understand(code: int, output: str, words: str, purpose: str) -> Answer:
    """Turn the exit code and the output of uv into an answer. PackagesError if uv failed."""
    if code == 0:
        return Answer(found=True, text=output)
    error = _error(words)
    if code == NOTHING_FOUND and not any(sign in error for sign in SILENT_INDEX):
        return Answer(found=False, text=error)
    hints = error.split("\nhint: ")[1:]
    why = [hint.splitlines()[0] for hint in hints if any(sign in hint for sign in SILENT_INDEX)]
    reason = (why[0] if why else conclusion(error) or f"exit code {code}").rstrip(".")
    if NO_CACHE in reason:
        raise PackagesError(
            f"uv could not {purpose}: {reason}. Set XDG_CACHE_HOME to a folder that you can write."
        )
    raise PackagesError(f"uv could not {purpose}: {reason}{ADVICE}")


def understand_build(code: int, words: str, purpose: str) -> Answer:
    """Turn the exit code and the output of ``uv build`` into an answer.

    The answer to a failed build is the first error of a compiler or its last line, or else the last
    cause that uv names.
    PackagesError if the index or uv failed.
    """
    if code == 0:
        return Answer(found=True, text="")
    log, failed, error = words.rpartition(BUILD_FAILED)
    if not failed or any(sign in error for sign in SILENT_INDEX):
        return understand(code, "", f"error: {error}" if failed else words, purpose)
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    if BACKEND_FAILED in error and lines[1:]:  # the first line is of uv
        telling = [line for line in lines if COMPILER_ERROR.search(line)] or lines[-1:]
        return Answer(found=False, text=telling[0].removeprefix("error: "))
    causes = error.partition("\nhint:")[0].split("\n  cause: ")
    return Answer(found=False, text=" ".join(causes[-1].split()))


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
    return without_password(found[1] if found else words).strip()


def environment(folder: Path, build: Build | None = None) -> dict[str, str]:
    """Return the environment variables of a call. Those of a build contain no place of the user."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if name.upper() in (KEPT - PRIVATE if build else KEPT) or name.startswith(KEPT_PREFIX)
    }
    # Build scripts of old packages read UTF-8 files with the encoding of the locale.
    kept |= {"LC_ALL": "C.UTF-8", "PATH": f"{folder}/empty"}
    if build is None:
        kept.setdefault("UV_PYTHON_DOWNLOADS", "manual")  # download only for `python install`
        return kept | {"UV_PYTHON_INSTALL_DIR": str(python_folder())}
    kept |= {
        "HOME": f"{folder}/home",
        "TMPDIR": f"{folder}/temporary",
        "UV_PYTHON_DOWNLOADS": "never",
    }
    kept |= {"XDG_CONFIG_HOME": f"{folder}/{SETTINGS.parent}"}
    if build.compiler:
        kept |= {"PATH": confinement.system_path()}
    else:
        kept |= {"CC": NO_COMPILER, "CXX": NO_COMPILER}
    return {**kept, **build.variables}

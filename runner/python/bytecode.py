"""Compile installed modules, and keep their bytecode for other environments with the same modules.

The versions of a study share most of their packages, and compiling takes longer than installing.
"""

import hashlib
import os
import shutil
import subprocess
import threading
import uuid
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path

from runner.errors import PackagesError
from runner.python import uv
from runner.python.interpreters import Interpreter, executable
from runner.system import child
from runner.system.parallel import in_parallel
from runner.text import why

TIMEOUT_S = 300.0
SHARES = 16
"""Into how many parts modules are divided, whatever the number of cores: each part is compiled by
one process, and bytecode depends a little on what else its process has compiled."""
DATE = (0, 0)  # access and modification, seconds since 1970
TAG = "import sys; print(sys.implementation.cache_tag)"
_KEEPING = threading.Lock()
"""Environments take turns on all cores, so each finds the bytecode of those before."""
COMPILE = """
import os, py_compile, sys, warnings
warnings.simplefilter("ignore")
settings = {}
if sys.version_info >= (3, 7):
    settings["invalidation_mode"] = py_compile.PycInvalidationMode.UNCHECKED_HASH
for name in sys.stdin.buffer.read().split(b"\\0"):
    path = os.fsdecode(name)
    place, shown = os.path.join(sys.argv[1], path), os.path.join(sys.argv[2], path)
    try:
        py_compile.compile(place, dfile=shown, doraise=True, **settings)
    except Exception:  # it is for another Python
        pass
"""


def compile_all(site: Path, interpreter: Interpreter, label: str, *, keep: bool) -> None:
    """Compile all modules in a folder of packages; PackagesError if that fails.

    Bytecode that was kept is used, as a hard link. With ``keep``, new bytecode is kept.
    """
    if interpreter.minor == "3.6":  # it can only check the date of the source
        for path in _modules(site):
            os.utime(site / path, DATE)
    python = str(interpreter.path)
    command = [python, "-s", "-S", "-c", COMPILE, str(site), _shown(interpreter)]
    try:
        tag = child.run([python, "-I", "-c", TAG], timeout_s=TIMEOUT_S).stdout.strip()
        places = {path: _place(site, path, interpreter) for path in _modules(site)}
        with _KEEPING if keep else nullcontext():
            missing = [one for one in places if not _linked(places[one], _compiled(site, one, tag))]
            for path in missing:  # a wheel may contain bytecode of anything else
                _compiled(site, path, tag).unlink(missing_ok=True)
            _compile(missing, command, site)
            for path in missing if keep else ():
                _linked(_compiled(site, path, tag), places[path])
    except (OSError, subprocess.SubprocessError) as error:
        raise PackagesError(
            f"the packages of {label} could not be compiled: {why(error)}. Try again."
        ) from error


def _shown(interpreter: Interpreter) -> str:
    """Return the folder of the modules that bytecode names."""
    return f"lib/{executable(interpreter.name)}/site-packages"


def _modules(site: Path) -> Iterator[str]:
    """Yield the relative paths of all modules, without links."""
    for where, folders, names in os.walk(site):
        folders[:] = [one for one in folders if one != "__pycache__"]
        above = os.path.relpath(where, site)
        for name in names:
            path = os.path.normpath(os.path.join(above, name))  # noqa: PTH118  there are thousands
            if name.endswith(".py") and not os.path.islink(os.path.join(site, path)):  # noqa: PTH114, PTH118
                yield path


def _place(site: Path, path: str, interpreter: Interpreter) -> Path:
    """Return where the bytecode of a module is kept, which depends on all that it is made of."""
    made_of = [interpreter.name, interpreter.version, path]
    content = hashlib.sha256("\0".join(made_of).encode(errors="surrogateescape") + b"\0")
    content.update((site / path).read_bytes())
    key = content.hexdigest()
    return uv.bytecode_folder() / key[:2] / key[2:]


def _compiled(site: Path, path: str, tag: str) -> Path:
    folder, name = os.path.split(path)
    return site / folder / "__pycache__" / f"{name.removesuffix('.py')}.{tag}.pyc"


def _linked(source: Path, target: Path) -> bool:
    """Make a file appear in another place, and return whether it is there now.

    It is a copy if it cannot be a hard link.
    """
    if not source.exists():
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target)
    except OSError:  # it exists, or is on another file system
        fresh = target.with_name(f".{target.name}.{uuid.uuid4().hex}")
        shutil.copyfile(source, fresh)
        fresh.replace(target)
    return True


def _compile(paths: Sequence[str], command: Sequence[str], site: Path) -> None:
    """Compile modules on all cores, the largest ones first."""
    ordered = sorted(paths, key=lambda path: ((site / path).stat().st_size, path), reverse=True)
    shares = [share for number in range(SHARES) if (share := ordered[number::SHARES])]
    for _ in in_parallel(partial(_compile_share, command), shares, len(os.sched_getaffinity(0))):
        pass


def _compile_share(command: Sequence[str], paths: Sequence[str]) -> None:
    names = b"\0".join(map(os.fsencode, paths))
    kept = {name: value for name, value in child.variables().items() if name[:6] != "PYTHON"}
    # Without a fixed seed, the order of constant sets in bytecode would be another one every time.
    done = child.run_bytes(
        command, timeout_s=TIMEOUT_S, environment={**kept, "PYTHONHASHSEED": "0"}, given=names
    )
    if done.returncode:
        last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise subprocess.SubprocessError(last or f"exit code {done.returncode}")

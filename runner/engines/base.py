"""A base made from an interpreter of this machine: an image, or a copy for processes.

The tar holds the interpreter under /usr/local, as the official Python images have it, the shared
libraries that it and common wheels link, a shell, and nothing else: no network tools, no package
manager, not even a distribution. Equal inputs give equal bytes.
"""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path

from runner.errors import EngineError
from runner.python.interpreters import Interpreter

# What manylinux wheels may expect of a system (PEP 513, 571, 599), beyond what Python links.
WHEEL_LIBRARIES = (
    "libpthread.so.0",
    "libdl.so.2",
    "librt.so.1",
    "libutil.so.1",
    "libm.so.6",
    "libnsl.so.1",
    "libresolv.so.2",
    "libstdc++.so.6",
    "libgcc_s.so.1",
    "libgomp.so.1",
)
C_LIBRARY = {
    *("libc.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1", "libutil.so.1", "libm.so.6"),
    *("libnsl.so.1", "libresolv.so.2"),
}
"""What belongs together with the loader, and with the same system's only."""
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter"}
LIBRARIES = "usr/lib/x86_64-linux-gnu"
FOLDERS = ("tmp", "out", "inputs", "proc", "sys", "dev", "etc", "opt", "bin", "usr/bin")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files\n",
}
UNREADABLE = (OSError, ValueError, OverflowError, tarfile.TarError)
"""What reading a tar raises that somebody made so that it cannot be read."""
_ASK = """
import json, sys, sysconfig
print(json.dumps([sysconfig.get_path("stdlib"), sysconfig.get_config_var("LIBDIR"),
                  sysconfig.get_config_var("INSTSONAME") or ""]))
"""


def assemble(interpreter: Interpreter, target: Path) -> None:
    """Write the base for an interpreter as a tar to ``target``; EngineError where that fails."""
    try:
        standard, shared = _parts(interpreter)
        programs = [interpreter.path.resolve(), Path("/bin/sh").resolve()]
        links = programs + [path for path, _ in standard if ".so" in path.suffixes]
        with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar:
            for folder in FOLDERS:
                _add_folder(tar, folder, 0o1777 if folder == "tmp" else 0o755)
            for name, text in FILES.items():
                _add_bytes(tar, name, text.encode())
            _add_file(tar, programs[0], f"usr/local/bin/python{interpreter.minor}", 0o755)
            for alias in ("python", "python3"):
                _add_link(tar, f"usr/local/bin/{alias}", f"python{interpreter.minor}")
            _add_file(tar, programs[1], "bin/sh", 0o755)
            for path, name in standard:
                _add_file(tar, path, f"usr/local/lib/python{interpreter.minor}/{name}")
            libraries = _libraries(links)
            if shared is not None:
                libraries[shared.name] = shared
            for name, path in sorted(libraries.items()):
                # The loader is named by absolute path in every program; the rest it finds here.
                folder = "lib64" if name.startswith("ld-linux") else LIBRARIES
                _add_file(tar, path, f"{folder}/{name}", 0o755)
            _add_link(tar, "lib", "usr/lib")
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"no base could be assembled from {interpreter.path}: {error}. Name one with "
            "`environment: {base: <image>}` in the matrix."
        ) from error


def copy(interpreter: Interpreter, target: Path) -> None:
    """Copy an interpreter and its standard library, nothing else; EngineError where that fails.

    The loader has to be told where the interpreter's library is: ``lib``, in LD_LIBRARY_PATH.
    """
    python = f"python{interpreter.minor}"
    try:
        standard, shared = _parts(interpreter)
        files = [(interpreter.path.resolve(), f"bin/{python}")]
        files += [(path, f"lib/{python}/{name}") for path, name in standard]
        files += [] if shared is None else [(shared, f"lib/{shared.name}")]
        for path, name in files:
            place = target / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)  # bytecode is valid for the date of its source
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"the interpreter {interpreter.path} cannot be copied to where trials can read it: "
            f"{error}."
        ) from error


def unpack(tar: Path, python: str, target: Path) -> None:
    """Unpack of an assembled base what ``copy`` would copy, and the libraries that come with it.

    The system's own C library stays in force: another one than its loader's cannot be loaded.
    EngineError where that fails.
    """
    program, standard = f"usr/local/bin/python{python}", f"usr/local/lib/python{python}/"
    try:
        with tarfile.open(tar, "r:") as packed:
            for entry in packed:
                name = entry.name
                library = Path(name).parent == Path(LIBRARIES) and Path(name).name not in C_LIBRARY
                if library:
                    entry.name = f"lib/{Path(name).name}"
                elif name == program or name.startswith(standard):
                    entry.name = name.removeprefix("usr/local/")
                else:
                    continue
                if entry.isfile():  # so nothing leads out of the target
                    packed.extract(entry, target, filter="data")
    except UNREADABLE as error:
        raise EngineError(f"the base in {tar} cannot be unpacked: {error}.") from error


def _parts(interpreter: Interpreter) -> tuple[list[tuple[Path, str]], Path | None]:
    """Return an interpreter's standard library and, where it has one, its shared library."""
    stdlib, libdir, soname = json.loads(_output([str(interpreter.path), "-I", "-c", _ASK]))
    shared = Path(libdir) / soname
    standard = list(_standard_library(Path(stdlib)))
    return standard, shared if shared.suffix and shared.is_file() else None


def _standard_library(stdlib: Path) -> Iterator[tuple[Path, str]]:
    """Yield the files of the standard library with their names in it, in a fixed order."""
    for folder, folders, files in os.walk(stdlib):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(files):
            path = Path(folder, name)
            # Bytecode stays, or every trial would compile what it imports; ".opt-1.pyc" never runs.
            if path.suffix != ".a" and ".opt-" not in name:
                yield path, path.relative_to(stdlib).as_posix()


def _libraries(programs: Iterable[Path]) -> dict[str, Path]:
    """Return the shared libraries, by the name they are asked for, that the programs link."""
    wanted = [str(path) for path in programs]
    known = dict(
        re.findall(r"^\s+(\S+) .*x86-64.*=> (\S+)$", _output([_ldconfig(), "-p"]), re.MULTILINE)
    )
    wanted += [known[name] for name in WHEEL_LIBRARIES if name in known]
    found = {name: Path(known[name]) for name in WHEEL_LIBRARIES if name in known}
    # ldd fails for a program without libraries; what it could tell of the others still counts.
    told = subprocess.run(
        ["ldd", *wanted],  # noqa: S607 (wherever the C library keeps it)
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    for name, path in re.findall(r"^\s+(\S+) => (/\S+)", told, re.MULTILINE):
        found[name] = Path(path)
    for path in re.findall(r"^\s+(/\S*ld-linux\S*) \(", told, re.MULTILINE):
        found[Path(path).name] = Path(path)
    return found


def _ldconfig() -> str:
    """Return where ldconfig is: many users do not have the administrator's folders on PATH."""
    path = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))
    return shutil.which("ldconfig", path=path) or "ldconfig"


def _output(command: list[str]) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout


def _entry(name: str, mode: int) -> tarfile.TarInfo:
    """Return an entry that belongs to root and has no date."""
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    return entry


def _add_folder(tar: tarfile.TarFile, name: str, mode: int) -> None:
    entry = _entry(name, mode)
    entry.type = tarfile.DIRTYPE
    tar.addfile(entry)


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    entry = _entry(name, 0o777)
    entry.type = tarfile.SYMTYPE
    entry.linkname = target
    tar.addfile(entry)


def _add_bytes(tar: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = _entry(name, 0o644)
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))


def _add_file(tar: tarfile.TarFile, path: Path, name: str, mode: int = 0o644) -> None:
    with path.open("rb") as file:
        entry = _entry(name, mode)
        facts = os.fstat(file.fileno())
        entry.size = facts.st_size
        entry.mtime = int(facts.st_mtime)  # bytecode is valid for the date of its source
        tar.addfile(entry, file)

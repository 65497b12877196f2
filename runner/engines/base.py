"""A base made from an interpreter of this machine: an image, or a copy for processes.

The image's tar holds the interpreter under /usr/local, like the official Python images, the shared
libraries that it and common wheels link, and a shell. There are no network tools, no package
manager and no distribution. Equal inputs give equal bytes.
"""

import io
import json
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from runner.errors import EngineError
from runner.python.interpreters import Interpreter, executable
from runner.system import archive, child, digest, tempdir
from runner.text import why

# The libraries that manylinux wheels may expect (PEP 513, 571, 599), beyond those Python links.
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
C_LIBRARY = {"libc.so.6", *(name for name in WHEEL_LIBRARIES[:7])}
"""The parts of the C library, which only work with the loader of the same system."""
ASSEMBLY = 2
"""The version of how a base is assembled; raise it when that changes. 2: own bytecode."""
TIMEOUT_S = 60.0
BYTECODE_TIMEOUT_S = 300.0
LEFT_OUT = {"site-packages", "dist-packages", "test", "tests", "idlelib", "tkinter", "__pycache__"}
LIBRARIES = "usr/lib/x86_64-linux-gnu"
FOLDERS = ("tmp", "out", "inputs", "proc", "sys", "dev", "etc", "opt", "bin", "usr/bin")
FILES = {
    "etc/passwd": "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/tmp:/bin/sh\n",
    "etc/group": "root:x:0:\nnogroup:x:65534:\n",
    "etc/nsswitch.conf": "hosts: files\n",
}
UNREADABLE = (OSError, ValueError, OverflowError, tarfile.TarError)
"""The exceptions that reading a damaged or hostile tar raises."""
_ASK = """
import json, sys, sysconfig
print(json.dumps([sysconfig.get_path("stdlib"), sysconfig.get_config_var("LIBDIR"),
                  sysconfig.get_config_var("INSTSONAME") or ""]))
"""


def fingerprint(interpreter: Interpreter) -> str:
    """Return a digest of the version, the executable and the shared library of an interpreter.

    It is much faster than assembling a base, and tells whether an existing base is of the same
    interpreter, for instance after an upgrade at the same path. EngineError if that fails.
    """
    try:
        shared = _locations(interpreter)[1]
        files = [interpreter.path.resolve(), *([] if shared is None else [shared])]
        return digest.of_content([ASSEMBLY, interpreter.version, *map(digest.of_file, files)])
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"the interpreter {interpreter.path} cannot be examined: {why(error)}. Fix that, or "
            "name "
            "a base image with `environment: {base: <image>}` in the matrix."
        ) from error


def assemble(interpreter: Interpreter, target: Path) -> None:
    """Write the base for an interpreter as a tar to ``target``; EngineError if that fails."""
    python, program = executable(interpreter.name), interpreter.path.resolve()
    shell, library = Path("/bin/sh").resolve(), f"usr/local/lib/{python}"
    try:
        standard, shared = _parts(interpreter)
        extensions = [path for path, _ in standard if ".so" in path.suffixes]
        libraries = _libraries([program, shell, *extensions])
        if shared is not None:
            libraries[shared.name] = shared
        with (
            tempdir.folder() as folder,
            tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as tar,
        ):
            for name in FOLDERS:
                _add(tar, name, 0o1777 if name == "tmp" else 0o755, kind=tarfile.DIRTYPE)
            for name, text in FILES.items():
                _add(tar, name, 0o644, text.encode())
            _add_file(tar, program, f"usr/local/bin/{python}", 0o755)
            for alias in ("python", "python3"):
                _add_link(tar, f"usr/local/bin/{alias}", python)
            _add_file(tar, shell, "bin/sh", 0o755)
            for path, name in standard:
                _add_file(tar, path, f"{library}/{name}", 0o644)
            _copy_files(standard, folder)
            for path, name in _compiled(interpreter, folder, f"/{library}"):
                _add(tar, f"{library}/{name}", 0o644, path.read_bytes())
            for name, path in sorted(libraries.items()):
                # Programs name the loader by its absolute path. It finds all other libraries here.
                place = "lib64" if name.startswith("ld-linux") else LIBRARIES
                _add_file(tar, path, f"{place}/{name}", 0o755)
            _add_link(tar, "lib", "usr/lib")
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"no base could be assembled from {interpreter.path}: {why(error)}. Name a base image "
            "with `environment: {base: <image>}` in the matrix."
        ) from error


def copy(interpreter: Interpreter, target: Path) -> None:
    """Copy an interpreter and its standard library; EngineError if that fails.

    The copy needs its ``lib`` folder in LD_LIBRARY_PATH.
    """
    python = executable(interpreter.name)
    try:
        standard, shared = _parts(interpreter)
        _copy_files([(interpreter.path.resolve(), f"bin/{python}")], target)
        _copy_files([] if shared is None else [(shared, f"lib/{shared.name}")], target)
        library = target / "lib" / python
        _copy_files(standard, library)
        _compiled(interpreter, library, str(library))
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise EngineError(
            f"the interpreter {interpreter.path} could not be copied to {target}: {why(error)}. "
            "Fix that, or use a container engine."
        ) from error


def unpack(tar: Path, python: str, target: Path) -> None:
    """Unpack an assembled base into the folder that ``copy`` would make; EngineError if that fails.

    The libraries of the base come along, except for the C library: a program can only load the one
    of its own system.
    """
    named = executable(python)
    program, standard = f"usr/local/bin/{named}", f"usr/local/lib/{named}/"

    def name_of(entry: tarfile.TarInfo) -> str | None:
        path = PurePosixPath(entry.name)
        if not entry.isfile():
            return None
        if path.parent == PurePosixPath(LIBRARIES) and path.name not in C_LIBRARY:
            return f"lib/{path.name}"
        wanted = entry.name == program or entry.name.startswith(standard)
        return entry.name.removeprefix("usr/local/") if wanted else None

    try:
        with archive.opened(tar) as packed:
            archive.unpack(packed, target, name_of)
    except UNREADABLE as error:
        raise EngineError(
            f"the base in {tar} could not be unpacked: {why(error)}. Get the bundle again."
        ) from error


def _parts(interpreter: Interpreter) -> tuple[list[tuple[Path, str]], Path | None]:
    """Return the files of an interpreter's standard library, and its shared library if any."""
    stdlib, shared = _locations(interpreter)
    return list(_standard_library(stdlib)), shared


def _locations(interpreter: Interpreter) -> tuple[Path, Path | None]:
    """Return where an interpreter's standard library and its shared library are."""
    stdlib, libdir, soname = json.loads(_ran([str(interpreter.path), "-I", "-S", "-c", _ASK]))
    shared = Path(libdir) / soname
    # An unreadable folder is no reason to give up: the interpreter works without it.
    readable = shared.suffix and os.access(shared, os.R_OK)
    return Path(stdlib), shared if readable else None


def _standard_library(stdlib: Path) -> Iterator[tuple[Path, str]]:
    """Yield each file of the standard library with its relative name, in a fixed order."""
    for folder, folders, files in os.walk(stdlib):
        folders[:] = sorted(name for name in folders if name not in LEFT_OUT)
        for name in sorted(files):
            path = Path(folder, name)
            if path.suffix != ".a":
                yield path, path.relative_to(stdlib).as_posix()


def _copy_files(files: Iterable[tuple[Path, str]], folder: Path) -> None:
    """Copy files with their dates: Python ignores bytecode of a source with another date."""
    for path, name in files:
        place = folder / name
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, place)


def _compiled(interpreter: Interpreter, folder: Path, shown: str) -> list[tuple[Path, str]]:
    """Compile the modules in a folder, or every trial would compile its imports.

    Return the new files with their relative names. The interpreter's own bytecode is not used: it
    is of whatever was imported so far. ``shown`` is the folder that tracebacks name.
    """
    command = [str(interpreter.path), "-I", "-S", "-m", "compileall", "-qq", "-j", "0", "-d", shown]
    done = child.run([*command, str(folder)], timeout_s=BYTECODE_TIMEOUT_S)
    if done.returncode not in (0, 1):  # 1: some files are templates, which cannot be compiled
        done.check_returncode()
    found = sorted(folder.rglob("*.pyc"))
    return [(path, path.relative_to(folder).as_posix()) for path in found]


def _libraries(programs: Iterable[Path]) -> dict[str, Path]:
    """Return the shared libraries that the programs and common wheels link, by name."""
    # Many users do not have the administrator's folders on PATH.
    ldconfig = child.program("ldconfig", also=("/usr/sbin", "/sbin")) or "ldconfig"
    listed = _ran([ldconfig, "-p"])
    known = dict(re.findall(r"^\s+(\S+) .*x86-64.*=> (\S+)$", listed, re.MULTILINE))
    found = {name: Path(known[name]) for name in WHEEL_LIBRARIES if name in known}
    # ldd fails if one of the files links no libraries, but its output for the others is complete.
    command = ["ldd", *map(str, (*programs, *found.values()))]
    listed = child.run(command, timeout_s=TIMEOUT_S).stdout
    for name, path in re.findall(r"^\s+(\S+) => (/\S+)", listed, re.MULTILINE):
        found[name] = Path(path)
    for path in re.findall(r"^\s+(/\S*ld-linux\S*) \(", listed, re.MULTILINE):
        found[Path(path).name] = Path(path)
    return found


def _ran(command: list[str]) -> str:
    done = child.run(command, timeout_s=TIMEOUT_S)
    done.check_returncode()
    return done.stdout


def _add_file(tar: tarfile.TarFile, path: Path, name: str, mode: int) -> None:
    # Python ignores bytecode that was compiled from a source with another date.
    _add(tar, name, mode, path.read_bytes(), mtime=int(path.stat().st_mtime))


def _add_link(tar: tarfile.TarFile, name: str, target: str) -> None:
    _add(tar, name, 0o777, kind=tarfile.SYMTYPE, target=target)


def _add(
    tar: tarfile.TarFile,
    name: str,
    mode: int,
    content: bytes = b"",
    *,
    kind: bytes = tarfile.REGTYPE,
    target: str = "",
    mtime: int = 0,
) -> None:
    """Add an entry that belongs to root."""
    entry = tarfile.TarInfo(name)
    entry.mode, entry.type, entry.linkname, entry.mtime = mode, kind, target, mtime
    entry.size = len(content)
    tar.addfile(entry, io.BytesIO(content))

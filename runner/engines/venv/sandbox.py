"""Behind what the venv engine executes a trial: bubblewrap, namespaces of its own, or nothing.

What a machine permits cannot be read off anywhere: each kind is tried once, with a program that
does nothing, and the first one that works is taken. Where the runner is root the trial is nobody.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from runner.errors import EngineError
from runner.records.run import SANDBOXES, sandboxed
from runner.records.study import Limits

NOBODY = 65534
SHARED_BYTES = 64 * 1024**2
TRY_TIMEOUT_S = 20.0
COVERED = ("/home", "/root", "/run")
"""Where users keep what is theirs, and programs their sockets: nothing of it is in view."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """One kind of isolation that works here. ``version`` is what a run records."""

    kind: str
    version: str
    as_root: bool

    @property
    def sandboxed(self) -> bool:
        """Whether a trial has processes of its own, which all die with the first of them."""
        return sandboxed(self.version)


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Where a trial finds what it needs: paths on the host, the same ones inside where possible.

    ``shown`` are folders that stay in view wherever they lie. Of a trial behind bubblewrap
    ``temporary`` and ``output`` are its own, in memory.
    """

    shown: tuple[Path, ...]
    inputs: Path
    temporary: Path
    output: Path


def find(wanted: Sequence[str] = (*SANDBOXES, "plain")) -> Isolation:
    """Return the first kind of isolation that works on this machine; EngineError if none does."""
    if shutil.which("setpriv") is None:
        raise EngineError(
            "the venv engine needs `setpriv` of util-linux: install it, or use a container engine."
        )
    for kind in wanted:
        isolation = Isolation(kind=kind, version=_version(kind), as_root=os.geteuid() == 0)
        if _works(isolation):
            return isolation
    raise EngineError(
        "no process can be started as a trial of the venv engine: not behind "
        f"{', '.join(wanted)}. Use another user, or a container engine."
    )


def seen(isolation: Isolation, view: View) -> View:
    """Return the view with the paths as they are inside."""
    if isolation.kind != "bwrap":
        return view
    return View(
        shown=view.shown,
        inputs=Path("/run/inputs"),
        temporary=Path("/tmp"),  # noqa: S108 (the trial's own)
        output=Path("/run/out"),
    )


def wrapper(isolation: Isolation, view: View, limits: Limits) -> list[str]:
    """Return the command that runs a trial's program in the sandbox, without the program."""
    match isolation.kind:
        case "bwrap":
            words = _bubblewrap(isolation, view, limits)
        case "unshare":
            words = ["unshare", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc"]
            words += [] if isolation.as_root else ["--user", "--map-current-user"]
            words += ["--"]
        case _:
            words = []
    return [*words, *as_nobody(isolation.as_root)]


def tied() -> list[str]:
    """Return the words by which the kernel kills a program when its parent ends, in any way."""
    # A parent that ended before it was tied to would never be missed.
    look = '[ "$PPID" = "$0" ] || exit 125; exec "$@"'
    return ["setpriv", "--pdeathsig", "KILL", "--", "sh", "-c", look, str(os.getpid())]


def keeping(keeper: Path) -> list[str]:
    """Return the words by which our keeper ends a program, and all it started, when we end."""
    return [sys.executable, "-I", "-S", str(keeper)]


def as_nobody(as_root: bool) -> list[str]:
    """Return the words that take all rights away; the tie to the parent would be lost with them."""
    user = [f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    user += ["--bounding-set=-all", "--inh-caps=-all"]
    return ["setpriv", *(user if as_root else ()), "--no-new-privs", "--pdeathsig", "KILL", "--"]


def _bubblewrap(isolation: Isolation, view: View, limits: Limits) -> list[str]:
    inside = seen(isolation, view)
    covered = _covered()
    words = ["bwrap", "--die-with-parent", "--new-session"]
    words += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    words += [] if isolation.as_root else ["--unshare-user"]
    words += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for name in covered:
        words += ["--tmpfs", name]
    for name, size in (
        (str(inside.temporary), limits.temporary_bytes),
        (str(inside.output), limits.output_bytes),
        ("/dev/shm", SHARED_BYTES),  # noqa: S108 (the trial's own)
    ):
        words += ["--perms", "1777", "--size", str(size), "--tmpfs", name]
    for folder in view.shown:
        words += _shown(folder, {Path(one) for one in (*covered, str(inside.temporary))})
    words += ["--ro-bind", str(view.inputs), str(inside.inputs)]
    for name in ("/dev", *covered):
        words += ["--remount-ro", name]
    return [*words, "--chdir", str(inside.temporary), "--"]


def _shown(folder: Path, hidden: set[Path]) -> list[str]:
    """Return the words that bring a folder back into view, if it lies in one that is not."""
    place = folder.parent.resolve() / folder.name  # which may be a link itself
    if not hidden & {*place.parents}:
        return []
    between = [one for one in reversed(place.parents) if hidden & {*one.parents}]
    words = [word for one in between for word in ("--perms", "755", "--dir", str(one))]
    return [*words, "--ro-bind", str(folder), str(place)]  # else closed to others


def _covered() -> list[str]:
    """Return the folders that are out of view, less those that lie in another one or in /tmp."""
    home = os.environ.get("HOME") or "/"
    folders = {Path(name).resolve() for name in (*COVERED, home) if Path(name).is_dir()}
    tmp = Path("/tmp")  # noqa: S108 (a trial has its own)
    outer = {*folders, tmp}
    return [str(one) for one in sorted(folders - {Path("/"), tmp}) if not outer & {*one.parents}]


def _works(isolation: Isolation) -> bool:
    """Try it: a trial's words before a program that does nothing."""
    here = Path("/usr")
    view = View(shown=(), inputs=here, temporary=here, output=here)
    return _succeeds([*wrapper(isolation, view, Limits()), "true"])


def can_execute(
    as_root: bool,
    program: Path,
    arguments: Iterable[str],
    variables: Mapping[str, str] = MappingProxyType({}),
) -> bool:
    """Whether the trial's user can execute a program that lies where it does."""
    # setpriv itself may still execute what only root can reach: `env` no longer can.
    given = [f"{name}={value}" for name, value in variables.items()]
    return _succeeds([*as_nobody(as_root), "env", "--", *given, str(program), *arguments])


def _succeeds(command: Sequence[str]) -> bool:
    try:
        done = subprocess.run(
            command,
            cwd="/",
            env={"PATH": os.environ.get("PATH", os.defpath)},  # a trial inherits nothing either
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TRY_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0


def _version(kind: str) -> str:
    """Return the kind with its version where it tells one: ``bwrap 0.8.0``."""
    if kind != "bwrap" or shutil.which(kind) is None:
        return kind
    told = subprocess.run([kind, "--version"], capture_output=True, text=True, check=False)
    return f"{kind} {told.stdout.strip().rpartition(' ')[2]}".strip()

"""How the venv engine sandboxes a trial: with bubblewrap, with unshare, or not at all.

The only way to find out which sandboxes a machine permits is to try each of them with a program
that does nothing. If the runner is root, a trial runs as nobody.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from runner.errors import EngineError
from runner.records.run import SANDBOXES, sandboxed
from runner.records.study import Limits
from runner.system import child, privileges
from runner.system.privileges import NOBODY

KINDS = (*SANDBOXES, "plain")
SHARED_BYTES = 64 * 1024**2
TRY_TIMEOUT_S = 20.0
PRIVATE = ("/home", "/root", "/run")
"""The folders of users, and those where programs have their sockets: bubblewrap hides them."""


def trial_user() -> int:
    """Return the user of trials."""
    return NOBODY if os.geteuid() == 0 else os.getuid()


@dataclass(frozen=True, slots=True, kw_only=True)
class Folders:
    """The folders that a trial uses.

    ``visible`` ones are never hidden. Bubblewrap puts ``temporary`` and ``output`` in memory.
    """

    visible: tuple[Path, ...] = ()
    inputs: Path
    temporary: Path
    output: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A kind of sandbox that works here. ``version`` is stored with a run."""

    kind: str
    version: str

    @property
    def own_pid_namespace(self) -> bool:
        """Whether the processes of a trial all die with the first one."""
        return sandboxed(self.version)

    def inside(self, folders: Folders) -> Folders:
        """Return the folders with their paths inside the sandbox."""
        if self.kind != "bwrap":
            return folders
        return Folders(
            inputs=Path("/run/inputs"),
            temporary=Path("/tmp"),  # noqa: S108 (private to the trial)
            output=Path("/run/out"),
        )

    def wrapper(self, folders: Folders, limits: Limits) -> list[str]:
        """Return the command that runs a program in the sandbox, without the program."""
        command: list[str] = []
        if self.kind == "bwrap":
            command = _bubblewrap(folders, self.inside(folders), limits)
        elif self.kind == "unshare":
            user = [] if os.geteuid() == 0 else ["--user", "--map-current-user"]
            command = ["unshare", "--net", "--ipc", "--pid", "--fork", "--kill-child"]
            command += ["--mount-proc", *user, "--"]
        return [*command, *privileges.without()]

    def can_execute(self, python: Path, code: str, folder: Path, *variables: str) -> bool:
        """Whether an interpreter in a folder, which may be a stranger's, runs in the sandbox."""
        folders = Folders(visible=(folder,), inputs=folder, temporary=folder, output=folder)
        return _succeeds([*self.wrapper(folders, Limits()), *_python(python, code, variables)])


def find(kinds: Sequence[str] = KINDS) -> Sandbox:
    """Return the first kind of sandbox that works on this machine; EngineError if none does."""
    if child.program("setpriv") is None:
        raise EngineError(
            "the venv engine needs `setpriv` of util-linux: install it, or use a container engine."
        )
    folder = Path("/usr")
    folders = Folders(inputs=folder, temporary=folder, output=folder)
    for kind in kinds:
        sandbox = Sandbox(kind=kind, version=_version(kind))
        if _succeeds([*sandbox.wrapper(folders, Limits()), "true"]):
            return sandbox
    raise EngineError(
        f"the venv engine cannot start a process here (it tried {', '.join(kinds)}). Use another "
        "user, or a container engine."
    )


def _version(kind: str) -> str:
    """Return the kind, with the version of bubblewrap: ``bwrap 0.8.0``."""
    if kind != "bwrap":
        return kind
    answer = child.output([kind, "--version"], timeout_s=TRY_TIMEOUT_S)
    return f"{kind} {answer.split()[-1]}" if answer else kind


def _bubblewrap(folders: Folders, inside: Folders, limits: Limits) -> list[str]:
    hidden = _hidden()
    command = ["bwrap", "--die-with-parent", "--new-session"]
    command += ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts"]
    command += [] if os.geteuid() == 0 else ["--unshare-user"]
    command += ["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    for name in hidden:
        command += ["--tmpfs", name]
    for name, size in (
        (str(inside.temporary), limits.temporary_bytes),
        (str(inside.output), limits.output_bytes),
        ("/dev/shm", SHARED_BYTES),  # noqa: S108 (private to the trial)
    ):
        command += ["--perms", "1777", "--size", str(size), "--tmpfs", name]
    for folder in folders.visible:
        command += _reveal(folder, {Path(name) for name in (*hidden, str(inside.temporary))})
    command += ["--ro-bind", str(folders.inputs), str(inside.inputs)]
    for name in ("/dev", *hidden):
        command += ["--remount-ro", name]
    return [*command, "--chdir", str(inside.temporary), "--"]


def _hidden() -> list[str]:
    """Return the outermost folders to hide; /tmp is private to the trial anyway."""
    root, tmp = Path("/"), Path("/tmp")  # noqa: S108
    names = (*PRIVATE, os.environ.get("HOME") or root)
    there = [Path(name) for name in names if os.access(Path(name, "."), os.F_OK)]
    folders = {tmp, *(path.resolve() for path in there)} - {root}
    return [str(one) for one in sorted(folders - {tmp}) if not folders & {*one.parents}]


def _reveal(folder: Path, hidden: set[Path]) -> list[str]:
    """Return the arguments that make a folder visible again if it is in a hidden one."""
    target = folder.parent.resolve() / folder.name  # the folder itself may be a link
    if not hidden & {*target.parents}:
        return []
    between = [one for one in reversed(target.parents) if hidden & {*one.parents}]
    arguments = [word for one in between for word in ("--perms", "755", "--dir", str(one))]
    return [*arguments, "--ro-bind", str(folder), str(target)]


def can_execute(python: Path, code: str) -> bool:
    """Whether the user of trials can execute an interpreter of this machine at its path."""
    return _succeeds([*privileges.without(), *_python(python, code)])


def _python(python: Path, code: str, variables: Sequence[str] = ()) -> list[str]:
    # setpriv starts a program before its privileges are gone; env starts it afterwards.
    return ["env", "--", *variables, str(python), "-I", "-S", "-c", code]


def _succeeds(command: Sequence[str]) -> bool:
    environment = {"PATH": os.pathsep.join(child.folders())}  # a trial inherits nothing either
    answer = child.output(
        command, timeout_s=TRY_TIMEOUT_S, folder=Path("/"), environment=environment
    )
    return answer is not None

"""Confine uv while it builds source packages, which run code of strangers.

uv starts the builds itself, so all of it is confined. It sees the folders of the system, its own
program, the interpreter and what it needs to reach the index. It can write only into the folder of
its call. It has no processes around it and no privileges, and if the runner is root it is another
user. It has the network, because build tools come from the index.

The only way to find out which kinds of confinement a machine permits is to try them.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from runner.errors import PackagesError
from runner.system import child, privileges, tempdir
from runner.system.privileges import NOBODY

KINDS = ("bwrap", "unshare", "plain")
TRY_TIMEOUT_S = 20.0
SYSTEM = (
    "/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/etc", "/opt",
    "/nix", "/gnu", "/var/lib/ca-certificates",
)  # fmt: skip
"""The folders of the system, with programs, libraries and certificates. Others are not visible."""

PARTS = ("bin", "lib", "lib64", "include")
"""The folders of an interpreter; the one around them may be a home folder."""

MORE_FOLDERS = ("/usr/sbin", "/sbin")
"""Where pivot_root is; PATH may not contain these."""

DEVICES = ("null", "zero", "full", "random", "urandom")

# Puts a new root together in memory and starts a program there. Its arguments are the folder of
# the call, PATH for its own programs, what is visible at which place, and the command. A remount
# must repeat the options of the original mount, which differ.
_NEW_ROOT = """
set -e
work=$1 root=$1/root inside=$PATH
PATH=$2
shift 2
mkdir -p "$root"
mount -t tmpfs -o mode=755 matrix-runner "$root"
place() {
    mkdir -p "$root${2%/*}"
    if [ -d "$1" ]; then mkdir -p "$root$2"; else [ -e "$root$2" ] || : > "$root$2"; fi
    mount --"$3" "$1" "$root$2"
}
mkdir -m 1777 "$root/tmp" "$root/dev" "$root/dev/shm"
while [ "$1" != -- ]; do
    place "$1" "$2" rbind
    case $1 in /dev/*) ;; *)
        mount -o remount,bind,ro "$root$2" ||
        mount -o remount,bind,ro,nosuid,nodev "$root$2" ||
        mount -o remount,bind,ro,nosuid,nodev,noexec "$root$2" ;;
    esac
    shift 2
done
shift
mkdir "$root/proc"
mount -t proc proc "$root/proc"
ln -s /proc/self/fd "$root/dev/fd"
place "$work" "$work" bind
cd "$root"
pivot_root . .
umount -l .
cd "$work"
PATH=$inside
exec "$@"
"""


_WRITE = "import sys; open(sys.argv[1], 'w').close()"


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """A kind of confinement that works here."""

    kind: str

    def wrapper(self, work: Path, visible: Sequence[Path]) -> list[str]:
        """Return the command that runs a program confined, without the program.

        ``work`` is an absolute path, at which the program starts and may write.
        """
        places = sorted(_places(visible))
        command: list[str] = []
        if self.kind == "bwrap":
            command = ["bwrap", "--die-with-parent", "--new-session", "--unshare-ipc"]
            command += ["--unshare-pid", "--unshare-uts", *([] if _root() else ["--unshare-user"])]
            command += ["--dev", "/dev", "--proc", "/proc", "--perms", "1777", "--tmpfs", "/tmp"]  # noqa: S108 (private)
            for folder in sorted({one for place in (*dict(places), work) for one in place.parents}):
                if not _in_system(folder) and folder not in {Path("/"), Path("/tmp")}:  # noqa: S108
                    command += ["--perms", "755", "--dir", str(folder)]
            for place, source in places:
                command += ["--ro-bind", str(source), str(place)]
            command += ["--bind", str(work), str(work), "--remount-ro", "/"]
            command += ["--chdir", str(work), "--"]
        elif self.kind == "unshare":
            user = [] if _root() else ["--user", "--map-root-user"]
            command = ["unshare", "--mount", "--pid", "--ipc", "--uts", "--fork"]
            command += ["--kill-child", *user, "--", "/bin/sh", "-c", _NEW_ROOT, "sh"]
            command += [str(work), os.pathsep.join([*child.folders(), *MORE_FOLDERS])]
            places += [(Path("/dev", name), Path("/dev", name)) for name in DEVICES]
            command += [word for place, source in places for word in (str(source), str(place))]
            command += ["--"]
        if child.program("setpriv") is None:  # where it is needed, ``_works`` demands it
            return command
        return [*command, *privileges.without(is_root_inside=self.kind == "unshare")]


def prepare(work: Path, folders: Sequence[str]) -> None:
    """Make the folders in which a confined program may write. OSError if that fails.

    No other user can read them: there may be a copy of the user's settings, with passwords.
    """
    for name in folders:
        (work / name).mkdir(exist_ok=True)
    work.chmod(0o700)
    if _root():
        work.parent.chmod(0o711)
        for path in (work, *work.rglob("*")):
            os.chown(path, NOBODY, NOBODY, follow_symlinks=False)


@cache
def find(program: Path, interpreter: Path) -> Confinement:
    """Return the first kind that can start both programs here; PackagesError if none can."""
    visible = [program, *of_interpreter(interpreter)]
    for kind in KINDS:
        if _works(Confinement(kind=kind), program, interpreter, visible):
            return Confinement(kind=kind)
    raise PackagesError(
        "source packages cannot be built safely here: the user of builds (nobody) cannot start "
        f"{program} and {interpreter} in {tempfile.gettempdir()}. Install bubblewrap, or do not "
        "run as root, or forbid builds with `environment: {source_packages: refuse}`."
    )


def of_interpreter(path: Path) -> tuple[Path, ...]:
    """Return what must be visible so that an interpreter can start."""
    return (path, *(path.parents[1] / part for part in PARTS))


def _works(
    confinement: Confinement, program: Path, interpreter: Path, visible: Sequence[Path]
) -> bool:
    needed = [] if confinement.kind == "plain" else [confinement.kind]
    if _root() or confinement.kind == "unshare":
        needed.append("setpriv")  # without it, a build could undo what confines it
    if not all(child.program(name) for name in needed):
        return False
    with tempdir.folder() as made:
        work = made.resolve()
        prepare(work, ())
        # setpriv starts a program before its privileges are gone; env starts it afterwards.
        start = [*confinement.wrapper(work, visible), *child.located(["env"]), "--"]
        python = [str(interpreter), "-I", "-S", "-c", _WRITE, str(work / "tried")]
        return all(
            child.output(
                [*start, *command],
                timeout_s=TRY_TIMEOUT_S,
                folder=work,
                environment={"PATH": system_path()},
            )
            is not None
            for command in ([str(program), "--version"], python)
        )


def system_path() -> str:
    """Return the folders of PATH that belong to the system, where compilers are."""
    folders = (name for name in child.folders() if _in_system(Path(name)))
    return os.pathsep.join(folders) or "/usr/bin:/bin"


def _places(visible: Sequence[Path]) -> Iterator[tuple[Path, Path]]:
    """Yield what is visible: each place, and the file or folder that is there.

    A path that leads through links is visible at its own place and at its target.
    """
    wanted = {place for path in visible for place in (path.absolute(), path.resolve())}
    for place in {*map(Path, SYSTEM), *wanted} - {Path("/")}:
        if os.access(place, os.F_OK) and not any(_in_system(one) for one in place.parents):
            yield place, place.resolve()
    resolver = Path("/etc/resolv.conf").resolve()
    if os.access(resolver, os.F_OK) and not _in_system(resolver):
        yield resolver, resolver


def _in_system(path: Path) -> bool:
    return any(path.is_relative_to(name) for name in SYSTEM)


def _root() -> bool:
    return os.geteuid() == 0

"""Which processes of the program are alive, as every user of this machine can see.

A process holds an abstract Unix socket for each name that it shows. Such a name needs no file and
no permission, is visible to all users in ``/proc/net/unix``, and is gone as soon as its process
ends. It ends with a random part, so nobody can hold it before its process does, and give it up
while that process lives. Anybody may hold other names, which only keeps things from being removed.
A process in another network namespace is not seen (``cores`` uses the same technique).
"""

import contextlib
import os
import socket
from collections.abc import Iterator

from runner.inside.launcher import text_in
from runner.system import digest

PREFIX = "matrix-runner/alive/"
"""How the names begin; tests have their own."""
_OURS = f"{os.getpid()}-{os.urandom(4).hex()}"


@contextlib.contextmanager
def shown(*names: str) -> Iterator[None]:
    """Show that this process is alive, and that it uses what has these names."""
    with contextlib.ExitStack() as sockets:
        for address in (_process(), *(f"{_address(name)}/{_OURS}" for name in names)):
            one = sockets.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
            with contextlib.suppress(OSError):  # we hold it already, or there are no such names
                one.bind(f"\0{address}")
        yield


def is_shown(name: str) -> bool:
    """Whether a process uses what has this name."""
    return any(held.startswith(_address(name)) for held in _held())


def others_of_user() -> bool:
    """Whether another process of this user is alive."""
    ours = _process()
    return any(name.startswith(ours.removesuffix(_OURS)) and name != ours for name in _held())


def _process() -> str:
    return f"{PREFIX}user-{os.geteuid()}/{_OURS}"


def _address(name: str) -> str:
    """Return how the addresses of a name begin. It may be longer than an address can be."""
    return f"{PREFIX}run/{digest.of_content(name)[:32]}"


def _held() -> set[str]:
    names = text_in("/proc/net/unix").split()
    return {name[1:] for name in names if name.startswith(f"@{PREFIX}")}

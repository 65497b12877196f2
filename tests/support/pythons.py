"""The interpreters of this machine on which our files in the container run."""

from runner.python.interpreters import Interpreter, available

OLDEST = (3, 6)


def supported() -> list[Interpreter]:
    """Return the interpreters that our files support, at least the running one."""
    return [one for one in available() if tuple(map(int, one.version.split(".")[:2])) >= OLDEST]

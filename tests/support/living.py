"""Another process of the program that is alive."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from runner.system import alive
from tests.support.studies import ROOT

PROGRAM = """
import sys
from runner.system import alive
alive.PREFIX, *names = sys.argv[1:]
with alive.shown(*names):
    print(flush=True)
    sys.stdin.read()
"""


@contextmanager
def living(*names: str) -> Iterator[None]:
    """Have a process that shows these names, to this test only (``unseen_processes``)."""
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, alive.PREFIX, *names],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdout.readline()
        yield
        process.stdin.close()

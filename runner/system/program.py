"""How the user started this program, for messages that say what to type next."""

import os
import sys

SCRIPT = "matrix-runner"
MODULE = "python -m runner"


def name() -> str:
    """Return the words that start the program: those that the user typed."""
    return SCRIPT if os.path.basename(sys.argv[0]) == SCRIPT else MODULE  # noqa: PTH119 (--help is fast)

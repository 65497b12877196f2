"""``python -m runner``, which is also ``matrix-runner``."""

import os
import sys


def main() -> int:
    """Start the program without modules from the working folder."""
    _forget_working_folder()
    from runner.cli import main as start  # noqa: PLC0415  only now nothing else can be imported

    return start()


def _forget_working_folder() -> None:
    """Import nothing from the working folder, where anybody's ``yaml.py`` may lie.

    Python looks there first, and so it does for an empty or relative entry of PYTHONPATH. The
    folder that this package is in stays: it may be a checkout.
    """
    # Importing anything else than these two modules would already look there.
    own = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))  # noqa: PTH120
    listed = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    try:
        relative = {os.path.realpath(name) for name in ("", *listed) if not name.startswith("/")}
    except OSError:  # the folder was removed, so nothing can be imported from it
        return
    relative.discard(own)
    sys.path[:] = [place for place in sys.path if os.path.realpath(place) not in relative]


if __name__ == "__main__":
    raise SystemExit(main())

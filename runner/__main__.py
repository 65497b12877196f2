"""``python -m runner``."""

import os
import sys


def _forget_working_folder() -> None:
    """Import nothing from the working folder, where anybody's ``yaml.py`` may lie.

    Python puts it before all other places, except if this package is in it: then it is a checkout.
    """
    # Importing anything else than these two modules would already look there.
    try:
        here = os.path.realpath("")
    except OSError:  # it was removed, so nothing can be imported from it
        return
    if os.path.realpath(__file__) != os.path.join(here, "runner", "__main__.py"):  # noqa: PTH118
        sys.path[:] = [place for place in sys.path if os.path.realpath(place) != here]


if __name__ == "__main__":
    _forget_working_folder()
    from runner.cli import main

    raise SystemExit(main())

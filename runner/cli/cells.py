"""The command ``list``. It loads only what reads a matrix, because completion waits for it."""

import gc

from runner.cli.arguments import Options
from runner.errors import Exit


def list(options: Options) -> Exit:  # noqa: A001 (the name of the verb)
    """Print the ids of the selected cells, one per line."""
    gc.disable()  # this makes little garbage, and the search takes a tenth of the time
    try:
        from runner.cli.study import only_cells  # noqa: PLC0415 (it takes most of the time)

        cells = only_cells(options).cells
    finally:
        gc.enable()
    print("\n".join(cell.id for cell in cells))
    return Exit.OK

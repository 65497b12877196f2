"""The command ``list``. It loads only what reads a matrix, because completion waits for it."""

from runner.cli.arguments import Options
from runner.cli.study import only_cells
from runner.errors import Exit


def list(options: Options) -> Exit:  # noqa: A001 (the name of the verb)
    """Print the ids of the selected cells, one per line."""
    print("\n".join(cell.id for cell in only_cells(options).cells))
    return Exit.OK

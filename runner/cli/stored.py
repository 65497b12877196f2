"""The stored run that the options of a command name."""

from runner.cli.arguments import Options
from runner.errors import RunFolderError
from runner.runs.folder import RunFolder, find_run, newest_run
from runner.system import program


def the_run(options: Options) -> RunFolder:
    """Return the named run, or the newest one of the given matrix, or the newest of all."""
    if options.run is not None or not options.has_matrix:
        return find_run(options.reports, options.run)
    from runner.cli.study import the_matrix  # noqa: PLC0415 (heavy, and only this case reads one)

    matrix = the_matrix(options)
    found = newest_run(matrix, options.reports)
    if found is None:
        raise RunFolderError(
            f"{options.reports} contains no run of {matrix.name}; start one with "
            f"`{program.name()} --matrix {options.matrix}`."
        )
    return found[0]

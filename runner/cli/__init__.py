"""The command line: parse the arguments, execute a command, turn its result into an exit code."""

import gc
import io
import os
import sys
from collections.abc import Callable, Sequence

from runner import __version__
from runner.errors import Exit, RunnerError
from runner.system import signals

BUG = (
    "This is an error of matrix-runner itself, not of your experiment. Finished trials are kept. "
    "Please report it with the lines above."
)

LIGHT = {
    "ci": "runner.cli.ci",
    "completion": "runner.cli.completion",
    "diff": "runner.cli.diff",
    "list": "runner.cli.cells",
    "logs": "runner.cli.logs",
    "merge": "runner.cli.merge",
    "plan": "runner.cli.preview",
    "report": "runner.cli.report",
    "status": "runner.cli.status",
}
"""The verbs that need no engine, whose modules load slowly: each is a function of its module."""

MOST_YOUNG = 500_000
"""How many new objects there may be until Python looks for garbage among them.

Imports and records are no garbage, so looking earlier costs a tenth of a short command. The
pipeline lowers the number, because a run lasts long.
"""

NO_HOME = "/nonexistent"
"""The home of a user who has none, or whose home would be in the working folder."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute one command. Only this function turns errors into exit codes."""
    _open_missing_streams()
    try:
        code = _execute(sys.argv[1:] if arguments is None else arguments)
        sys.stdout.flush()
    except RunnerError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        signals.ignore()
        _complain("Interrupted. Run the same command to resume.")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it
        _discard_output()
        return Exit.INTERRUPTED
    except OSError as error:  # errors about our own files have become RunnerErrors before
        _discard_output()
        what = "the output cannot be written" if error.filename is None else str(error.filename)
        _complain(f"{what}: {error.strerror or error}; fix this and run the command again.")
        return Exit.RUN_FOLDER
    except Exception:  # noqa: BLE001 (whatever it is, it must not look like a failed cell)
        import traceback  # noqa: PLC0415  only a mistake of ours needs it

        _complain(f"{traceback.format_exc()}\n{BUG}")
        return Exit.BUG
    else:
        return code
    finally:
        gc.freeze()  # a last collection would take a tenth of a short command


def _execute(arguments: Sequence[str]) -> int:
    if list(arguments) == ["--version"]:
        print(f"matrix-runner {__version__}")
        return Exit.OK
    gc.set_threshold(MOST_YOUNG)
    signals.listen()
    # Imported here to keep --version instant and --help fast.
    from runner.cli.arguments import parse  # noqa: PLC0415

    options = parse(arguments)
    # We use no plugin of pydantic; looking for them reads the metadata of every package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from runner.system import child  # noqa: PLC0415

    if not os.path.isabs(os.path.expanduser("~")):  # noqa: PTH111, PTH117 (fails without a home)
        os.environ["HOME"] = NO_HOME
    # The SDK starts programs that keep passwords; the working folder must not provide them.
    os.environ["PATH"] = os.pathsep.join(child.folders()) or os.devnull
    return _command(options.verb)(options)


def _command(verb: str) -> Callable[..., int]:
    """Return the function of a verb. Those that need no engine load no module of one."""
    if verb in LIGHT:
        from importlib import import_module  # noqa: PLC0415

        command: Callable[..., int] = getattr(import_module(LIGHT[verb]), verb)
        return command
    from runner.cli.commands import COMMANDS  # noqa: PLC0415

    return COMMANDS[verb]


def _open_missing_streams() -> None:
    """Open streams that were closed before we started: a file of ours could get their number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 (it stays open)
    if isinstance(sys.stdout, io.TextIOWrapper):  # its encoding may lack some characters
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output(stream: int = 1) -> None:
    """Redirect a stream to /dev/null so that the interpreter's final flush cannot fail."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream)


def _complain(text: str) -> None:
    """Print to stderr why the program ends. If that fails, the exit code still says it."""
    from runner.cli.fitted import fitted  # noqa: PLC0415  only a failure needs these
    from runner.text import printable  # noqa: PLC0415

    try:
        print(fitted(printable(text), sys.stderr), file=sys.stderr)
    except OSError:
        _discard_output(2)

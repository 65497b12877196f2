"""The command line: words to options, options to a command, its answer to an exit code."""

import gc
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress

from runner import __version__
from runner.errors import Exit, RunnerError
from runner.system import signals


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute one command and return its exit code; the only place that decides about it."""
    words = sys.argv[1:] if arguments is None else arguments
    _have_streams()
    try:
        code = _execute(words)
        sys.stdout.flush()
    except RunnerError as error:
        _complain(str(error))
        return error.exit_code
    except KeyboardInterrupt:
        signals.ignore()
        _complain("Interrupted. The same command goes on where it stopped.")
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        _print_no_more()
        return Exit.INTERRUPTED
    except OSError as error:  # files of ours have sentences of their own
        _print_no_more()
        what = "what is printed" if error.filename is None else str(error.filename)
        _complain(f"{what}: {error.strerror or error}; repair that and repeat the command.")
        return Exit.RUN_FOLDER
    else:
        return code
    finally:
        gc.freeze()  # nothing is worth collecting on the way out: a tenth of a short command


def _execute(words: Sequence[str]) -> int:
    if list(words) == ["--version"]:
        print(f"matrix-runner {__version__}")
        return Exit.OK
    signals.listen()
    # Imported here, so that --version is instant and --help nearly so.
    from runner.cli.arguments import parse  # noqa: PLC0415

    options = parse(words)
    # We use no plugin of pydantic; looking for them reads the metadata of every package.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from runner.cli import commands  # noqa: PLC0415

    return commands.COMMANDS[options.verb](options)


def _have_streams() -> None:
    """Open what whoever started us has closed, or some file of ours would take its number."""
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115 (it stays open)
    if isinstance(sys.stdout, io.TextIOWrapper):  # what a terminal's letters lack is spelt out
        sys.stdout.reconfigure(errors="backslashreplace")


def _print_no_more() -> None:
    """Have what is left to print go nowhere, or it would be tried once more on the way out."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _complain(text: str) -> None:
    """Say on stderr why the program ends; where that cannot be written its exit code says it."""
    with suppress(OSError):
        print(_visible(text), file=sys.stderr)


def _visible(text: str) -> str:
    """Return a message with what a terminal would obey spelt out; it may name what others wrote."""
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)

"""The command line: words to options, options to a command, its answer to an exit code."""

import gc
import os
import sys
from collections.abc import Sequence

from runner import __version__
from runner.errors import Exit, RunnerError


def main(arguments: Sequence[str] | None = None) -> int:
    """Execute one command and return its exit code; the only place that decides about it."""
    words = sys.argv[1:] if arguments is None else arguments
    if list(words) == ["--version"]:
        print(f"matrix-runner {__version__}")
        return Exit.OK
    # Imported here, so that --version is instant and --help nearly so.
    from runner import interruption  # noqa: PLC0415

    try:
        interruption.listen()
        from runner.arguments import parse  # noqa: PLC0415

        options = parse(words)
        # We use no plugin of pydantic; looking for them reads the metadata of every package.
        os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
        from runner import commands  # noqa: PLC0415

        code = commands.COMMANDS[options.verb](options)
        sys.stdout.flush()
    except RunnerError as error:
        print(_visible(str(error)), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        interruption.hear_no_more()
        print("Interrupted. The same command goes on where it stopped.", file=sys.stderr)
        return Exit.INTERRUPTED
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return Exit.INTERRUPTED
    else:
        return code
    finally:
        gc.freeze()  # nothing is worth collecting on the way out: a tenth of a short command


def _visible(text: str) -> str:
    """Return a message with what a terminal would obey spelt out; it may name what others wrote."""
    return "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in text)

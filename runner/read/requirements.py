"""Read the requirement files that a matrix names: one package on each line, as under `packages`."""

from pathlib import Path

from runner.errors import ConfigError
from runner.records.patterns import EXPECTED, REQUIREMENT, fits
from runner.system import safe
from runner.text import quoted, why, without_comment


def read_lines(folder: Path, name: str) -> tuple[str, ...]:
    """Return the requirements in a file of a folder; ConfigError if a line is something else."""
    try:
        text = safe.read(safe.inside(folder, name)).decode("utf-8-sig")
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name} cannot be read: {why(error)}; correct the file.") from error
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        plain = without_comment(line)
        if plain and not fits(plain, REQUIREMENT):
            raise ConfigError(
                f"line {number} of {name}: expected {EXPECTED[REQUIREMENT]}, found {quoted(plain)}."
            )
        if plain:
            found.append(plain)
    return tuple(found)

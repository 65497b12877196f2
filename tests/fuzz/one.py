"""Fuzz one reader: ``python -m tests.fuzz.one matrix 50000 1 FOLDER``.

Each reader is fuzzed in its own process, so a crash or a hang does not affect the others. Inputs
that break a promise and the numbers of the run are written to the folder.
"""

import json
import sys
import time
import traceback
import warnings
from dataclasses import dataclass, field
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, seed, settings

from tests.fuzz.targets import Target, TooSlowError, target

STEP = 100


@dataclass(slots=True)
class Tally:
    """Counts inputs, and keeps the first that breaks a promise at each place."""

    target: Target
    folder: Path
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    broken: dict[str, dict[str, str | int]] = field(default_factory=dict)

    def check(self, content: bytes) -> None:
        """Try an input, and record an exception."""
        (self.folder / f"{self.target.name}.last").write_bytes(content)
        self.done += 1
        try:
            self.target.check(content)
        except (Exception, TooSlowError) as error:  # noqa: BLE001 (all break a promise)
            self._note(error, content)
        if self.done % STEP == 0:
            self.save()

    def save(self) -> None:
        """Write the numbers of the run so far."""
        seconds = time.monotonic() - self.began
        numbers = {"inputs": self.done, "seconds": seconds, "broken": self.broken}
        (self.folder / f"{self.target.name}.json").write_text(json.dumps(numbers))

    def _note(self, error: BaseException, content: bytes) -> None:
        """Count a broken promise, and keep the input if it is the first for this place."""
        frames = traceback.extract_tb(error.__traceback__)
        inside = [one for one in frames if "runner" in Path(one.filename).parts[-4:]]
        last = (inside or list(frames))[-1]
        place = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        if place not in self.broken:
            kept = self.folder / f"{self.target.name}-{len(self.broken) + 1}.input"
            kept.write_bytes(content)
            said = str(error).partition("\n")[0][:200]
            self.broken[place] = {
                "times": 0,
                "first": self.done,
                "said": said,
                "input": kept.name,
            }
        self.broken[place]["times"] = int(self.broken[place]["times"]) + 1
        self.save()


def fuzz(name: str, inputs: int, random_seed: int, folder: Path) -> None:
    """Try the sound and the odd inputs of a reader, and then those that hypothesis makes."""
    warnings.simplefilter("error")  # a warning on the user's screen breaks a promise, too
    tally = Tally(target(name), folder)
    for content in (*tally.target.seeds, *tally.target.edges):
        tally.check(content)

    @seed(random_seed)
    @settings(
        max_examples=max(1, inputs - tally.done),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(tally.target.inputs)
    def check(content: bytes) -> None:
        tally.check(content)

    check()
    tally.save()


if __name__ == "__main__":
    given_name, given_inputs, given_seed, given_folder = sys.argv[1:]
    fuzz(given_name, int(given_inputs), int(given_seed), Path(given_folder))

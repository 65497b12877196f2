"""Fuzz one thing that is read: ``python -m tests.fuzz.one matrix 50000 1 FOLDER``.

It is a process of its own because a fuzzer that is guided by coverage ends its process, and because
so a crash or a hang of one target leaves the others alone. Inputs that break a promise, and the
numbers of the run, are left in the folder.
"""

import importlib
import json
import os
import sys
import time
import traceback
import warnings
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from types import ModuleType
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, Phase, given, seed, settings

if TYPE_CHECKING:
    from tests.fuzz.targets import Target

LONGEST_INPUT = 2**16
PATIENCE_S = 60
"""After so long libFuzzer ends an input that no signal can stop."""
SHARE_OF_HYPOTHESIS = 10
"""One input in so many, where nothing guides."""
STEP = 100
SLOWER = 3
"""How much longer code may take that tells where it is; ``test_fuzz`` times the edges without."""


@dataclass(slots=True)
class Tally:
    """Counts the inputs of a target and keeps those that break a promise, one for each place."""

    target: "Target"
    inputs: int
    folder: Path
    began: float = field(default_factory=time.monotonic)
    done: int = 0
    broken: dict[str, dict[str, str | int]] = field(default_factory=dict)

    @property
    def is_over(self) -> bool:
        """Whether all inputs were tried."""
        return self.done >= self.inputs

    def check(self, content: bytes) -> None:
        """Try an input."""
        from tests.fuzz.targets import TooSlowError  # noqa: PLC0415 (instrumented before)

        (self.folder / f"{self.target.name}.last").write_bytes(content)
        self.done += 1
        try:
            self.target.check(content)
        except (Exception, TooSlowError) as error:  # noqa: BLE001 (any is a broken promise)
            self._note(error, content)
        if self.is_over or self.done % STEP == 0:
            self.save()

    def save(self) -> None:
        """Write the numbers of the run so far."""
        seconds = time.monotonic() - self.began
        numbers = {"inputs": self.done, "seconds": seconds, "broken": self.broken}
        (self.folder / f"{self.target.name}.json").write_text(json.dumps(numbers))

    def _note(self, error: BaseException, content: bytes) -> None:
        """Count a broken promise; keep the first input for each place in the program."""
        frames = traceback.extract_tb(error.__traceback__)
        inside = [one for one in frames if "runner" in Path(one.filename).parts[-3:]]
        last = (inside or list(frames))[-1]
        place = f"{type(error).__name__} at {Path(last.filename).name}:{last.lineno}"
        if place not in self.broken:
            kept = self.folder / f"{self.target.name}-{len(self.broken) + 1}.input"
            kept.write_bytes(content)
            said = str(error).partition("\n")[0][:200]
            self.broken[place] = {"times": 0, "said": said, "input": kept.name}
        self.broken[place]["times"] = int(self.broken[place]["times"]) + 1
        self.save()


def instrumented() -> ModuleType | None:
    """Load what is tested so that its coverage can guide; ``None`` where atheris is absent."""
    try:
        atheris = importlib.import_module("atheris")
    except ImportError:
        return None
    with atheris.instrument_imports(include=["runner"]):
        importlib.import_module("tests.fuzz.targets")
        importlib.import_module("runner.report.view")
    return atheris


def guided(atheris: ModuleType, tally: Tally, number: int) -> None:
    """Try inputs that reach new places of the program. Ends the process."""
    target = tally.target
    corpus, words = tally.folder / f"{target.name}-corpus", tally.folder / f"{target.name}.dict"
    corpus.mkdir()
    for index, content in enumerate(target.seeds):
        (corpus / str(index)).write_bytes(content)
    words.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words if word))

    def check(content: bytes) -> None:
        tally.check(content)
        if tally.is_over:
            os._exit(0)  # libFuzzer would go on

    def mutate(content: bytes, longest: int, drawn: int) -> bytes:
        random = Random(drawn)
        if random.random() < 0.3:
            return bytes(atheris.Mutate(content, longest))
        return target.damaged(random, content)[:longest]

    flags = {
        "seed": number,
        "timeout": PATIENCE_S,
        "max_len": LONGEST_INPUT,
        "len_control": 0,
        "dict": words,
        "artifact_prefix": f"{tally.folder}/{target.name}-",
        "verbosity": 0,
    }
    words_of_it = [f"-{name}={value}" for name, value in flags.items()]
    atheris.Setup(["fuzz", str(corpus), *words_of_it], check, custom_mutator=mutate)
    atheris.Fuzz()


def unguided(tally: Tally, number: int) -> None:
    """Try seeded mutations, and among them what hypothesis thinks of."""
    from tests.fuzz.strategies import anything  # noqa: PLC0415 (instrumented before)

    @seed(number)
    @settings(
        max_examples=max(1, tally.inputs // SHARE_OF_HYPOTHESIS),
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(anything(tally.target))
    def think(content: bytes) -> None:
        if not tally.is_over:
            tally.check(content)

    think()
    while not tally.is_over:
        random = Random(f"{number}/{tally.done}")
        tally.check(tally.target.damaged(random))


def fuzz(name: str, inputs: int, number: int, folder: Path) -> None:
    """Try the sound inputs and the edges of a target, and then so many that nobody wrote."""
    atheris = instrumented()
    from tests.fuzz import targets  # noqa: PLC0415 (instrumented before)

    target = targets.target(name)
    warnings.simplefilter("error")  # a warning on the screen of a person is one, too
    if atheris is not None:
        target = replace(target, limit_s=SLOWER * target.limit_s)
    tally = Tally(target, inputs, folder)
    for content in (*target.seeds, *target.edges):
        tally.check(content)
    if atheris is None:
        sys.stdout.write("atheris is not installed: nothing guides the mutations\n")
        unguided(tally, number)
    else:
        guided(atheris, tally, number)


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word[:60])


if __name__ == "__main__":
    given_name, given_inputs, given_seed, given_folder = sys.argv[1:]
    fuzz(given_name, int(given_inputs), int(given_seed), Path(given_folder))
